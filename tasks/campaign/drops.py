"""Launches from campaign files that were dropped into a container, with their images beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import log2
from typing import cast

from prefect import task
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment

from labelwright.campaigns.drops import MAX_CAMPAIGN_FILE_BYTES, dropped_spec
from labelwright.campaigns.image_source import open_container
from labelwright.campaigns.spec import CampaignSpec
from labelwright.campaigns.yaml_loader import SpecError
from labelwright.ingest.sources.local import CannotRead
from labelwright.ledger import CampaignBusy, CampaignRecord, LeaseLost, Letter
from labelwright.settings import SettingsError, settings
from labelwright.tasks.attention import REFUSALS
from labelwright.tasks.context import the_ledger
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

RETRIED_FOR = timedelta(days=7)
"""How long the launch from a campaign file is retried."""


@task(task_run_name="read {blob}", **RETRY_POLICY)
def read_dropped_campaign(blob: str) -> CampaignSpec:
    """Read the campaign file from the drop container. Raises SpecError, SettingsError, CannotRead."""
    current = settings()
    container = current.receiver.drop_container if current.receiver else None
    if not container:
        raise SettingsError("no drop container is configured: set LABELWRIGHT_RECEIVER__DROP_CONTAINER to its URL")
    source = open_container(container, current, threads=1, max_bytes=MAX_CAMPAIGN_FILE_BYTES)
    with source.open(blob) as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpecError(f"{blob} is not text in UTF-8") from None
    log().info("read %s", blob)
    return dropped_spec(text, blob, container)


@task(task_run_name="record the launch of {campaign} from {blob}", **UNCACHED)
def record_drop_launch(blob: str, etag: str, campaign: str) -> None:
    """Record that this version of the file was launched, so that it is not launched again."""
    the_ledger().inbox.record_launch(blob, etag, campaign)


def find_earlier_launch(blob: str, etag: str) -> str | None:
    """The title of the campaign that was launched from this version of the file, if any."""
    title = the_ledger().inbox.launched_from(blob, etag)
    if title is not None:
        log().info("%s was launched before, as %s", blob, title)
    return title


@contextmanager
def recording_refusals(
    blob: str, etag: str, title: str | None = None, campaign: CampaignSpec | None = None
) -> Iterator[None]:
    """Record a refusal, so that no sweep launches this version of the file again. Transient errors are not recorded.

    title: the campaign's, once the file was read. When the ledger has the campaign, sweeps restart it and not the file.
    campaign: the file's campaign; the ledger's may be an earlier one of the same title.
    """
    inbox = the_ledger().inbox
    try:
        yield
    except (CampaignBusy, LeaseLost):
        raise
    except (*REFUSALS, SpecError, SettingsError, CannotRead):
        inbox.record_refusal(blob, etag)
        raise
    except Exception:
        record = None if title is None else the_ledger().campaigns.find(title)
        if record is not None and title is not None and _is_of(record, campaign):
            inbox.record_launch(blob, etag, title)
        raise


def _is_of(record: CampaignRecord, campaign: CampaignSpec | None) -> bool:
    if campaign is None:
        return True
    return record.spec == campaign.with_paths_from(settings().home).model_dump(mode="json")


def drop_lease(blob: str) -> str:
    """The name of the lease of a run that launches from a campaign file."""
    return f"drop {blob}"


def unanswered_drops(moment: datetime | None = None) -> list[tuple[Letter, int]]:
    """Campaign files whose event started no launch, with the number of the next attempt.

    Prefect may lose events, and runs may die. A file is retried whenever the time since its event has doubled, for a
    week.
    """
    ledger, moment = the_ledger(), moment or datetime.now(UTC)
    first = timedelta(minutes=settings().event_minutes)
    return [
        (letter, int(log2((moment - letter.emitted_at) / first)) + 1)
        for letter in ledger.inbox.lost_drops(moment - first, moment - RETRIED_FOR)
        if letter.emitted_at is not None and not ledger.leases.is_held(drop_lease(str(letter.payload["blob"])))
    ]


@task(task_run_name="start the launch from {letter.payload[blob]}", **RETRY_POLICY)
def start_drop(letter: Letter, attempt: int) -> str:
    """Create the flow run that the event did not start, or that died. Returns its id. Idempotent."""
    run = cast(
        FlowRun,
        run_deployment(
            "launch-from-drop/launch-from-drop",
            parameters={"blob": letter.payload["blob"], "etag": letter.payload["etag"]},
            idempotency_key=f"drop {letter.id} {attempt}",
            timeout=0,
            as_subflow=False,
        ),
    )
    return str(run.id)
