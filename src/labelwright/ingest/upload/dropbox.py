"""Send images to a dropbox: in parallel, each one verified, and never one over another."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

from labelwright.domain import Image
from labelwright.ingest.checks.inventory import InventoryItem, why_unreadable
from labelwright.ingest.sources.local import CannotRead
from labelwright.network.deadlines import FOR_EVER, Deadline, carry_limit, current_limit
from labelwright.network.guards import before_change
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable

from .azure_client import IMAGE_STORE
from .verify import StoredFile, why_wrong

LARGE = 8 * 1024 * 1024
"""Bytes from which a file is sent in blocks instead of in one request."""

Open = Callable[[str], BinaryIO]
Outcome = Literal["sent", "present"]
CHANGED = "the file has changed since it was checked: run the same command again"


class WrongContent(Exception):
    """Something else is in the store under this name, or the file is not the one that was checked."""


@dataclass(frozen=True, slots=True)
class UploadReport:
    """How a batch went. Every file of it is counted once; files that may work when asked again raise instead."""

    sent: int
    present: int
    """Were there already, with the same content."""
    failed: tuple[tuple[str, str], ...] = ()
    """Name and reason, in the batch's order."""


class Engine(Protocol):
    """A client for a blob store. Raises PlatformError; never retries; thread-safe."""

    def put(self, image: Image, data: bytes) -> bool:
        """Uploads in one request if the name is free. Returns False when it is taken."""
        ...

    def put_blocks(self, image: Image, pieces: Iterator[bytes]) -> bool:
        """As `put`, in several requests. An error in `pieces` leaves nothing behind."""
        ...

    def look(self, name: str) -> StoredFile | None:
        """The stored file, with the MD5 of its content even if the store has none; None when it does not exist."""
        ...

    def everything(self) -> Iterator[StoredFile]:
        """Every stored file, page by page."""
        ...


class Dropbox:
    """A container that images are uploaded to. Its signed URL is never part of a repr or message."""

    def __init__(self, engine: Engine, *, threads: int, large: int = LARGE) -> None:
        self._engine = engine
        self._threads = threads
        self._large = large

    def upload(
        self, items: Sequence[InventoryItem], open: Open, on_done: Callable[[Image], None] | None = None
    ) -> UploadReport:
        """Sends a batch (some 500 files). `open` gives a location's bytes, as a Source does, from any thread;
        `on_done` is called in the caller's thread for each image that is in the store, sent or present.

        Raises PlatformUnavailable after the rest was sent when some files may work later, or early when nothing gets
        through any more; DropboxExpired and NotFound (no container) at once. A second call with the same
        items sends what is missing.
        """
        report = _Report()
        stop = threading.Event()
        patience = max(8, 2 * self._threads)
        limit = Deadline(FOR_EVER, current_limit())
        send = carry_limit(self._send, limit)
        pool = ThreadPoolExecutor(min(self._threads, max(1, len(items))), thread_name_prefix="upload")
        try:
            futures = {pool.submit(send, item, open, stop): item for item in items}
            for future in as_completed(futures):
                image = futures[future].image
                if report.take(image.name, future) and on_done is not None:
                    on_done(image)
                if report.fatal is not None or report.failures_in_a_row >= patience:
                    stop.set()
        except BaseException:
            limit.expire()  # an interruption does not wait for running uploads
            raise
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return report.finished([item.image.name for item in items])

    def read_back(self) -> Iterator[StoredFile]:
        """Yields all stored files, page by page. Raises PlatformUnavailable, DropboxExpired, NotFound."""
        return self._engine.everything()

    def _send(self, item: InventoryItem, open: Open, stop: threading.Event) -> Outcome:
        if stop.is_set():
            raise CancelledError
        before_change()
        image = item.image
        if image.bytes > self._large:
            stored = self._engine.look(image.name)  # avoids sending gigabytes that exist already
            if stored is not None:
                return _same(image, stored)
            with open(item.location) as stream:
                free = self._engine.put_blocks(image, _verified_pieces(image, stream))
        else:
            with open(item.location) as stream:
                data = stream.read(image.bytes + 1)
            # With the same SHA-256, the MD5 is the manifest's, which the store compares.
            if len(data) != image.bytes or hashlib.sha256(data).hexdigest() != image.sha256:
                raise WrongContent(CHANGED)
            free = self._engine.put(image, data)
        if free:
            return "sent"
        stored = self._engine.look(image.name)
        if stored is None:
            message = f"'{image.name}' existed and was deleted in between"
            raise PlatformUnavailable(IMAGE_STORE, "keep an image", status=409, message=message, advice="Try again.")
        return _same(image, stored)


def open_dropbox(
    container_url: str,
    *,
    threads: int = 16,
    timeout: float = 60.0,
    engine: Literal["azure", "obstore"] = "azure",
    large: int = LARGE,
    renew: Callable[[], str] | None = None,
) -> Dropbox:
    """A dropbox behind a container URL with its SAS (rights to read, write and list).

    `renew` gives the URL with a new signature: called from any thread when a signature is refused in the middle of a
    listing or an upload, which then goes on. Without it, or when the new signature is refused too, they raise
    DropboxExpired.

    `timeout`: seconds to connect, and between two pieces of an answer. The engine "obstore" is the extra
    `labelwright[obstore]`; a single put there is verified by `read_back`, since it sends no checksum, where "azure" has
    the store verify each file as it arrives.
    """
    from .signed_url_engine import SignedUrlEngine

    signed = SignedUrlEngine(container_url, threads=threads, timeout=timeout, renew=renew)
    if engine == "azure":
        return Dropbox(signed, threads=threads, large=large)
    from .obstore_engine import ObstoreEngine

    return Dropbox(ObstoreEngine(container_url, signed, timeout=timeout, renew=renew), threads=threads, large=large)


def _same(image: Image, stored: StoredFile) -> Outcome:
    if (stored.bytes, stored.md5_hex) != (image.bytes, image.md5):
        raise WrongContent(why_wrong(image.bytes, image.md5, stored.bytes, stored.md5_hex))
    return "present"


def _verified_pieces(image: Image, stream: BinaryIO) -> Iterator[bytes]:
    """The stream in pieces of 4 MiB. Raises WrongContent after the last one when they were not the image."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    while piece := stream.read(4 * 1024 * 1024):
        md5.update(piece)
        sha256.update(piece)
        size += len(piece)
        if size > image.bytes:
            raise WrongContent(CHANGED)
        before_change()
        yield piece
    if (size, md5.hexdigest(), sha256.hexdigest()) != (image.bytes, image.md5, image.sha256):
        raise WrongContent(CHANGED)
    before_change()  # before the pieces become a file


class _Report:
    """Counts of the upload so far."""

    def __init__(self) -> None:
        self._counts = {"sent": 0, "present": 0}
        self._failed: dict[str, str] = {}
        self._unavailable: list[tuple[str, PlatformUnavailable]] = []
        self._cancelled = 0
        self.failures_in_a_row = 0
        self.fatal: AccessDenied | NotFound | None = None

    def take(self, name: str, future: Future[Outcome]) -> bool:
        """Whether the file is in the store."""
        try:
            self._counts[future.result()] += 1
        except CancelledError:
            self._cancelled += 1
        except (AccessDenied, NotFound) as error:
            self.fatal = self.fatal or error
        except PlatformUnavailable as error:
            self._unavailable.append((name, error))
            self.failures_in_a_row += 1
        except (WrongContent, PlatformRefused) as error:
            self._failed[name] = str(error)
        except (CannotRead, OSError) as error:
            self._failed[name] = why_unreadable(error)
        else:
            self.failures_in_a_row = 0
            return True
        return False

    def finished(self, names: Sequence[str]) -> UploadReport:
        if self.fatal is not None:
            raise self.fatal
        if self._unavailable:
            raise self._later()
        failed = tuple((name, self._failed[name]) for name in names if name in self._failed)
        return UploadReport(self._counts["sent"], self._counts["present"], failed)

    def _later(self) -> PlatformUnavailable:
        name, first = self._unavailable[0]
        waits = [error.retry_after for _, error in self._unavailable if error.retry_after is not None]
        count = len(self._unavailable) + self._cancelled
        done = sum(self._counts.values())
        return PlatformUnavailable(
            first.platform,
            first.operation,
            status=first.status,
            message=f"{count} files are missing and {done} are there; the first missing is '{name}' ({first.message})",
            advice="Try again: only what is missing is sent.",
            retry_after=max(waits, default=None),
        )
