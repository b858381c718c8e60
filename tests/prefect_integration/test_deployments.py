"""deployments/prefect.yaml names flows that exist, one deployment each."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import yaml
from prefect import Flow

from labelwright.tasks.sweep.dead_runs import FLOWS

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]


def flow_of(entrypoint: str) -> Flow:
    module, name = entrypoint.rsplit(".", 1)
    return getattr(import_module(module), name)


def test_every_flow_has_one_deployment_of_its_name():
    assert {deployment["name"] for deployment in DEPLOYMENTS} == {
        flow_of(deployment["entrypoint"]).name for deployment in DEPLOYMENTS
    }
    files = {path.stem for path in (ROOT / "flows").rglob("*_*.py") if path.stem != "__init__"}
    assert {deployment["entrypoint"].split(".")[-2] for deployment in DEPLOYMENTS} == files


def test_every_flow_of_the_package_is_deployed():
    """A module may define several flows; each has an entrypoint of its own."""
    entrypoints = {deployment["entrypoint"] for deployment in DEPLOYMENTS}
    for module in sorted({entrypoint.rpartition(".")[0] for entrypoint in entrypoints}):
        flows = {name: value for name, value in vars(import_module(module)).items() if isinstance(value, Flow)}
        own = {f"{module}.{name}" for name, value in flows.items() if value.fn.__module__ == module}
        assert own <= entrypoints


def test_every_deployment_has_a_description_and_a_work_pool():
    for deployment in DEPLOYMENTS:
        assert deployment["description"].endswith(".")
        assert deployment["work_pool"]["name"]


def test_every_flow_holds_a_lease_that_shows_it_is_alive():
    """By a lease that the flow holds all the time."""
    assert sorted(FLOWS) == sorted(deployment["name"] for deployment in DEPLOYMENTS)
    lease = re.compile(r"^    with (?:named|campaign)_lock|^@with_run_lease$|\(with_run_lease\(", re.MULTILINE)
    for deployment in DEPLOYMENTS:
        code = inspect.getsource(inspect.getmodule(inspect.unwrap(flow_of(deployment["entrypoint"]).fn)))
        assert lease.search(code), deployment["name"]


def test_sweeps_of_a_night_without_a_worker_do_not_all_start_and_a_dead_one_leaves_room():
    sweep = next(deployment for deployment in DEPLOYMENTS if deployment["name"] == "sweep-campaigns")
    expected = {"limit": 4, "grace_period_seconds": 60, "collision_strategy": "CANCEL_NEW"}
    assert sweep["concurrency_limit"] == expected


def test_a_deployment_whose_runs_wait_has_a_work_queue_of_its_own():
    """Its limit keeps runs that have to wait from being offered to workers again and again."""
    for deployment in DEPLOYMENTS:
        waits = deployment.get("concurrency_limit", {}).get("collision_strategy") == "ENQUEUE"
        assert deployment["work_pool"]["work_queue_name"] == (deployment["name"] if waits else "default")
