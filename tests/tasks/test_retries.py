"""The one retry policy, and that nothing is answered from what Prefect keeps."""

import pickle
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pkgutil import walk_packages

import pytest
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed
from sqlalchemy.exc import OperationalError

from labelwright.platforms import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable
from labelwright.settings import settings
from labelwright.tasks import retries as retrying
from labelwright.tasks.reporting import listen, unlisten
from labelwright.tasks.retries import RETRY_POLICY, is_transient, is_transient_announced


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (PlatformUnavailable("x", "y", status=503), True),
        (PlatformUnavailable("x", "y"), True),
        (OperationalError("select", {}, Exception("database is locked")), True),
        (PlatformRefused("x", "y", status=422), False),
        (AccessDenied("x", "y", status=401), False),
        (NotFound("x", "y", status=404), False),
        (ValueError("ours"), False),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error, again):
    assert is_transient(None, None, Failed(data=error)) is again


def test_a_retry_comes_no_earlier_than_the_server_asked(monkeypatch):
    held: list[float] = []
    monkeypatch.setattr(retrying, "wait", held.append)
    error = PlatformUnavailable("x", "y", status=429, retry_after=200)
    assert is_transient(None, None, Failed(data=error)) is True
    assert 199 <= held[0] <= 200
    late = PlatformUnavailable(
        "x", "y", status=429, retry_after=200, not_before=datetime.now(UTC) - timedelta(seconds=1)
    )
    assert is_transient(None, None, Failed(data=late)) is True
    assert len(held) == 1, "what is over is not waited for"


def test_a_retry_is_announced_once_with_its_cause_and_its_wait():
    heard: list[str] = []
    task, run = Task(lambda: None, **RETRY_POLICY), TaskRun(task_key="x", dynamic_key="1", name="create campaign a")
    delays = settings().retry_delays
    listen(heard.append)
    try:
        for run.run_count, message in ((1, "nobody is there"), (1, "nobody is there"), (9, "still nobody")):
            error = PlatformUnavailable("x", "read it", message=message)
            assert is_transient_announced(task, run, Failed(data=error)) is True
        database = OperationalError("select CANARY", {"a": "CANARY"}, Exception("database is locked"))
        assert is_transient_announced(task, run, Failed(data=database)) is True
        assert is_transient_announced(task, run, Failed(data=PlatformRefused("x", "y", status=422))) is False
    finally:
        unlisten(heard.append)
    assert heard == [
        "create campaign a: x did not answer when asked to read it: nobody is there. "
        f"Trying again in {delays[0]:.0f} s (retry 1 of {len(delays)})",
        "create campaign a: x did not answer when asked to read it: still nobody. "
        f"Trying again in {delays[-1]:.0f} s (retry 9 of {len(delays)})",
        "create campaign a: the ledger's database is busy (database is locked). "
        f"Trying again in {delays[-1]:.0f} s (retry 9 of {len(delays)})",
    ]


def test_a_long_retry_after_is_left_to_a_later_sweep(monkeypatch):
    monkeypatch.setattr(retrying, "wait", lambda seconds: pytest.fail(f"held for {seconds} seconds"))
    error = PlatformUnavailable("x", "y", status=503, retry_after=settings().longest_wait + 10)
    assert is_transient(None, None, Failed(data=error)) is False


def test_an_error_keeps_its_retry_after_when_pickled():
    error = PlatformUnavailable(
        "azure", "register", status=429, message="slow down", advice="Try again.", retry_after=90
    )
    until = error.not_before
    assert str(error).startswith(
        "azure answered 429 when asked to register: slow down. The server asks to wait 90 seconds (until "
    )
    assert str(error).endswith(f"{until:%H:%M} UTC).")
    assert "Try again" not in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.retry_after, again.not_before, str(again)) == (90, until, str(error))
    assert str(PlatformUnavailable("azure", "register", message="slow down", advice="Try again.")).endswith(
        "Try again."
    )


def test_every_task_that_calls_a_platform_has_the_policy():
    from labelwright.tasks.campaign import image_set_upload
    from labelwright.tasks.campaign import lifecycle as campaigns
    from labelwright.tasks.export import labels

    for module in (campaigns, image_set_upload, labels):
        for name, member in vars(module).items():
            if hasattr(member, "retries") and name not in ("check_labels", "ask_for_attention"):
                assert member.retries == RETRY_POLICY["retries"], name
                assert member.retry_condition_fn is is_transient_announced, name


def test_no_task_reuses_stored_results():
    """A second look for missing images, in one run, would else be answered by the first."""
    import labelwright.tasks

    tasks = {}
    for module in walk_packages(labelwright.tasks.__path__, "labelwright.tasks."):
        members = vars(import_module(module.name)).items()
        tasks |= {f"{module.name}.{name}": task for name, task in members if isinstance(task, Task)}
    assert len(tasks) > 100
    assert [name for name, task in tasks.items() if task.cache_policy != NO_CACHE] == []


def test_run_names_read():
    from labelwright.tasks.campaign.image_set_upload import upload_batch

    assert upload_batch.task_run_name.format(batch=3, title="river-2026") == "upload-batch-003 of river-2026"
