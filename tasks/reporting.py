"""What people see of a run: a progress bar where they look, in the Prefect UI or on a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from httpx import HTTPError
from prefect.artifacts import create_progress_artifact, create_table_artifact
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import PrefectException
from prefect.logging import get_logger, get_run_logger
from prefect.logging.loggers import LoggingAdapter

Watcher = Callable[[str, str, int, int], None]
"""Told the campaign, what is being done, and how much of how many."""

_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> None:
    """Let a terminal follow the progress of runs in this process."""
    _watchers.append(watcher)


def unwatch(watcher: Watcher) -> None:
    _watchers.remove(watcher)


_listeners: list[Callable[[str], None]] = []


def listen(listener: Callable[[str], None]) -> None:
    """Let a terminal hear what people have to know before it happens."""
    _listeners.append(listener)


def unlisten(listener: Callable[[str], None]) -> None:
    _listeners.remove(listener)


def announce(text: str) -> None:
    """Say something in the log, and wherever a person looks on."""
    log().info("%s", text)
    for listener in _listeners:
        listener(text)


def in_a_run() -> bool:
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def log() -> Any:
    """The run's logger, or a plain one where a task's function is called without Prefect."""
    return get_run_logger() if in_a_run() else LoggingAdapter(get_logger("labelwright"))


def report_progress(title: str, doing: str, done: int, total: int) -> None:
    """Tell the watchers at once. The artifact is written by `publish_progress`, once a task."""
    for watcher in _watchers:
        watcher(title, doing, done, total)


def publish_progress(title: str, doing: str, done: int, total: int, ends: datetime | None = None) -> None:
    """One progress artifact a campaign and kind of work, under a stable key."""
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
    """Show something in the Prefect UI. While its API is away the work goes on without."""
    if not in_a_run():
        return
    try:
        create(**artifact)
    except (HTTPError, PrefectException) as error:
        log().warning("%s cannot be shown: Prefect's API did not take it (%s)", artifact["key"], type(error).__name__)


def artifact_key(title: str, name: str) -> str:
    """Prefect takes lower-case letters, digits and dashes. Titles that would fall together keep a number apart."""
    plain = re.sub(r"[^a-z0-9]+", "-", f"{title}-{name}".lower()).strip("-")
    if plain == f"{title}-{name}":
        return plain
    from hashlib import sha256

    return f"{plain}-{sha256(title.encode()).hexdigest()[:8]}"
