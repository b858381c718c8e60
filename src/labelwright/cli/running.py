"""Commands that run flows on this machine: with what is configured, or with servers of our own."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.domain import OPEN, State
from labelwright.domain.errors import CannotRun
from labelwright.local import interruptions
from labelwright.local.servers import NotStarted, use_prefect_of_up
from labelwright.network.deadlines import OutOfTime, run_within
from labelwright.network.proxies import keep_loopback_direct
from labelwright.security.identity import NotProven, check_address
from labelwright.security.private_files import private_folder
from labelwright.settings import ReceiverSettings, ServiceSettings, forget_settings, settings

from .output import campaigns as printing_campaigns
from .output import console as printing

if TYPE_CHECKING:
    from labelwright.service.config import AzureStorage


def spec_for_folder(
    folder: Path, title: str, labels: str, labeler: str, geometry: str, instructions: str, output: Path, strict: bool
) -> CampaignSpec:
    """The campaign that ``labelwright run FOLDER`` means. Raises SpecError, CannotRun."""
    names = [name.strip() for name in labels.split(",") if name.strip()]
    if not names or not labeler:
        raise CannotRun(
            f"say what to label and who does it: labelwright run {folder} --labels cat,dog --labeler you@example.com"
        )
    document = {
        "title": title or folder.resolve().name,
        "images": {"folder": str(folder.resolve()), "strict": strict},
        "labels": [{"name": name, "geometry": geometry} for name in names],
        "labeler": labeler,
        "instructions": instructions,
        "export": {"folder": str(output.resolve())},
    }
    return validate_spec(document, "the command line")


@contextlib.contextmanager
def prefect_runtime(server: Any = None) -> Iterator[SimpleNamespace]:
    """The flows, with Prefect set up: the given server, the API that is configured, or one that ends with the block.

    That server is started as `labelwright up` starts one, and not by Prefect: Prefect's own temporary server waits for
    three minutes for one that has ended, writes its traceback to our output, and gets the Ctrl+C that is meant for us.
    """
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # With a home folder that cannot be written it warns and goes on; ours is elsewhere.
    warnings.filterwarnings("ignore", "Failed to create the Prefect home directory")
    if server is not None:
        os.environ["PREFECT_API_URL"] = f"{server.url}/api"
    use_prefect_of_up(settings().home)
    keep_loopback_direct()
    from labelwright.flows.export_campaign import export_campaign
    from labelwright.flows.finish_campaign import finish_campaign
    from labelwright.flows.launch_campaign import launch_campaign
    from labelwright.flows.platforms.geti_backup import backup_project
    from labelwright.flows.platforms.geti_restore import restore_project
    from labelwright.flows.run_campaign import run_campaign
    from labelwright.flows.settle_failed_images import settle_failed_images
    from labelwright.flows.sweep_campaigns import sweep_campaigns

    _refuse_silent_prefect()
    with contextlib.ExitStack() as stack:
        if server is None and not _configured_prefect():
            server = stack.enter_context(_prefect_for_now(settings().home))
        if server is not None:
            stack.enter_context(without_heartbeats())
        try:
            yield SimpleNamespace(
                backup_project=backup_project,
                export_campaign=export_campaign,
                finish_campaign=finish_campaign,
                launch_campaign=launch_campaign,
                restore_project=restore_project,
                run_campaign=run_campaign,
                settle_failed_images=settle_failed_images,
                sweep_campaigns=sweep_campaigns,
            )
        finally:
            send_what_prefect_holds_back()


@contextlib.contextmanager
def _prefect_for_now(home: Path) -> Iterator[Any]:
    """A Prefect server that ends with the block, and this process set up to talk to it. Raises NotStarted, OSError."""
    from prefect.context import refresh_global_settings_context

    from labelwright.local.servers import start_prefect

    with printing.waiting("starting Prefect") if printing.err.is_terminal else contextlib.nullcontext():
        server = start_prefect(home)
    before = {name: os.environ.get(name) for name in ("PREFECT_API_URL", "PREFECT_HOME")}
    try:
        os.environ["PREFECT_API_URL"] = f"{server.url}/api"
        os.environ.setdefault("PREFECT_HOME", str(home / "prefect"))
        refresh_global_settings_context()
        yield server
    finally:
        try:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
            refresh_global_settings_context()
        finally:
            server.stop()


def without_heartbeats() -> contextlib.AbstractContextManager[Any]:
    """Runs send none: on a server that lives no longer than they do nobody listens, and at its end each flow would wait
    up to a second for the thread that sends them. A frequency that the environment sets holds."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    told = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "PREFECT_RUNNER_HEARTBEAT_FREQUENCY"} & os.environ.keys()
    return contextlib.nullcontext() if told else temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})


def _configured_prefect() -> str | None:
    """The address of the API that flows talk to, from the environment or from a profile of Prefect's."""
    from prefect.settings import PREFECT_API_URL

    url: str | None = PREFECT_API_URL.value()
    return url


def _refuse_silent_prefect() -> None:
    """Raises NotStarted when the Prefect API that is configured does not answer: a flow would end in a traceback."""
    import httpx

    url = _configured_prefect()
    if not url:
        return
    try:  # without the retries of Prefect's own client, and any answer will do: some ask for a credential
        run_within(30, lambda: httpx.get(f"{url.rstrip('/')}/health", timeout=10))
    except (httpx.HTTPError, OutOfTime):
        raise NotStarted(
            f"Prefect's API at {url} does not answer. Nothing was done. Start it with: labelwright up, or unset "
            "PREFECT_API_URL to run with a server of our own"
        ) from None


def send_what_prefect_holds_back() -> None:
    """Prefect sends logs and events from threads of its own; after its server has stopped they would wait for it."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=20)


@contextlib.contextmanager
def servers_at_hand(spec: CampaignSpec, *, keep: bool) -> Iterator[tuple[str | None, Any]]:
    """Start the embedded service and Prefect's server where none is configured.

    Answers the service's address (None: a platform elsewhere) and the Prefect server (None: one elsewhere).
    They are stopped at the end unless they are to be kept and all went well.
    """
    from labelwright.local.servers import start_prefect, start_service

    home, started = settings().home, []
    service = prefect = None
    try:
        if needs_embedded_service(spec):
            with printing.waiting("starting the labeling service"):
                service = start_service(home, keep=keep)
            started.append(service)
            os.environ["LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL"] = f"{service.url}/api/v1"
            forget_settings()
        use_prefect_of_up(home)
        if "PREFECT_API_URL" not in os.environ:
            with printing.waiting("starting Prefect"):
                prefect = start_prefect(home, keep=keep)
            started.append(prefect)
        yield (service.url if service else None), prefect
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            for server in reversed(started):
                server.stop()


def needs_embedded_service(spec: CampaignSpec) -> bool:
    """Whether the campaign labels on this machine and no service runs yet.

    Another program on the port that the service had is left alone: ours takes another one. Raises CannotRun when an
    older version of the service runs there, on the same data.
    """

    if spec.platform != "campaign_api" or spec.connection_name != "campaign_api":
        return False
    configured = settings().connections.get("campaign_api")
    if configured is not None and configured.url:
        return False
    local = settings().embedded_service()
    if local is None or not local.url or local.identity is None:
        return True
    address = urlsplit(local.url)
    try:
        check_address(address.hostname or "", address.port or 80, local.identity)
    except NotProven as error:
        if error.older:
            raise CannotRun(str(error)) from None
        printing.note(str(error))
        return True
    except OSError:
        return True
    return False


def run_here(spec: CampaignSpec, wait_hours: float, look_every: float, *, keep: bool, as_json: bool) -> None:
    """Launch, wait, finish, export, and print what there is."""
    from labelwright.ledger import open_ledger

    with servers_at_hand(spec, keep=keep) as (service, prefect):
        printing.show_addresses(service, prefect and prefect.url, as_json)
        with prefect_runtime(prefect) as flows, printing.progress():
            flows.launch_campaign(spec)
            record = open_ledger(settings().ledger_address()).campaigns.get(spec.title)
            if record.state in OPEN:
                printing_campaigns.show_where_to_label(settings(), spec, record.remote_id, as_json)
            flows.run_campaign(spec, wait_hours=wait_hours, look_every=look_every)
        printing_campaigns.show_campaign(open_ledger(settings().ledger_address()), spec.title, as_json)
        if keep:
            printing.show_kept(service, prefect and prefect.url, as_json)


def receipt_of(name: str, version: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the ledger knows of a registered version, and its receipt. Raises CannotRun, DatasetGone, PlatformError."""
    from labelwright.campaigns.lineage import the_dataset
    from labelwright.tasks.context import CampaignContext, the_ledger
    from labelwright.tasks.export import registration as datasets

    found = the_dataset(the_ledger(), name, version)
    return found, datasets.receipt_of(CampaignContext(found["campaign"]), found["name"], found["version"])


def verify_registered(name: str | None, version: str | None, *, deep: bool = False) -> list[dict[str, Any]]:
    """Every registered version, or one of a dataset, with what is `wrong` with it, what was `unchecked`, and how to
    `repair` it. `deep` reads every byte.

    Raises as `receipt_of` for one dataset; of several, one whose store cannot be asked does not cost the others.
    """
    from labelwright.campaigns.lineage import known_datasets, the_dataset
    from labelwright.platforms import PlatformError
    from labelwright.settings import SettingsError
    from labelwright.tasks.context import CampaignContext, the_ledger
    from labelwright.tasks.export.verification import Verified, Verifier

    ledger, verifier = the_ledger(), Verifier(deep=deep)
    wanted = known_datasets(ledger) if name is None else [the_dataset(ledger, name, version)]
    found = []
    for one in wanted:
        try:
            checked = verifier.verify(CampaignContext(one["campaign"]), one)
        except (PlatformError, SettingsError) as error:
            if len(wanted) == 1:
                raise
            checked = Verified(wrong=[f"could not be compared: {error}"])
        found.append(one | {"wrong": checked.wrong, "unchecked": checked.unchecked, "repair": checked.repair})
    return found


DEMO_TITLE = "demo-photographs"


def demo_spec(folder: Path) -> CampaignSpec:
    from labelwright.demo.photographs import demo_schema, photo_folder

    document = {
        "title": DEMO_TITLE,
        "images": {"folder": str(photo_folder()), "include": ["*.jpg"]},
        "labels": demo_schema(),
        "labeler": "partner@example.com",
        "instructions": "Draw a tight box around each object; follow the outline where the label asks for a polygon.",
        "export": {"folder": str(folder / "datasets")},
        "metadata": {"purpose": "demo"},
    }
    return validate_spec(document, "the demo")


def run_demo(folder: Path, *, keep: bool, as_json: bool) -> None:
    """Everything from photographs to datasets, with a scripted labeling partner. Raises what a real campaign would."""
    from labelwright.campaigns.labeler_keys import LabelerKeys
    from labelwright.demo.partner import label_campaign
    from labelwright.ledger import open_ledger

    os.environ["LABELWRIGHT_HOME"] = str(folder / "home")
    for name in [
        name for name in os.environ if name.startswith("LABELWRIGHT_CONNECTIONS__") or name == "PREFECT_API_URL"
    ]:
        del os.environ[name]  # the demo keeps to itself, whatever this machine is configured for
    forget_settings()
    spec = demo_spec(folder)
    with servers_at_hand(spec, keep=keep) as (service, prefect):
        printing.show_addresses(service, prefect.url, as_json)
        with prefect_runtime(prefect) as flows, printing.progress() as bars:
            flows.launch_campaign(spec)
            ledger = open_ledger(settings().ledger_address())
            record = ledger.campaigns.get(spec.title)
            if record.state is State.ACTIVE:
                access = LabelerKeys(settings().home).find("campaign_api", spec.labeler)
                if access is None or record.remote_id is None:
                    raise CannotRun(f"the labeler's key is gone; remove {folder} and start anew")
                label_campaign(
                    f"{service}/api/v1",
                    record.remote_id,
                    access,
                    lambda done, total: bars(spec.title, "the partner labels", done, total),
                    settings().connection("campaign_api").identity,
                )
            flows.sweep_campaigns()
            if record.state is State.EXPORTED:  # before the sweep, which leaves such a campaign alone
                flows.export_campaign(spec.title)
        printing_campaigns.show_campaign(ledger, spec.title, as_json)
        printing.show_demo_end(folder, service, prefect.url, keep, as_json)


def rotate_labeler_key(spec: CampaignSpec) -> None:
    """Have the platform make a new key for the campaign's labeler, and keep it. Raises CannotRun, PlatformError."""
    from labelwright.campaigns.labeler_keys import LabelerKeys
    from labelwright.platforms.protocol import RotatesLabelerKeys
    from labelwright.tasks.context import platform_for

    platform = platform_for(spec)
    if not isinstance(platform, RotatesLabelerKeys):
        raise CannotRun(f"{platform.name} makes no new keys: ask its operator")
    keys = LabelerKeys(settings().home)
    try:  # before the platform makes a key that nobody else will ever see
        keys.check_writable(spec.connection_name, spec.labeler)
    except OSError as error:
        path = keys.path(spec.connection_name, spec.labeler)
        raise CannotRun(f"{path} cannot be written ({error.strerror}): the old key still holds") from None
    keys.keep(spec.connection_name, platform.rotate_labeler_key(spec.labeler))


def _storage_of(configured: ServiceSettings) -> AzureStorage | None:
    """Raises CannotRun."""
    from labelwright.service.config import AzureStorage

    secret, url = configured.storage_connection_string, configured.storage_account_url
    if secret and url:
        raise CannotRun("LABELWRIGHT_SERVICE__STORAGE_...: set the connection string or the account's URL, not both")
    if secret is None and url is None:
        return None
    return AzureStorage(secret.get_secret_value() if secret else None, url)


def serve_here(host: str, port: int, data_dir: Path | None) -> None:
    """The embedded service, in the foreground, until Ctrl+C or SIGTERM.

    Raises CannotRun, and NotStarted where its disk or its database does not take what it writes.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from labelwright.service.api.errors import Busy
    from labelwright.service.config import ServiceConfig
    from labelwright.service.engines import DatabaseRefused
    from labelwright.service.migrations import SchemaRefused
    from labelwright.service.run import CannotListen, RefusesToListen, serve
    from labelwright.service.storage.protocol import StorageRefused

    found = settings()
    configured, folder = found.service, (data_dir or found.home / "service").resolve()
    interruptions.hang_up_as_terminate()
    os.umask(0o077)  # all that the service writes is its own
    database = "its Postgres database" if configured.database_url else f"its database {folder / 'labelwright.sqlite3'}"
    try:
        if data_dir is None:
            private_folder(found.home)
        private_folder(folder)
        known = (folder / "admin.json").exists()
        serve(
            ServiceConfig(
                data_dir=folder,
                host=host,
                port=port,
                admin_key=configured.admin_key,
                admin_secret=configured.admin_secret.get_secret_value() if configured.admin_secret else None,
                database_url=configured.database_url.get_secret_value() if configured.database_url else None,
                storage=_storage_of(configured),
                dropbox_lifetime=timedelta(seconds=configured.dropbox_lifetime),
            ),
            lambda address: printing.show_service(address, folder / "admin.json", first=not known),
        )
    except (CannotListen, RefusesToListen, DatabaseRefused, SchemaRefused, StorageRefused) as refusal:
        raise CannotRun(str(refusal)) from None
    except (SQLAlchemyError, Busy) as error:
        raise NotStarted(
            f"the labeling service cannot use {database}: {getattr(error, 'orig', error)}. Nothing is lost: see to it "
            "(is the disk full or read-only?), then start it again"
        ) from None
    except OSError as error:
        if _is_about_listening(error):
            raise CannotRun(f"cannot listen on {host}:{port}: {error.strerror}. Give another --port") from None
        raise NotStarted(
            f"the labeling service cannot write {error.filename or folder}: {error.strerror or error}. Nothing is "
            "lost: see to it, then start it again, or give another --data-dir"
        ) from None
    except KeyboardInterrupt:
        printing.note("the labeling service is stopped")


def _is_about_listening(error: OSError) -> bool:
    """Whether an address cannot be listened on; else it is a file or a folder that cannot be used."""
    if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return True
    return error.errno == errno.EACCES and error.filename is None  # a port below 1024


def receive_here(host: str | None, port: int | None) -> None:
    """The receiver, in the foreground, until Ctrl+C or SIGTERM. Raises CannotRun."""
    from labelwright.ledger import open_ledger
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.prefect_integration.deployments import require_prefect_client
    from labelwright.prefect_integration.events import send_to_prefect
    from labelwright.receiver.run import serve

    require_prefect_client()
    found = settings()
    chosen = found.receiver or ReceiverSettings()
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    chosen = chosen.model_copy(update=changes)
    os.umask(0o077)
    private_folder(found.home)
    ledger = open_ledger(found.ledger_address())
    interruptions.hang_up_as_terminate()
    try:
        serve(
            ledger,
            chosen,
            found.home / "receiver.json",
            printing.show_receiver,
            connections=CONNECTIONS,
            send=send_to_prefect,
        )
    except KeyboardInterrupt:
        printing.note("the receiver is stopped")
    except OSError as error:
        if not _is_about_listening(error):
            raise
        raise CannotRun(
            f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror}. Give another --port"
        ) from None
