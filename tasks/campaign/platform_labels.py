"""Compares the labels on the platform with the campaign's: deleting a label there deletes its shapes."""

from __future__ import annotations

from collections.abc import Iterable

from labelwright.campaigns.label_agreement import added_labels, missing_labels
from labelwright.campaigns.spec import CampaignSpec
from labelwright.domain.commands import quoted
from labelwright.platforms import PlatformRefused
from labelwright.platforms.protocol import ListsLabels, PlatformLabels
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

_SHOWN = 10


class LabelsChanged(PlatformRefused):
    """Labels of the campaign are missing on its platform: what was drawn with them may be gone."""

    error_code = "LW4016"


@task(task_run_name="compare the labels of {title} with its platform's", **RETRY_POLICY)
def check_platform_labels(title: str) -> None:
    """Compare the platform's labels with the campaign's, if the platform can list them.

    Labels that were added there are logged. Raises LabelsChanged for those that were deleted or renamed.
    """
    context = CampaignContext(title)
    if not isinstance(context.platform, ListsLabels):
        return
    remote_labels = context.platform.list_labels(context.remote_id)
    if remote_labels is not None and not remote_labels.shared:
        added = added_labels(context.spec.schema_of_labels(), remote_labels)
        if added:
            log().warning("%s: the platform has labels that the campaign does not have: %s", title, _quoted(added))
    refuse_changed_labels(context.spec, remote_labels)


def refuse_changed_labels(spec: CampaignSpec, remote_labels: PlatformLabels | None) -> None:
    """Raises LabelsChanged when the platform lacks labels of the campaign, attributes of them, or their geometry."""
    if remote_labels is None:
        return
    schema = spec.schema_of_labels()
    missing = missing_labels(schema, remote_labels)
    if not missing:
        return
    added = [] if remote_labels.shared else added_labels(schema, remote_labels)
    message = f"missing there: {'; '.join(missing[:_SHOWN])}"
    if len(missing) > _SHOWN:
        message += f" and {len(missing) - _SHOWN} more"
    if added:
        message += f". There and not in the campaign: {_quoted(added)} (renamed?)"
    raise LabelsChanged(
        spec.platform,
        f"offer the labels of '{spec.title}'",
        message=message,
        advice="What was drawn with a deleted label is gone from the platform. Create the labels there again under "
        f"their names, have what is missing drawn again, then: labelwright resume {quoted(spec.title)}",
    )


def _quoted(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in listed[:_SHOWN]) + more
