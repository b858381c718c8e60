"""Prefect's server as the doctor sees it: its version, its workers, and our deployments on it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from labelwright import __version__
from labelwright.settings import Settings

from .clocks import clock, plain
from .findings import Finding, Level


def prefect(given: Settings) -> Iterator[Finding]:
    from labelwright.domain.errors import CannotRun
    from labelwright.prefect_integration.deployments import POOL, prefect_file, require_prefect_client
    from labelwright.prefect_integration.deployments import _deployments_in as deployments_in
    from labelwright.prefect_integration.deployments import _full_name as full_name

    try:
        client = require_prefect_client()
    except CannotRun as error:
        yield Finding("prefect", Level.WARNING, str(error), "Without one, runs use a server that ends with them")
        return
    from httpx import HTTPError
    from prefect.exceptions import ObjectNotFound

    address = str(client.api_url)
    try:
        with client:
            theirs = str(client.request("GET", "/admin/version").json())
            yield _compared(theirs, version("prefect"), address)
            yield from clock("prefect", address)
            try:
                pool = client.read_work_pool(POOL)
            except ObjectNotFound:
                yield Finding("prefect", Level.ERROR, f"it has no work pool '{POOL}'", "labelwright deploy")
                return
            path = {"work_pool_name": POOL}
            said = client.request("POST", "/work_pools/{work_pool_name}/workers/filter", path_params=path, json={})
            online = sum(one["status"] == "ONLINE" for one in said.json())
            says = f"work pool '{POOL}' ({pool.type}): {online} workers are there"
            if pool.is_paused:
                yield Finding(
                    "prefect", Level.ERROR, f"work pool '{POOL}' is paused", f"prefect work-pool resume {POOL}"
                )
            elif not online:
                yield Finding("prefect", Level.ERROR, says, f"prefect worker start --pool {POOL}")
            else:
                yield Finding("prefect", Level.OK, says)
            for deployment in deployments_in(prefect_file()):
                name = full_name(deployment)
                try:
                    there = client.read_deployment_by_name(name)
                except ObjectNotFound:
                    yield Finding("prefect", Level.ERROR, f"deployment {name} is missing", "labelwright deploy")
                    continue
                if there.paused:
                    do = f"prefect deployment schedule resume {name} ID, or the switch in the UI"
                    yield Finding("prefect", Level.WARNING, f"deployment {name} is paused", do)
                elif there.version not in (None, __version__):
                    says = f"deployment {name} is of version {there.version}, this is {__version__}"
                    yield Finding("prefect", Level.WARNING, says, "labelwright deploy")
                else:
                    yield Finding("prefect", Level.OK, f"deployment {name}")
    except (HTTPError, RuntimeError) as error:
        says = f"{plain(address)} does not answer: {type(error).__name__}"
        yield Finding("prefect", Level.ERROR, says, "Start it, or mend PREFECT_API_URL and PREFECT_API_AUTH_STRING")


def _compared(theirs: str, ours: str, address: str) -> Finding:
    says = f"{plain(address)} is Prefect {theirs}"
    if theirs.split(".")[:2] == ours.split(".")[:2]:
        return Finding("prefect", Level.OK, says)
    newer = "the server's" if theirs > ours else "this machine's"
    do = "Bring server and workers to one version; the server may be the newer one"
    return Finding("prefect", Level.WARNING, f"{says}, here is {ours}: {newer} is newer", do)
