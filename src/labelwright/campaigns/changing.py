"""Changes a launched campaign to what its corrected file says, on the platform and in the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from labelwright.domain import State
from labelwright.domain.commands import quoted
from labelwright.domain.errors import ChangeRefused, PlatformLacks, WrongState
from labelwright.ledger import CampaignRecord, EffectItem, Ledger, campaign_lease, open_ledger
from labelwright.platforms.protocol import ChangesCampaigns, ListsLabels, Platform, RotatesLabelerKeys
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import settings

from .connections import Connections
from .differences import Difference, differences
from .kept_keys import KeptKeys
from .order import order_of
from .platform_access import connection_named
from .shared_paths import refuse_unshared
from .spec import CampaignSpec, stored_spec
from .unsupported import reasons_to_refuse

STEP = "change campaign"


@dataclass(frozen=True, slots=True)
class Changed:
    """What a command changed."""

    texts: tuple[str, ...]
    """One for each difference; empty when the campaign is what the file says already."""
    next_command: str = ""
    """What is left to do; empty when nothing is."""


def change(title: str, spec: CampaignSpec, connections: Connections, *, ledger_only: bool = False) -> Changed:
    """Makes the campaign what the file says, where that is safe while labelers work. Idempotent.

    ledger_only: the platform was changed by hand. Raises UnknownCampaign, CampaignBusy, CannotRun for what is not safe
    or what the platform cannot do, PlatformError.
    """
    if spec.title != title:
        raise ChangeRefused(f"the file describes '{spec.title}', not '{title}': a campaign keeps its title")
    ledger, spec = open_ledger(settings().ledger_address()), spec.with_paths_from(settings().home)
    ledger.campaigns.get(title)
    with ledger.leases.held(campaign_lease(title), "somebody on the command line"):
        record = ledger.campaigns.get(title)
        found = differences(stored_spec(record.spec), spec)
        _refuse(record, found, spec)
        if not found:
            return Changed((), _next_command(record))
        if any(difference.field == "export" for difference in found):
            refuse_unshared(spec, settings())
        texts = tuple(difference.text for difference in found)
        item = _begin(ledger, title)
        if any(difference.sent for difference in found if _concerns_platform(difference, spec)):
            with connection_named(spec):
                _change_on_platform(ledger, record, spec, connections, found, ledger_only=ledger_only)
        ledger.campaigns.record_change(title, spec.model_dump(mode="json"), texts)
        ledger.effects.settle(title, STEP, "; ".join(texts), item)
        key_missing = record.remote_id and _lacks_key(ledger, spec, connections, record)
        return Changed(
            texts, f"labelwright labeler-key {quoted(title)} --rotate" if key_missing else _next_command(record)
        )


def _refuse(record: CampaignRecord, found: list[Difference], spec: CampaignSpec) -> None:
    """Raises CannotRun for a campaign that is over, and for differences that are not safe or that nobody would see."""
    title = record.title
    if record.state is State.CANCELLED:
        raise WrongState(f"'{title}' is cancelled: launch the file under another title")
    refused = [f"{difference.text}: {difference.refusal}" for difference in found if difference.refusal]
    before = set(reasons_to_refuse(stored_spec(record.spec)))
    refused += [reason for reason in reasons_to_refuse(spec) if reason not in before]
    if refused:
        raise ChangeRefused(f"'{title}' was left as it is. " + ". ".join(refused[:10]))


def _concerns_platform(difference: Difference, spec: CampaignSpec) -> bool:
    """Whether the platform would do anything about it: it knows the labeler only where it assigns labelers."""
    return difference.field != "labeler" or PLATFORMS[spec.platform].assigns_labelers


def _begin(ledger: Ledger, title: str) -> EffectItem:
    """Records the intent, under the number of an attempt that broke off or under the next one."""
    attempts = ledger.effects.of_step(title, STEP)
    unsettled = [effect.item for effect in attempts if effect.done_at is None]
    item = unsettled[0] if unsettled else EffectItem(attempt=len(attempts) + 1)
    ledger.effects.intend(title, STEP, item)
    return item


def _change_on_platform(
    ledger: Ledger,
    record: CampaignRecord,
    spec: CampaignSpec,
    connections: Connections,
    found: list[Difference],
    *,
    ledger_only: bool,
) -> None:
    title, remote_id = record.title, record.remote_id
    if remote_id is None and not ledger.effects.of_step(title, "create campaign"):
        return  # it will be created as the file says
    platform = connections.platform_for(spec)
    if remote_id is None:
        remote = platform.find_campaign(title)
        if remote is None:
            return
        remote_id = remote.id
    if ledger_only:
        _refuse_missing_labels(platform, remote_id, spec)
        return
    if not isinstance(platform, ChangesCampaigns):
        entry = PLATFORMS[spec.platform]
        texts = "; ".join(difference.text for difference in found if difference.sent)
        raise PlatformLacks(
            f"campaigns on {entry.shown_name} cannot be changed from here ({texts}). {entry.unchangeable}"
        )
    keys = KeptKeys(settings(), ledger, connections)
    if any(difference.field == "labeler" for difference in found):
        keys.check_writable(spec.connection_name, spec.labeler)
    access = platform.change_campaign(remote_id, order_of(spec))
    if access is not None:
        keys.keep(spec.connection_name, access)


def _refuse_missing_labels(platform: Platform, remote_id: str, spec: CampaignSpec) -> None:
    """Raises CannotRun for labels of the file that the platform does not have, if it lists them."""
    labels = platform.list_labels(remote_id) if isinstance(platform, ListsLabels) else None
    missing = [label.name for label in spec.labels if labels is not None and label.name not in labels.names]
    if missing:
        names = ", ".join(map(repr, missing))
        raise ChangeRefused(
            f"{platform.name} does not have {names}: add them to the campaign there, then run this again"
        )


def _lacks_key(ledger: Ledger, spec: CampaignSpec, connections: Connections, record: CampaignRecord) -> bool:
    """Whether the labeler changed to one whose key is neither in the ledger nor on a machine that it knows."""
    if spec.labeler == record.spec.get("labeler"):
        return False
    if KeptKeys(settings(), ledger, connections).is_kept(spec.connection_name, spec.labeler):
        return False
    return isinstance(connections.platform_for(spec), RotatesLabelerKeys)


def _next_command(record: CampaignRecord) -> str:
    return f"labelwright resume {quoted(record.title)}" if record.state is State.NEEDS_ATTENTION else ""
