"""Deployments: one a flow, registered from one file, whether the package is installed or a clone."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from labelwright import __version__
from labelwright.domain.errors import CannotRun
from labelwright.local.servers import NotStarted, use_prefect_of_up
from labelwright.settings import settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

POOL = "labelwright"
"""The work pool of all deployments."""

_PATIENCE = 300


def packaged(name: str) -> Path:
    """A file of deployments/, which is installed beside the flows as it stands beside them in a clone."""
    import labelwright.flows

    return Path(str(labelwright.flows.__file__)).parent.parent / "deployments" / name


def prefect_file() -> Path:
    return packaged("prefect.yaml")


def write_prefect_file(target: Path) -> None:
    """Copy it, for people to change. Raises CannotRun rather than overwrite what stands there."""
    write_new(target, prefect_file().read_text(encoding="utf-8"))


def write_new(target: Path, text: str) -> None:
    """A file for people to change, whole or not at all. Raises CannotRun rather than overwrite what stands there."""
    try:
        with target.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except BaseException:  # else the same command would find half a file, and refuse
                target.unlink()
                raise
    except FileExistsError:
        raise CannotRun(f"{target} exists and is not overwritten") from None
    except OSError as error:
        raise CannotRun(f"{target} cannot be written: {error.strerror}") from None


def deployment_variables() -> dict[str, Any]:
    """The build step of prefect.yaml: what its {{ labelwright.… }} are filled with. Raises SettingsError."""
    return {"version": __version__, "finish_by_event": settings().finish_by == "event"}


def deploy(file: Path | None = None, pool_type: str = "process") -> list[str]:
    """Register the deployments of `file`, or the packaged ones, with the Prefect server that is configured.

    Makes the work pool when it is missing, of `pool_type`. Said again, it updates what is there. Answers the names, as
    FLOW/DEPLOYMENT. Where the settings name a container for results, its block is saved too. Raises CannotRun,
    NotStarted, SettingsError.
    """
    from .blocks import register_blocks

    file = file or prefect_file()
    client = require_prefect_client()
    with client:
        _make_pool(client, pool_type)
        _prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(file))
        names = [_full_name(one) for one in _deployments_in(file)]
        for name in names:
            _found(client, name)
        _set_interval(client, timedelta(seconds=settings().sweep_every))
    register_blocks()  # the form of launch-campaign offers them
    results = settings().results
    if results is not None:
        from .result_storage import keep_results_in_blob

        keep_results_in_blob(results)
    return names


def require_prefect_client() -> SyncPrefectClient:
    """For the Prefect server that is configured. Raises CannotRun when there is none."""
    use_prefect_of_up(settings().home)
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        raise CannotRun(
            "no Prefect server is configured. Start everything with: labelwright up. Or name one with PREFECT_API_URL"
        )
    return get_client(sync_client=True)


def knows_worker(name: str) -> bool:
    """Whether the configured Prefect server knows a worker of our pool by that name; False while it does not answer."""
    from httpx import HTTPError

    try:
        with require_prefect_client() as client:
            path = {"work_pool_name": POOL}
            said = client.request("POST", "/work_pools/{work_pool_name}/workers/filter", path_params=path, json={})
            return any(one["name"] == name and one["status"] == "ONLINE" for one in said.json())
    except (HTTPError, RuntimeError):
        return False


def _make_pool(client: SyncPrefectClient, pool_type: str) -> None:
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


def _prefect(*arguments: str) -> None:
    """Run Prefect's own command. Raises CannotRun with the end of what it said."""
    command = [sys.executable, "-m", "prefect", *arguments]
    try:
        said = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotStarted(f"`prefect {' '.join(arguments)}` was not done within {_PATIENCE} seconds") from None
    # It skips what it cannot read, and ends with 0 all the same.
    if said.returncode != 0 or "Skipping" in said.stdout:
        tail = "\n".join(f"    {line}" for line in said.stdout.strip().splitlines()[-15:])
        raise CannotRun(f"the deployments were not registered. Prefect said:\n{tail}")


def _deployments_in(file: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    return list(document["deployments"])


def _full_name(deployment: dict[str, Any]) -> str:
    from importlib import import_module

    module, _, flow = deployment["entrypoint"].rpartition(".")
    return f"{getattr(import_module(module), flow).name}/{deployment['name']}"


def _found(client: SyncPrefectClient, name: str) -> Any:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        raise CannotRun(f"the deployment {name} was not registered, and Prefect did not say why") from None


def _set_interval(client: SyncPrefectClient, every: timedelta) -> None:
    """The sweep's schedule as the settings want it: a template cannot stand for a schedule in prefect.yaml."""
    from prefect.client.schemas.schedules import IntervalSchedule

    sweep = _found(client, "sweep-campaigns/sweep-campaigns")
    for one in sweep.schedules:
        if isinstance(one.schedule, IntervalSchedule) and one.schedule.interval != every:
            changed = one.schedule.model_copy(update={"interval": every})
            client.update_deployment_schedule(sweep.id, one.id, schedule=changed)
