"""What a sweep reports about all campaigns: stalled and late ones, an overview, and refused credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from httpx import HTTPError
from prefect.exceptions import PrefectException

from labelwright.campaigns.outlook import Outlook, outlook_of
from labelwright.campaigns.queue import reasons_to_wait
from labelwright.domain import BLOCKED, OPEN, State
from labelwright.ledger import CampaignBusy, CampaignRecord
from labelwright.platforms import AccessDenied, PlatformUnavailable
from labelwright.settings import settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.reporting import log, update_table

from .refresh import SweepResult

SHOWN = 500
"""Maximum number of rows in the table of campaigns."""


@contextmanager
def logging_failure(title: str, result: SweepResult) -> Iterator[None]:
    """Log an error of one campaign, add it to the result, and go on with the others; the next sweep tries again."""
    try:
        yield
    except CampaignBusy as busy:
        log().info("%s: %s", title, busy)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other campaigns go on
        log().error("%s could not go on: %s", title, error)
        result.failures[title] = f"could not go on: {error}"
        if not isinstance(error, PlatformUnavailable | HTTPError | PrefectException):
            result.refused.append(title)


class SweepReport(dict[str, str]):
    """State by title of the campaigns that were checked, and those that could not be."""

    def __init__(self, states: Mapping[str, str] = MappingProxyType({}), result: SweepResult | None = None) -> None:
        super().__init__(states)
        result = result or SweepResult()
        self.failures = dict(result.failures)
        """Reason by title, for campaigns that could not be checked or could not go on."""
        self.refused = frozenset(result.refused)
        """Of the failures, the titles of those that do not pass by themselves."""


class SweepDenied(AccessDenied):
    """A platform refused our credential during a sweep, which did everything else."""

    error_code = "LW4019"

    report = SweepReport()


def require_access(result: SweepResult, report: SweepReport) -> None:
    """Raises SweepDenied when a platform refused our credential: only a person can change it."""
    if result.access_denied:
        title, reason = next(iter(result.failures.items()))
        denied = SweepDenied(
            "the sweep",
            "check every campaign",
            message=f"{len(result.failures)} could not be checked, '{title}' among them: {reason}",
            advice="Check the key and secret of the connection; the next sweep tries again.",
        )
        denied.report = report
        raise denied


def emit_stalled_events() -> int:
    """Put an event into the outbox for campaigns that stalled or are overdue, once each time. Returns how many."""
    ledger, moment = the_ledger(), datetime.now(UTC)
    records = ledger.campaigns.all(OPEN)
    histories = ledger.campaigns.histories([record.title for record in records])
    count = 0
    for record in records:
        outlook = outlook_of(record, histories.get(record.title, []), moment)
        facts = {"done": record.done, "total": record.total, **outlook.as_facts()}
        if outlook.stalled_since is not None:
            since = outlook.stalled_since.isoformat()
            if ledger.outbox.put(record.title, "stalled", since, facts | {"since": since}):
                log().warning("%s has stalled: no image was labeled since %s", record.title, since)
                count += 1
        if outlook.overdue and outlook.deadline is not None:
            due = outlook.deadline.isoformat()
            if ledger.outbox.put(record.title, "overdue", due, facts):
                log().warning("%s is overdue since %s", record.title, due)
                count += 1
    return count


def publish_overview(failures: dict[str, str]) -> None:
    """Write the table of all campaigns in the Prefect UI, those that need attention first.

    failures: reason by title, for campaigns that could not be checked.
    """
    ledger, moment = the_ledger(), datetime.now(UTC)
    all_records = ledger.campaigns.all()
    records = sorted(all_records, key=_by_urgency)[:SHOWN]
    histories = ledger.campaigns.histories([record.title for record in records])
    left_out = ledger.left_out.of_many([record.title for record in records])
    states = ledger.image_states.counts([record.title for record in records])
    waiting = reasons_to_wait(ledger, all_records, settings().restart_minutes)
    rows = [
        _row(record, outlook_of(record, histories.get(record.title, []), moment), waiting | failures)
        | {
            "left out": left_out[record.title].short() if record.title in left_out else "",
            "images not labeled": ", ".join(f"{n:,} {state}" for state, n in states.get(record.title, {}).items()),
        }
        for record in records
    ]
    update_table("all", "campaigns", rows, "Campaigns")


def _by_urgency(record: CampaignRecord) -> int:
    return [State.NEEDS_ATTENTION, State.PAUSED].index(record.state) if record.state in BLOCKED else len(BLOCKED)


def _row(record: CampaignRecord, outlook: Outlook, failures: dict[str, str]) -> dict[str, Any]:
    pace, is_open = outlook.pace, record.state in OPEN
    share = f" ({100 * record.done / record.total:.0f} %)" if record.total else ""
    return {
        "campaign": record.title,
        "state": record.state.value,
        "labeled": f"{record.done:,} of {record.total:,}{share}" if record.total else "",
        "images an hour": f"{pace.per_hour:.1f}" if is_open and pace.per_hour else "",
        "expected end": f"{pace.expected_end:%Y-%m-%d %H:%M} UTC" if is_open and pace.expected_end else "",
        "deadline": outlook.shown_deadline,
        "platform": str(record.spec.get("connection") or record.spec.get("platform")),
        "checked": f"{record.looked_at:%Y-%m-%d %H:%M} UTC" if record.looked_at else "",
        "unanswered notes": f"{record.unanswered_notes:,}" if record.unanswered_notes else "",
        "note": record.reason or failures.get(record.title) or outlook.trouble,
    }
