"""What people see of a run."""

import re

from hypothesis import given
from hypothesis import strategies as st

from labelwright.tasks.reporting import (
    LongWait,
    artifact_key,
    listen,
    log,
    publish_progress,
    report_progress,
    unlisten,
    unwatch,
    watch,
)


@given(st.text(min_size=1, max_size=150))
def test_a_key_is_one_that_prefect_takes(title):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", artifact_key(title, "uploading"))


def test_titles_that_look_alike_have_keys_of_their_own():
    keys = {artifact_key(title, "labeling") for title in ("River", "river", "ri-ver", "ri ver", "река", "море")}
    assert len(keys) == 6


def test_watchers_are_told_until_they_leave():
    calls = []
    watcher = lambda *news: calls.append(news)  # noqa: E731
    watch(watcher)
    publish_progress("river", "uploading", 1, 2)  # outside a run there is no artifact, and no error
    unwatch(watcher)
    report_progress("river", "uploading", 2, 2)
    assert calls == [("river", "uploading", 1, 2)]


def test_a_task_called_as_a_function_can_log():
    log().info("a line")


def test_a_long_wait_is_announced_once_with_its_limit():
    heard: list[str] = []
    listen(heard.append)
    try:
        short = LongWait("nothing happens", 60)
        short.check()
        assert heard == []
        wait = LongWait("cvat has processed a batch of river", 6 * 3600, announced_after=0)
        wait.check()
        wait.check()
    finally:
        unlisten(heard.append)
    assert heard == ["waiting until cvat has processed a batch of river, for at most 6 h"]


def test_a_long_wait_sleeps_a_tenth_of_its_length(monkeypatch):
    now, slept = [100.0], []
    monkeypatch.setattr("labelwright.tasks.reporting.time.monotonic", lambda: now[0])
    monkeypatch.setattr("labelwright.tasks.reporting.time.sleep", slept.append)
    wait = LongWait("the images are processed", 60)
    for moment in (100.0, 110.0, 400.0):
        now[0] = moment
        wait.sleep(at_least=0.05)
    assert slept == [0.05, 1.0, 15.0]
