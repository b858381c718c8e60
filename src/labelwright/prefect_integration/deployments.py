"""Registers one deployment a flow from deployments/prefect.yaml, of an installed package or of a clone."""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import sys
from datetime import timedelta
from functools import cache, partial
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from labelwright import __version__
from labelwright.domain.errors import CannotRun, DeploymentRefused, PathUnusable
from labelwright.settings import settings

from .busy_server import Patience, StillBusy, busy_in, patience
from .client import require_prefect_client

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

POOL = "labelwright"
"""The work pool of all deployments."""

SWEEP = "sweep-campaigns/sweep-campaigns"
"""The deployment of the scheduled sweep."""


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
        raise PathUnusable(f"{target} exists and is not overwritten") from None
    except OSError as error:
        raise PathUnusable(f"{target} cannot be written: {error.strerror}") from None


def deployment_variables() -> dict[str, Any]:
    """Build step of prefect.yaml: the values of its {{ labelwright.… }} placeholders. Raises SettingsError.

    Prefect takes no placeholder for a schedule's interval and no limit of a work queue, and runs build steps before
    each deployment, none after the last one. So both are set when the process of `prefect deploy` ends.
    """
    _set_the_rest_at_exit()
    return {"version": __version__, "finish_by_event": settings().finish_by == "event"}


@cache
def _set_the_rest_at_exit() -> None:
    """In a process of its own: Prefect's client starts threads, which an ending process does not allow."""
    command = [sys.executable, "-c", f"import {__name__} as deployments; deployments.set_what_prefect_leaves_out()"]
    atexit.register(subprocess.run, command, stdin=subprocess.DEVNULL, check=False)


def set_what_prefect_leaves_out() -> None:
    """Sets the sweep's interval to that of the settings, and the limits of the work queues, of what is deployed.

    Prints what fails: nothing catches an error.
    """
    from httpx import HTTPError
    from prefect.exceptions import ObjectNotFound

    interval = settings().sweep_every
    try:
        with require_prefect_client() as client:
            for name in deployment_names(prefect_file()):
                with contextlib.suppress(ObjectNotFound):
                    _limit_work_queue(client, client.read_deployment_by_name(name))
            with contextlib.suppress(ObjectNotFound):
                client.read_deployment_by_name(SWEEP)
                _set_sweep_interval(client, timedelta(seconds=interval))
    except (HTTPError, CannotRun, RuntimeError) as error:
        sys.stderr.write(
            f"labelwright: the interval of sweep-campaigns was not set to {interval:g} seconds, or a work queue has no "
            f"limit ({type(error).__name__}). Repeat with: labelwright deploy\n"
        )


def deploy(file: Path | None = None, pool_type: str = "process") -> list[str]:
    """Registers the deployments of `file`, or the packaged ones, with the configured Prefect server. Idempotent.

    Creates the work pool, of `pool_type`, when it is missing. Registers the block types and, where the settings name a
    container for results, saves its block. Returns the names as FLOW/DEPLOYMENT.

    A busy server gets `prefect_busy_seconds`.

    Raises CannotRun, NotStarted, SettingsError.
    """
    if file is not None and not file.is_file():
        raise PathUnusable(f"{file}: there is no such file")
    file = file or prefect_file()
    from .blocks import register_blocks

    with require_prefect_client() as client, patience() as limit:
        limit.run(lambda: _create_work_pool(client, pool_type))
        _run_prefect(limit, "--no-prompt", "deploy", "--all", "--prefect-file", str(file))
        names = deployment_names(file)
        for name in names:
            deployment = limit.run(partial(_read_deployment, client, name))
            limit.run(partial(_limit_work_queue, client, deployment))
        limit.run(lambda: _set_sweep_interval(client, timedelta(seconds=settings().sweep_every)))
        register_blocks(limit)  # the form of launch-campaign offers them
        results = settings().results
        if results is not None:
            from .result_storage import keep_results_in_blob

            limit.run(partial(keep_results_in_blob, results))
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
        with require_prefect_client() as client, patience():
            return name in online_workers(client)
    except (HTTPError, RuntimeError):
        return False


def _create_work_pool(client: SyncPrefectClient, pool_type: str) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type=pool_type))


def _run_prefect(limit: Patience, *arguments: str) -> None:
    """Runs Prefect's command line, which alone reads prefect.yaml; again when the server was too busy for it.

    Raises CannotRun with the end of its output, NotStarted when the server is busy for too long.
    """
    tries = 0
    while (failure := _run_prefect_once(limit, *arguments)) is not None:
        limit.pause(tries, failure)
        tries += 1


def _run_prefect_once(limit: Patience, *arguments: str) -> str | None:
    """Returns how a busy server failed, None after success. Raises CannotRun, StillBusy."""
    command = [sys.executable, "-m", "prefect", *arguments]
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit.remaining(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StillBusy(
            f"`prefect {' '.join(arguments)}` was not done within {limit.seconds:g} seconds. Run the same command "
            "again when the Prefect server is idle, or set LABELWRIGHT_PREFECT_BUSY_SECONDS to a longer time"
        ) from None
    # It skips what it cannot read, and exits with 0 all the same.
    if process.returncode == 0 and "Skipping" not in process.stdout:
        return None
    busy = busy_in(process.stdout)
    if busy is not None:
        return busy
    tail = "\n".join(f"    {line}" for line in process.stdout.strip().splitlines()[-15:])
    raise DeploymentRefused(f"the deployments were not registered. Prefect's message:\n{tail}")


def _flow_name(entrypoint: str) -> str:
    """Returns the name of the flow at an entrypoint such as package.module.function."""
    module, _, function = entrypoint.rpartition(".")
    return str(getattr(import_module(module), function).name)


def _read_deployment(client: SyncPrefectClient, name: str) -> DeploymentResponse:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        raise DeploymentRefused(f"the deployment {name} was not registered, and Prefect did not say why") from None


def _limit_work_queue(client: SyncPrefectClient, deployment: DeploymentResponse) -> None:
    """Gives a work queue of the deployment's own name the limit of the deployment.

    Workers are offered no run beyond that. With the deployment's limit alone they are offered all of them every 30
    seconds, and each refusal is a new state: with a hundred runs the server is busy with that.
    """
    limit = deployment.global_concurrency_limit
    if limit is None or deployment.work_queue_name != deployment.name:
        return
    queue = client.read_work_queue_by_name(deployment.work_queue_name, work_pool_name=deployment.work_pool_name)
    if queue.concurrency_limit != limit.limit:
        client.update_work_queue(queue.id, concurrency_limit=limit.limit)


def _set_sweep_interval(client: SyncPrefectClient, interval: timedelta) -> None:
    """Sets the sweep's schedule from the settings: prefect.yaml takes no placeholder for an interval."""
    from prefect.client.schemas.schedules import IntervalSchedule

    sweep = _read_deployment(client, SWEEP)
    for entry in sweep.schedules:
        if isinstance(entry.schedule, IntervalSchedule) and entry.schedule.interval != interval:
            schedule = entry.schedule.model_copy(update={"interval": interval})
            client.update_deployment_schedule(sweep.id, entry.id, schedule=schedule)
