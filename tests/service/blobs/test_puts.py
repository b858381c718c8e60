"""Blobs that arrive while others are being stored enter together."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from typing import Any

import pytest

from labelwright.service.blobs.puts import Put, Puts
from labelwright.service.blobs.store import Blob, BlobRefused, Blobs, Condition
from labelwright.service.database import Database

ONLY_NEW = Condition(none_match="*")


class Store:
    """A blob store whose first group waits until the others have been handed in."""

    def __init__(self, folder: Any) -> None:
        self.database = Database(folder)
        self.blobs = Blobs(folder, self.database)
        self.folder = folder / "blobs"
        self.transactions = 0
        with self.database.write() as connection:
            self.blobs.create_container(connection, "box")

    def put(
        self, name: str, data: bytes, *, checksum: bytes | None = None, container: str = "box", new: bool = True
    ) -> Put:
        checksums = [None if checksum is None else b64encode(checksum).decode()]
        condition = ONLY_NEW if new else Condition()
        return Put(container, name, self.blobs.incoming(), [data], checksums, "image/jpeg", {}, condition)

    def store(self, first: Put, *others: Put) -> list[Blob | BaseException]:
        """Stores the first one alone, and the others as they came meanwhile. Returns what became of each."""
        gate, loaded = threading.Event(), threading.Event()

        async def in_thread(work: Any, puts: list[Put]) -> Any:
            def run() -> Any:
                loaded.set()
                assert gate.wait(120)
                return work(puts)

            return await asyncio.to_thread(run)

        async def all_of_them() -> list[Blob | BaseException]:
            puts = Puts(self.database, self.blobs, in_thread)
            tasks = [asyncio.create_task(puts.store(first))]
            await asyncio.to_thread(loaded.wait, 10)
            tasks += [asyncio.create_task(puts.store(put)) for put in others]
            await asyncio.sleep(0)
            gate.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

        return asyncio.run(all_of_them())

    def files(self) -> set[str]:
        return {path.name for path in self.folder.rglob("*") if path.is_file()}

    def listed(self) -> dict[str, bytes]:
        entries, _ = self.blobs.entries("box", "", "", "", 100)
        return {blob.name: self.blobs.path(blob.file).read_bytes() for blob in entries if isinstance(blob, Blob)}


@pytest.fixture
def store(tmp_path, monkeypatch) -> Iterator[Store]:
    store = Store(tmp_path)
    write = store.database.write

    @contextmanager
    def counted(**options: Any) -> Iterator[Any]:
        store.transactions += 1
        with write(**options) as connection:
            yield connection

    monkeypatch.setattr(store.database, "write", counted)
    yield store
    store.database.close()


def test_blobs_that_arrive_together_are_one_transaction(store):
    names = [f"{number}.jpg" for number in range(20)]
    outcomes = store.store(store.put("first.jpg", b"first"), *(store.put(name, name.encode()) for name in names))
    assert [blob.name for blob in outcomes] == ["first.jpg", *names]
    assert store.transactions == 2
    assert store.listed() == {"first.jpg": b"first", **{name: name.encode() for name in names}}


def test_a_refused_blob_hinders_no_other_of_its_group(store):
    outcomes = store.store(
        store.put("first.jpg", b"first"),
        store.put("damaged.jpg", b"damaged", checksum=md5(b"whole").digest()),
        store.put("first.jpg", b"second"),
        store.put("elsewhere.jpg", b"1", container="no-such-box"),
        store.put("good.jpg", b"good", checksum=md5(b"good").digest()),
    )
    codes = [outcome.code if isinstance(outcome, BlobRefused) else "" for outcome in outcomes]
    assert codes == ["", "Md5Mismatch", "BlobAlreadyExists", "ContainerNotFound", ""]
    assert store.listed() == {"first.jpg": b"first", "good.jpg": b"good"}
    assert len(store.files()) == 2, "the files of the others are gone"


def test_blobs_of_one_name_follow_each_other_within_a_group(store):
    outcomes = store.store(
        store.put("a.jpg", b"1"),
        store.put("b.jpg", b"2"),
        store.put("b.jpg", b"3", new=False),
        store.put("a.jpg", b"4", new=False),
        store.put("b.jpg", b"5"),
    )
    assert [isinstance(outcome, BlobRefused) for outcome in outcomes] == [False] * 4 + [True]
    assert store.listed() == {"a.jpg": b"4", "b.jpg": b"3"}
    assert len(store.files()) == 2, "replaced files are gone"


def test_a_database_that_fails_leaves_no_file_of_the_group(store, monkeypatch):
    def fail(*_: object, **__: object) -> Any:
        raise OSError("the disk is full")

    monkeypatch.setattr(store.blobs, "put_rows", fail)
    outcomes = store.store(store.put("a.jpg", b"1"), store.put("b.jpg", b"2"), store.put("c.jpg", b"3"))
    assert [str(outcome) for outcome in outcomes] == ["the disk is full"] * 3
    assert store.files() == set()


def test_a_sealed_container_takes_none_of_the_group(store):
    store.store(store.put("a.jpg", b"1"))
    with store.database.write() as connection:
        store.blobs.seal_container(connection, "box")
    outcomes = store.store(store.put("b.jpg", b"2"), store.put("c.jpg", b"3"))
    assert [getattr(outcome, "code", "") for outcome in outcomes] == ["ContainerDisabled"] * 2
    assert store.listed() == {"a.jpg": b"1"}
