"""Stores blobs in groups: those that arrive while others are being stored enter together, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from labelwright.service.database import Database

from .store import Blob, BlobRefused, Blobs, Condition, Incoming, fresh_blob

_MOST = 64
"""Blobs of one transaction."""


@dataclass(frozen=True, slots=True)
class Put:
    """A blob that was received, and is not stored yet."""

    container: str
    name: str
    incoming: Incoming
    rest: Sequence[bytes]
    """What is not written yet."""
    checksums: Sequence[str | None]
    """MD5s in base64 that the client gave for the bytes."""
    content_type: str
    metadata: Mapping[str, str]
    condition: Condition
    joined: bool = False
    """It is made of blocks, and has the MD5 that the client gives, which nobody checks."""

    def blob(self) -> Blob:
        """Writes the rest of the file. Raises BlobRefused if the client sent a different checksum."""
        md5: str | None = written(self.incoming, self.rest, () if self.joined else self.checksums)
        if self.joined:
            md5 = next(iter(self.checksums), None)
        incoming = self.incoming
        return fresh_blob(self.name, incoming.file, incoming.size, md5, self.content_type, metadata=self.metadata)


def written(incoming: Incoming, rest: Sequence[bytes], checksums: Sequence[str | None]) -> str:
    """Writes the rest of a file and returns the MD5 of all. Raises BlobRefused if the client sent a different checksum.

    On failure the file is deleted."""
    try:
        incoming.write(rest)
        md5 = incoming.close()
        _check_md5(md5, checksums)
    except BaseException:
        incoming.drop()
        raise
    return md5


def _check_md5(md5: str, checksums: Sequence[str | None]) -> None:
    if any(checksum is not None and checksum != md5 for checksum in checksums):
        raise BlobRefused(400, "Md5Mismatch", "The MD5 given is not that of the bytes that came.")


class Puts:
    """Used from one event loop. `thread` runs a function in a thread, `stored` is called with what was committed."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        thread: Callable[[Callable[[list[Put]], list[Blob | Exception]], list[Put]], Awaitable[list[Blob | Exception]]],
        stored: Callable[[str, Sequence[Blob]], None] = lambda container, blobs: None,
    ) -> None:
        self._database, self._blobs, self._thread, self._stored = database, blobs, thread, stored
        self._waiting: list[tuple[Put, asyncio.Future[Blob]]] = []
        self._storing: asyncio.Task[None] | None = None

    async def store(self, put: Put) -> Blob:
        """Stores one blob; returns once it is committed. Raises BlobRefused, and what the disk and database raise."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Blob] = loop.create_future()
        self._waiting.append((put, future))
        if self._storing is None or self._storing.done():
            self._storing = loop.create_task(self._store_waiting())
        return await future

    async def _store_waiting(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            try:
                results = await self._thread(self._store, [put for put, _ in group])
            except Exception as error:  # noqa: BLE001 - raised again by each request
                results = [error] * len(group)
            for (_, future), result in zip(group, results, strict=True):
                if future.done():
                    continue  # its request was cancelled
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _store(self, puts: list[Put]) -> list[Blob | Exception]:
        results = [_blob_of(put) for put in puts]
        ready = [number for number, result in enumerate(results) if isinstance(result, Blob)]
        ready.sort(key=lambda number: puts[number].container)
        for container, numbers in groupby(ready, lambda number: puts[number].container):
            self._enter(container, list(numbers), puts, results)
        return results

    def _enter(self, container: str, numbers: list[int], puts: list[Put], results: list[Blob | Exception]) -> None:
        """Commits some of the blobs, all of one container; those that are refused are replaced by the reason."""
        entered = [(blob, puts[number].condition) for number in numbers if isinstance(blob := results[number], Blob)]
        refusals: Sequence[Exception | None]
        replaced: list[str] = []
        try:
            with self._database.write(durable=False) as connection:
                refusals, replaced = self._blobs.put_rows(connection, container, entered)
        except Exception as error:  # noqa: BLE001 - raised again by each request
            refusals = [error] * len(numbers)
        for number, refusal in zip(numbers, refusals, strict=True):
            if refusal is not None:
                puts[number].incoming.drop()
                results[number] = refusal
        self._stored(container, [blob for number in numbers if isinstance(blob := results[number], Blob)])
        self._blobs.unlink_unused(replaced)


def _blob_of(put: Put) -> Blob | Exception:
    try:
        return put.blob()
    except Exception as error:  # noqa: BLE001 - raised again by its request
        return error
