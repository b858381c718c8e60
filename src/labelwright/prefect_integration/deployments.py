"""Registers one deployment a flow from deployments/prefect.yaml, of an installed package or of a clone."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from labelwright import __version__
from labelwright.domain.errors import CannotRun
from labelwright.local.servers import NotStarted
from labelwright.settings import settings

from .client import require_prefect_client

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

POOL = "labelwright"
"""The work pool of all deployments."""

_DEPLOY_TIMEOUT = 300
"""Seconds that `prefect deploy` may take."""

_SWEEP = "sweep-campaigns/sweep-campaigns"


def packaged(name: str) -> Path:
    """Returns the path of a file of deployments/, which is installed as a package."""
    return Path(str(files("labelwright.deployments") / name))


def prefect_file() -> Path:
    return packaged("prefect.yaml")


def write_prefect_file(target: Path) -> None:
    """Copies the packaged prefect.yaml, to be edited. Raises CannotRun when the file exists."""
    write_new(target, prefect_file().read_text(encoding="utf-8"))


def write_new(target: Path, text: str) -> None:
    """Writes a file completely or not at all. Raises CannotRun when it exists or cannot be written."""
    try:
        with target.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except BaseException:  # with half a file there, the same command would refuse
                target.unlink()
                raise
    except FileExistsError:
        raise CannotRun(f"{target} exists and is not overwritten") from None
    except OSError as error:
        raise CannotRun(f"{target} cannot be written: {error.strerror}") from None


def deployment_variables() -> dict[str, Any]:
    """Build step of prefect.yaml: the values of its {{ labelwright.… }} placeholders. Raises SettingsError."""
    return {"version": __version__, "finish_by_event": settings().finish_by == "event"}


def deploy(file: Path | None = None, pool_type: str = "process") -> list[str]:
    """Registers the deployments of `file`, or the packaged ones, with the configured Prefect server. Idempotent.

    Creates the work pool, of `pool_type`, when it is missing. Registers the block types and, where the settings name a
    container for results, saves its block. Returns the names as FLOW/DEPLOYMENT.

    Raises CannotRun, NotStarted, SettingsError.
    """
    if file is not None and not file.is_file():
        raise CannotRun(f"{file}: there is no such file")
    file = file or prefect_file()
    with require_prefect_client() as client:
        _create_work_pool(client, pool_type)
        _run_prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(file))
        names = deployment_names(file)
        for name in names:
            _read_deployment(client, name)
        _set_sweep_interval(client, timedelta(seconds=settings().sweep_every))
    from .blocks import register_blocks

    register_blocks()  # the form of launch-campaign offers them
    results = settings().results
    if results is not None:
        from .result_storage import keep_results_in_blob

        keep_results_in_blob(results)
    return names


def deployment_names(file: Path) -> list[str]:
    """Returns the deployments of a prefect.yaml as FLOW/DEPLOYMENT."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [f"{_flow_name(deployment['entrypoint'])}/{deployment['name']}" for deployment in document["deployments"]]


def online_workers(client: SyncPrefectClient) -> list[str]:
    """Returns the names of the work pool's workers that are online."""
    from prefect.client.schemas.objects import WorkerStatus

    workers = client.read_workers_for_work_pool(POOL)
    return [worker.name for worker in workers if worker.status is WorkerStatus.ONLINE]


def is_worker_online(name: str) -> bool:
    """Whether the configured Prefect server has that worker online; False while the server does not respond."""
    from httpx import HTTPError

    try:
        with require_prefect_client() as client:
            return name in online_workers(client)
    except (HTTPError, RuntimeError):
        return False


def _create_work_pool(client: SyncPrefectClient, pool_type: str) -> None:
    from httpx import HTTPError
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    try:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=POOL, type=pool_type))
    except ObjectAlreadyExists:
        pass
    except HTTPError as error:
        raise NotStarted(f"the Prefect server at {client.api_url} did not answer: {type(error).__name__}") from None


def _run_prefect(*arguments: str) -> None:
    """Runs Prefect's command line, which alone reads prefect.yaml. Raises CannotRun with the end of its output."""
    command = [sys.executable, "-m", "prefect", *arguments]
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DEPLOY_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotStarted(f"`prefect {' '.join(arguments)}` was not done within {_DEPLOY_TIMEOUT} seconds") from None
    # It skips what it cannot read, and exits with 0 all the same.
    if process.returncode != 0 or "Skipping" in process.stdout:
        tail = "\n".join(f"    {line}" for line in process.stdout.strip().splitlines()[-15:])
        raise CannotRun(f"the deployments were not registered. Prefect's message:\n{tail}")


def _flow_name(entrypoint: str) -> str:
    """Returns the name of the flow at an entrypoint such as package.module.function."""
    module, _, function = entrypoint.rpartition(".")
    return str(getattr(import_module(module), function).name)


def _read_deployment(client: SyncPrefectClient, name: str) -> DeploymentResponse:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        raise CannotRun(f"the deployment {name} was not registered, and Prefect did not say why") from None


def _set_sweep_interval(client: SyncPrefectClient, interval: timedelta) -> None:
    """Sets the sweep's schedule from the settings: prefect.yaml takes no template for a schedule."""
    from prefect.client.schemas.schedules import IntervalSchedule

    sweep = _read_deployment(client, _SWEEP)
    for entry in sweep.schedules:
        if isinstance(entry.schedule, IntervalSchedule) and entry.schedule.interval != interval:
            schedule = entry.schedule.model_copy(update={"interval": interval})
            client.update_deployment_schedule(sweep.id, entry.id, schedule=schedule)
