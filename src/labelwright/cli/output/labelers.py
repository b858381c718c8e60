"""Prints a labeler's key and where the labeler can work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from labelwright.domain.errors import CannotRun

from .console import err, out, show_json

if TYPE_CHECKING:
    from labelwright.campaigns.spec import CampaignSpec
    from labelwright.settings import Settings


def show_labeler_key(settings: Settings, spec: CampaignSpec, campaign_id: str | None, as_json: bool) -> None:
    """Raises CannotRun when this machine has no key of the campaign's labeler."""
    from labelwright.campaigns.labeler_keys import LabelerKeys

    access = LabelerKeys(settings.home).find(spec.connection_name, spec.labeler)
    if access is None:
        raise CannotRun(f"no key of {spec.labeler} is kept on this machine: launch the campaign first")
    fields = {
        "labeler": access.email,
        "campaign_id": campaign_id,
        "key": access.key,
        "secret": access.secret.value if access.secret else None,
        "link": _link(settings, spec, campaign_id),
    }
    if as_json:
        show_json(fields)
        return
    fields["secret"] = fields["secret"] or "known to the labeler from an earlier campaign"
    for name, value in fields.items():
        if value:
            out.print(f"{name}: {escape(value)}")


def show_where_to_label(settings: Settings, spec: CampaignSpec, campaign_id: str | None, as_json: bool) -> None:
    if as_json:
        return
    link = _link(settings, spec, campaign_id)
    if link and err.is_terminal:  # the link holds the labeler's secret, which must not get into a log
        err.print(f"{escape(spec.labeler)} can label now:\n  {escape(link)}")
    else:
        err.print(f"{escape(spec.labeler)} can label now; key and link: labelwright labeler-key '{escape(spec.title)}'")
    err.print(
        "Waiting for the labels. Ctrl+C stops the waiting, nothing is lost: run the same command again to continue."
    )


def _link(settings: Settings, spec: CampaignSpec, campaign_id: str | None) -> str | None:
    """Returns the labeling page's address with the labeler's key, when the embedded service is the platform."""
    from labelwright.campaigns.labeler_keys import LabelerKeys, labeling_link

    connection = spec.connection_name
    host = settings.labeling_page_host() if connection == "campaign_api" else None
    access = LabelerKeys(settings.home).find(connection, spec.labeler)
    link = labeling_link(host, access, campaign_id) if host and access else None
    return link.value if link else None
