"""Builds the inventory of a source: every image checked and hashed, every other file rejected with a reason."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from labelwright.domain import Image, Reject, VideoFrame
from labelwright.ingest.sources.local import CannotRead, Source, SourceFile, same_name
from labelwright.network.deadlines import FOR_EVER, Deadline, carry_limit, current_limit
from labelwright.platforms.errors import PlatformUnavailable

from .decode import STANDARD, Limits, check_image, too_large
from .duplicates import FirstSeen

_LOOK_AHEAD = 8  # files a thread, so that one large image does not stop the others


@dataclass(frozen=True, slots=True)
class InventoryItem:
    """An accepted image, and the location by which its source opens it."""

    image: Image
    location: str
    source_name: str | None = None
    group: str | None = None
    frame: VideoFrame | None = None
    """See SourceFile."""


Checked = Image | Reject | PlatformUnavailable
"""Result for a file. PlatformUnavailable: it may be readable later."""


class RemoteChecker(Protocol):
    """Checks files of the same source on other machines."""

    batch: int
    """Files per call."""
    ahead: int
    """Batches that may be in progress."""

    def check(self, files: list[SourceFile]) -> Callable[[], list[Checked]]:
        """Starts checking. The returned function waits for the results, in the files' order."""
        ...


def build_inventory(
    source: Source,
    limits: Limits = STANDARD,
    *,
    threads: int | None = None,
    known: Callable[[SourceFile], Image | None] | None = None,
    give_up: bool = False,
    elsewhere: RemoteChecker | None = None,
) -> Iterator[InventoryItem | Reject]:
    """Yields images and rejects in the source's order. `threads`: by default two more than processors.

    `known` may return the result of an earlier check; the file is then not opened. It is called in the caller's
    thread. Of several files with the same name or content the first is accepted and the others are rejects. Names that
    differ only in case are different, as in every blob store.

    Files that may be readable later (a server's 503) are skipped, and raised as one PlatformUnavailable at the end;
    with `give_up`, for a last attempt, they are rejects. Raises SourceError, and AccessDenied at once. Memory: a few
    files per thread, not the number of images.

    With `elsewhere`, full batches are checked remotely and the rest here.
    """
    threads = threads or (os.cpu_count() or 1) + 2
    missed: list[PlatformUnavailable] = []
    missed_count = 0
    with FirstSeen() as seen_images:
        if elsewhere is None:
            checked = _checked(source, source.find(), limits, threads, known)
        else:
            checked = _checked_elsewhere(source, limits, threads, known, elsewhere)
        for file, result in checked:
            if isinstance(result, PlatformUnavailable):
                if give_up:
                    why = f"could not be fetched ({result.message}); the server may respond later"
                    yield Reject(file.source_name or file.name, why)
                else:
                    missed_count += 1
                    missed[:] = missed or [result]
            elif isinstance(result, Reject):
                yield replace(result, name=file.source_name or result.name)
            else:
                yield _accepted(result, file, seen_images)
    if missed:
        first = missed[0]
        raise PlatformUnavailable(
            first.platform,
            first.operation,
            status=first.status,
            message=f"{missed_count} files could not be fetched, the first: {first.message}",
            advice="Run it again later: files that are checked are not fetched again.",
            retry_after=first.retry_after,
        )


def _accepted(image: Image, file: SourceFile, seen_images: FirstSeen) -> InventoryItem | Reject:
    taken = seen_images.first("name", image.name)
    if taken is not None:
        return Reject(file.source_name or image.name, same_name(taken, file.location))
    same_content = seen_images.first("sha256", image.sha256)
    if same_content is not None:
        return Reject(file.source_name or image.name, f"is exactly the same file as '{same_content}', which is taken")
    seen_images.remember("name", image.name, file.location)
    seen_images.remember("sha256", image.sha256, image.name)
    return InventoryItem(image, file.location, file.source_name, file.group, file.frame)


def _checked(
    source: Source,
    files: Iterator[SourceFile | Reject],
    limits: Limits,
    threads: int,
    known: Callable[[SourceFile], Image | None] | None,
) -> Iterator[tuple[SourceFile, Checked]]:
    limit = Deadline(FOR_EVER, current_limit())
    check = carry_limit(_check, limit)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="check")
    waiting: deque[tuple[SourceFile, Future[Checked]]] = deque()
    try:
        for file in files:
            if isinstance(file, Reject):
                waiting.append((SourceFile(file.name, ""), _done(file)))
            else:
                image = known(file) if known is not None else None
                result = _done(image) if image is not None else pool.submit(check, source, file, limits)
                waiting.append((file, result))
            while len(waiting) >= threads * _LOOK_AHEAD or (waiting and waiting[0][1].done()):
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    except BaseException:
        limit.expire()  # an interruption does not wait for running checks
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Batch:
    """Consecutive files of a source: those with a result already, and those that are checked together."""

    def __init__(self) -> None:
        self.unchecked: list[SourceFile] = []
        self._entries: list[tuple[SourceFile, Checked | None]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, file: SourceFile, result: Checked | None) -> None:
        """`result`: None for a file that is to be checked."""
        self._entries.append((file, result))
        if result is None:
            self.unchecked.append(file)

    def with_results(self, results: Iterable[Checked]) -> Iterator[tuple[SourceFile, Checked]]:
        """Yields every file with its result, in the source's order. `results` are those of `unchecked`."""
        remaining = iter(results)
        for file, result in self._entries:
            yield file, next(remaining) if result is None else result


def _batches(
    source: Source, known: Callable[[SourceFile], Image | None] | None, size: int
) -> Iterator[tuple[_Batch, bool]]:
    """Yields batches of at most `size` unchecked files, and whether they are full; the last one is not."""
    batch = _Batch()
    for file in source.find():
        if isinstance(file, Reject):
            batch.add(SourceFile(file.name, ""), file)
        else:
            batch.add(file, known(file) if known is not None else None)
        if len(batch.unchecked) == size or len(batch) >= 4 * size:  # most of them were known
            yield batch, True
            batch = _Batch()
    yield batch, False


def _results_of(checked: Iterable[tuple[SourceFile, Checked]]) -> Iterator[Checked]:
    return (result for _, result in checked)


def _checked_elsewhere(
    source: Source,
    limits: Limits,
    threads: int,
    known: Callable[[SourceFile], Image | None] | None,
    elsewhere: RemoteChecker,
) -> Iterator[tuple[SourceFile, Checked]]:
    """Yields results of full batches from other machines, and those of the last files from this one."""
    waiting: deque[tuple[_Batch, Callable[[], Iterable[Checked]]]] = deque()
    for batch, full in _batches(source, known, elsewhere.batch):
        if full:
            waiting.append((batch, elsewhere.check(batch.unchecked) if batch.unchecked else tuple))
        else:
            here = _checked(source, iter(batch.unchecked), limits, threads, None)
            waiting.append((batch, partial(_results_of, here)))
        while len(waiting) > (elsewhere.ahead if full else 0):
            first, results = waiting.popleft()
            yield from first.with_results(results())


def check_files(source: Source, files: list[SourceFile], limits: Limits, threads: int | None = None) -> list[Checked]:
    """Checks some files of a source, on behalf of an inventory on another machine. Raises AccessDenied."""
    threads = threads or (os.cpu_count() or 1) + 2
    return [result for _, result in _checked(source, iter(files), limits, threads, None)]


def _done(result: Image | Reject) -> Future[Checked]:
    future: Future[Checked] = Future()
    future.set_result(result)
    return future


def _check(source: Source, found: SourceFile, limits: Limits) -> Checked:
    if found.bytes is not None and found.bytes > limits.max_bytes:
        return too_large(found.name, found.bytes, limits)
    try:
        with source.open(found.location) as stream:
            return check_image(found, stream, limits)
    except PlatformUnavailable as error:
        return error
    except (CannotRead, OSError) as error:
        return Reject(found.name, why_unreadable(error))


def why_unreadable(error: CannotRead | OSError) -> str:
    if isinstance(error, CannotRead):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "the file was deleted during the check"
    if isinstance(error, PermissionError):
        return "permission denied: give the user that runs Labelwright read access to the file"
    return f"the file cannot be read ({error.strerror or type(error).__name__})"
