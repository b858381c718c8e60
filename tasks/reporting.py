"""Logs, progress and artifacts: what people see of a run, in the Prefect UI and on a terminal."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from httpx import HTTPError, HTTPStatusError
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import PrefectException
from prefect.logging import get_logger, get_run_logger
from prefect.logging.loggers import LoggingAdapter

from labelwright.campaigns.artifact_keys import artifact_key
from labelwright.campaigns.outlook import in_words
from labelwright.network.guards import before_change

Watcher = Callable[[str, str, int, int], None]
"""Called with the campaign's title, the kind of work, and how many of how many are done."""

_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> None:
    """Report the progress of runs in this process to a terminal."""
    _watchers.append(watcher)


def unwatch(watcher: Watcher) -> None:
    _watchers.remove(watcher)


_listeners: list[Callable[[str], None]] = []


def listen(listener: Callable[[str], None]) -> None:
    """Pass announcements of runs in this process to a terminal."""
    _listeners.append(listener)


def unlisten(listener: Callable[[str], None]) -> None:
    _listeners.remove(listener)


def announce(text: str) -> None:
    """Log a text and pass it to the terminals that listen."""
    log().info("%s", text)
    for listener in _listeners:
        listener(text)


class LongWait:
    """Announces a wait once, when it has lasted some seconds."""

    def __init__(self, waiting_for: str, at_most: float, announced_after: float = 10.0) -> None:
        self._text = f"waiting until {waiting_for}, for at most {in_words(timedelta(seconds=at_most))}"
        self._begun = time.monotonic()
        self._due: float | None = self._begun + announced_after

    def check(self) -> None:
        """Announce the wait when it is due. Call it in every round of the wait."""
        if self._due is not None and time.monotonic() >= self._due:
            self._due = None
            announce(self._text)

    def sleep(self, at_least: float, at_most: float = 15.0) -> None:
        """Sleep until the next round: a tenth of the wait so far, so that little is lost after its end."""
        time.sleep(min(max(at_least, (time.monotonic() - self._begun) / 10), at_most))


def in_a_run() -> bool:
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


_publishing_outside = ContextVar("publishing outside of runs", default=False)


@contextmanager
def publishing_outside_of_runs() -> Iterator[None]:
    """Publish artifacts though no run is under way: Prefect's API is known to respond."""
    token = _publishing_outside.set(True)
    try:
        yield
    finally:
        _publishing_outside.reset(token)


def publishes() -> bool:
    """Whether artifacts are published: in a run, or in `publishing_outside_of_runs`."""
    return in_a_run() or _publishing_outside.get()


def log() -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    """The run's logger, or a plain one where a task's function is called outside of a run."""
    return get_run_logger() if in_a_run() else LoggingAdapter(get_logger("labelwright"))


def report_progress(title: str, doing: str, done: int, total: int) -> None:
    """Report to the watchers alone; `publish_progress` writes the artifact too, once a task."""
    for watcher in _watchers:
        watcher(title, doing, done, total)


def publish_progress(title: str, doing: str, done: int, total: int, ends: datetime | None = None) -> None:
    """Write the progress artifact of a campaign and a kind of work. Its key is stable, so it is one that is updated."""
    report_progress(title, doing, done, total)
    expected = f", expected end {ends:%Y-%m-%d %H:%M} UTC" if ends is not None and done < total else ""
    publish(
        create_progress_artifact,
        progress=100 * done / total if total else 100.0,
        key=artifact_key(title, doing),
        description=f"{title}: {doing}, {done:,} of {total:,}{expected}",
    )


def publish_table(title: str, name: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    publish(create_table_artifact, table=list(rows), key=artifact_key(title, name), description=description)


def update_table(title: str, name: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    """Write a table that has no earlier versions: its artifact is updated, so that sweeps do not add one each."""
    publish(_put_table, table=list(rows), key=artifact_key(title, name), description=description)


def _put_table(*, table: list[dict[str, Any]], key: str, description: str) -> None:
    """Update the newest artifact of that key, or create it when there is none."""
    data = json.dumps(table)  # as Prefect's own function stores it
    of_key = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        for newest in client.read_latest_artifacts(artifact_filter=of_key):
            if (newest.data, newest.description) == (data, description):
                return
            path, change = {"id": newest.latest_id}, {"data": data, "description": description}
            try:  # not by `update_artifact`, which sends the whole table as an event too
                client.request("PATCH", "/artifacts/{id}", path_params=path, json=change)
            except HTTPStatusError as error:
                if error.response.status_code != HTTPStatus.NOT_FOUND:  # somebody deleted it
                    raise
            else:
                return
    create_table_artifact(table=table, key=key, description=description)


def create_page(*, markdown: str, key: str, description: str) -> None:
    """Create a markdown artifact, also outside of runs, where Prefect's own function is deprecated."""
    if in_a_run():
        create_markdown_artifact(markdown=markdown, key=key, description=description)
        return
    with get_client(sync_client=True) as client:
        client.create_artifact(ArtifactCreate(type="markdown", key=key, description=description, data=markdown))


def publish(create: Callable[..., Any], **artifact: Any) -> bool:
    """Create an artifact. When Prefect's API is away, this is logged and work goes on. Returns whether it responded."""
    if not publishes():
        return True
    before_change()
    try:
        create(**artifact)
    except (HTTPError, PrefectException) as error:
        log().warning(
            "the artifact %s could not be written: Prefect's API did not respond (%s)",
            artifact["key"],
            type(error).__name__,
        )
        return isinstance(error, HTTPStatusError)
    return True
