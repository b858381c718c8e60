"""Take stock of a source: every image checked, hashed and named once; everything else listed with its reason."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from labelwright.domain import Image, Reject
from labelwright.platforms.errors import PlatformUnavailable

from .checking import STANDARD, Limits, check_image, too_large
from .seen import Seen
from .sources import CannotRead, Found, Source

_LOOK_AHEAD = 8  # files a thread, so that one large image does not stop the others


@dataclass(frozen=True, slots=True)
class StockItem:
    """An image that may be uploaded, and where its source opens it again."""

    image: Image
    location: str


def take_stock(
    source: Source,
    limits: Limits = STANDARD,
    *,
    threads: int | None = None,
    known: Callable[[Found], Image | None] | None = None,
    give_up: bool = False,
) -> Iterator[StockItem | Reject]:
    """Images and rejects in the source's order, whatever the number of threads (else: two more than processors).

    `known` may answer with what was found out about the file earlier; it is then not opened. It is called in the
    caller's thread. Of several files with one name or one content the first stays and the others are rejects. Names
    that differ only in upper and lower case are two names, as they are in every blob store.

    Files that may be readable later (a server's 503) are left out while the rest goes on, and then raised as one
    PlatformUnavailable; with `give_up`, for a last attempt, they are rejects. Raises SourceError, and AccessDenied at
    once. Memory: some files a thread, not the number of images.
    """
    threads = threads or (os.cpu_count() or 1) + 2
    missed: list[PlatformUnavailable] = []
    missed_count = 0
    with Seen() as seen:
        for found, result in _checked(source, limits, threads, known):
            if isinstance(result, PlatformUnavailable):
                if give_up:
                    yield Reject(found.name, f"could not be fetched ({result.words}): the server may answer later")
                else:
                    missed_count += 1
                    missed[:] = missed or [result]
            elif isinstance(result, Reject):
                yield result
            else:
                yield _accepted(result, found, seen)
    if missed:
        first = missed[0]
        raise PlatformUnavailable(
            first.platform,
            first.verb,
            status=first.status,
            words=f"{missed_count} files could not be fetched, the first: {first.words}",
            advice="Run it again later: what was found out is not asked again.",
            retry_after=first.retry_after,
        )


def _accepted(image: Image, found: Found, seen: Seen) -> StockItem | Reject:
    same_name = seen.first("name", image.name)
    if same_name is not None:
        why = f"two files have this name: '{same_name}' is taken, '{found.location}' is left out. Rename one of them."
        return Reject(image.name, why)
    same_content = seen.first("sha256", image.sha256)
    if same_content is not None:
        return Reject(image.name, f"is exactly the same file as '{same_content}', which is taken")
    seen.remember("name", image.name, found.location)
    seen.remember("sha256", image.sha256, image.name)
    return StockItem(image, found.location)


_Result = Image | Reject | PlatformUnavailable


def _checked(
    source: Source, limits: Limits, threads: int, known: Callable[[Found], Image | None] | None
) -> Iterator[tuple[Found, _Result]]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="check")
    waiting: deque[tuple[Found, Future[_Result]]] = deque()
    try:
        for found in source.find():
            if isinstance(found, Reject):
                waiting.append((Found(found.name, ""), _done(found)))
            else:
                image = known(found) if known is not None else None
                result = _done(image) if image is not None else pool.submit(_check, source, found, limits)
                waiting.append((found, result))
            while len(waiting) >= threads * _LOOK_AHEAD or (waiting and waiting[0][1].done()):
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _done(result: Image | Reject) -> Future[_Result]:
    future: Future[_Result] = Future()
    future.set_result(result)
    return future


def _check(source: Source, found: Found, limits: Limits) -> _Result:
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
        return "the file was there a moment ago and is gone"
    if isinstance(error, PermissionError):
        return "the file may not be read: give the user that runs this the right to read it"
    return f"the file cannot be read ({error.strerror or type(error).__name__})"
