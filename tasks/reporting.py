"""Logs, progress and artifacts: what people see of a run, in the Prefect UI and on a terminal."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from httpx import HTTPError
from prefect.artifacts import create_progress_artifact, create_table_artifact
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import PrefectException
from prefect.logging import get_logger, get_run_logger
from prefect.logging.loggers import LoggingAdapter

from labelwright.campaigns.outlook import in_words

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
        self._due: float | None = time.monotonic() + announced_after

    def check(self) -> None:
        """Announce the wait when it is due. Call it in every round of the wait."""
        if self._due is not None and time.monotonic() >= self._due:
            self._due = None
            announce(self._text)


def in_a_run() -> bool:
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


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


def publish(create: Callable[..., Any], **artifact: Any) -> None:
    """Create an artifact. When Prefect's API is away, this is logged and the work goes on."""
    if not in_a_run():
        return
    try:
        create(**artifact)
    except (HTTPError, PrefectException) as error:
        log().warning(
            "the artifact %s could not be written: Prefect's API did not respond (%s)",
            artifact["key"],
            type(error).__name__,
        )


def artifact_key(title: str, name: str) -> str:
    """A key of lower-case letters, digits and dashes, as Prefect requires; a hash keeps similar titles apart."""
    plain = re.sub(r"[^a-z0-9]+", "-", f"{title}-{name}".lower()).strip("-")
    if plain == f"{title}-{name}":
        return plain
    return f"{plain}-{sha256(title.encode()).hexdigest()[:8]}"
