"""Launches from campaign files that were dropped into a container, with their images beside them.

A file whose launch lacks a setting of the worker waits: a sweep on a machine that has the setting starts it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import log2
from socket import gethostname
from typing import cast

from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment

from labelwright.campaigns.drops import MAX_CAMPAIGN_FILE_BYTES, dropped_spec
from labelwright.campaigns.image_source import open_container
from labelwright.campaigns.spec import CampaignSpec
from labelwright.campaigns.yaml_loader import SpecError
from labelwright.ingest.sources.local import CannotRead
from labelwright.ledger import CampaignBusy, CampaignRecord, LeaseLost, Letter, Wait, drop_key
from labelwright.platforms import AccessDenied
from labelwright.settings import MissingSetting, Settings, SettingsError, settings
from labelwright.tasks.attention import REFUSALS
from labelwright.tasks.chaining import task
from labelwright.tasks.context import the_ledger
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

RETRIED_FOR = timedelta(days=7)
"""How long the launch from a campaign file is retried."""

_WAITS_FOR_SETTING = timedelta(days=365)
"""How long a campaign file waits for a setting that its worker lacked."""


@task(task_run_name="read {blob}", **RETRY_POLICY)
def read_dropped_campaign(blob: str) -> CampaignSpec:
    """Read the campaign file from the drop container. Raises SpecError, SettingsError, CannotRead."""
    current = settings()
    container = drop_container(current)
    if not container:
        raise MissingSetting(
            "receiver.drop_container",
            f"this worker ({gethostname()}) has no drop container in its settings: set "
            "LABELWRIGHT_RECEIVER__DROP_CONTAINER to its URL, as for the receiver",
        )
    content = _read(blob, container, current)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpecError(f"{blob} is not text in UTF-8") from None
    log().info("read %s", blob)
    return dropped_spec(text, blob, container)


def drop_container(current: Settings) -> str | None:
    """The URL of the drop container in the settings."""
    return current.receiver.drop_container or None if current.receiver else None


def _read(blob: str, container: str, current: Settings) -> bytes:
    """The content of a file of the drop container.

    That it cannot be read for want of a credential is no fault of the file: MissingSetting, or SettingsError where a
    credential was refused.
    """
    source = open_container(container, current, threads=1, max_bytes=MAX_CAMPAIGN_FILE_BYTES)
    try:
        with source.open(blob) as file:
            return file.read()
    except (AccessDenied, CannotRead) as error:
        if not _has_container_credential(current):  # Azure reports a private container as missing
            raise MissingSetting(
                "container_sas",
                f"{blob} in the drop container: {error}. This worker ({gethostname()}) has no credential for it: set "
                "LABELWRIGHT_CONTAINER_SAS, or LABELWRIGHT_CONTAINER_IDENTITY=true",
            ) from None
        if isinstance(error, AccessDenied):
            raise SettingsError(
                f"{error} The credential of this worker ({gethostname()}) for the drop container is in "
                "LABELWRIGHT_CONTAINER_SAS, _KEY or _IDENTITY"
            ) from None
        raise


def _has_container_credential(current: Settings) -> bool:
    return bool(current.container_sas or current.container_key or current.container_identity)


@task(task_run_name="record the launch of {campaign} from {blob}", **UNCACHED)
def record_drop_launch(blob: str, etag: str, campaign: str) -> None:
    """Record that this version of the file was launched, so that it is not launched again."""
    the_ledger().inbox.record_launch(blob, etag, campaign)
    for wait in setting_waits(blob, etag):
        the_ledger().waits.forget(wait.name)


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

    A missing setting is none of the file's: it is recorded as what the file waits for.

    title: the campaign's, once the file was read. When the ledger has the campaign, sweeps restart it and not the file.
    campaign: the file's campaign; the ledger's may be an earlier one of the same title.
    """
    inbox = the_ledger().inbox
    try:
        yield
    except (CampaignBusy, LeaseLost):
        raise
    except (*REFUSALS, SpecError, CannotRead):
        inbox.record_refusal(blob, etag)
        raise
    except Exception as error:
        record = None if title is None else the_ledger().campaigns.find(title)
        if record is not None and title is not None and _is_of(record, campaign):
            inbox.record_launch(blob, etag, title)
        elif isinstance(error, MissingSetting):
            name = f"{_wait_prefix(blob, etag)}{error.setting}"
            the_ledger().waits.put(name, datetime.now(UTC) + _WAITS_FOR_SETTING, f"{blob}: {error}")
            log().warning("%s waits for a worker with the setting %s", blob, error.setting)
        raise


def setting_waits(blob: str, etag: str) -> list[Wait]:
    """What the launch from this version of a campaign file waits for, one for each setting that a worker lacked."""
    prefix = _wait_prefix(blob, etag)
    return [wait for name, wait in the_ledger().waits.all().items() if name.startswith(prefix)]


def _wait_prefix(blob: str, etag: str) -> str:
    return f"drop {sha256(drop_key(blob, etag).encode('utf-8', 'surrogatepass')).hexdigest()[:32]} "


def has_setting(current: Settings, name: str) -> bool:
    """Whether these settings have what a `MissingSetting` names."""
    group, _, item = name.partition(".")
    try:
        if group == "connections":
            current.connection(item)
        elif group == "workspaces":
            current.workspace(item)
        elif group == "container_sas":
            return _has_container_credential(current)
        else:
            return drop_container(current) is not None
    except MissingSetting:
        return False
    except SettingsError:  # the embedded service of this machine is away
        pass
    return True


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
    week. One that waits for a setting is retried by the first sweep in whose settings it is, once for each failure.
    """
    ledger, moment = the_ledger(), moment or datetime.now(UTC)
    first = timedelta(minutes=settings().event_minutes)
    due = []
    for letter in ledger.inbox.lost_drops(moment - first, moment - _WAITS_FOR_SETTING):
        blob, etag = str(letter.payload["blob"]), str(letter.payload["etag"])
        if letter.emitted_at is None or ledger.leases.is_held(drop_lease(blob)):
            continue
        waits = setting_waits(blob, etag)
        lacking = [wait for wait in waits if not has_setting(settings(), wait.name.split(" ", 2)[2])]
        for wait in lacking:
            log().warning("a campaign file waits: %s", wait.reason)
        if waits and not lacking:
            due.append((letter, max(int(wait.until.timestamp()) for wait in waits)))
        elif not waits and letter.received_at > moment - RETRIED_FOR:
            due.append((letter, int(log2((moment - letter.emitted_at) / first)) + 1))
    return due


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
