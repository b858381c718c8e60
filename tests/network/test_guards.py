"""Guards are asked before whatever changes a platform or a store, and not before reads."""

from __future__ import annotations

import hashlib
import io
from types import SimpleNamespace
from typing import Any

import pytest

from labelwright.domain import Image, Size
from labelwright.ingest import InventoryItem
from labelwright.ingest.upload.dropbox import Dropbox
from labelwright.network.guards import before_change, guarded_by
from labelwright.platforms import PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.settings import WorkspaceSettings
from labelwright.stores.azure_ml.blobs import Blobs, account_of
from labelwright.stores.local import LocalStore
from labelwright.stores.protocol import content_hash


class Forbidden(Exception):
    pass


def forbid() -> None:
    raise Forbidden


def test_guards_nest_and_end():
    asked: list[str] = []
    with guarded_by(lambda: asked.append("outer")):
        with guarded_by(lambda: asked.append("inner")):
            before_change()
        before_change()
    before_change()
    assert asked == ["outer", "inner", "outer"]


def test_every_request_that_changes_something_is_guarded():
    http = Http("river", "http://127.0.0.1:9")
    with guarded_by(forbid):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            with pytest.raises(Forbidden):
                http.call("change something", method, "/")
        for method in ("GET", "HEAD"):
            with pytest.raises(PlatformUnavailable):
                http.call("read something", method, "/")


@pytest.mark.parametrize("size", [10, 3000])
def test_no_file_is_uploaded_in_spite_of_a_guard(size):
    """In one request, and in pieces: none is sent."""
    data = bytes(size)

    class Engine:
        def look(self, name: str) -> None:
            return None

        def put(self, image: Image, data: bytes) -> bool:
            pytest.fail("uploaded")

        def put_blocks(self, image: Image, pieces: Any) -> bool:
            for _ in pieces:
                pytest.fail("uploaded a piece")
            return True

    digests = {"sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}
    image = Image("a.jpg", bytes=size, size=Size(4, 4), format="JPEG", **digests)
    dropbox = Dropbox(Engine(), threads=2, large=1000)
    with guarded_by(forbid), pytest.raises(Forbidden):
        dropbox.upload([InventoryItem(image, "a.jpg")], lambda location: io.BytesIO(data))


def test_no_blob_is_written_or_copied_in_spite_of_a_guard():
    class Client(SimpleNamespace):
        def get_blob_client(self, path: str) -> Client:
            return self

        def upload_blob(self, *_: Any, **__: Any) -> None:
            pytest.fail("uploaded")

        def start_copy_from_url(self, *_: Any, **__: Any) -> None:
            pytest.fail("copied")

    account = account_of(WorkspaceSettings(account_url="https://a.blob.core.windows.net", container="c"))
    blobs = Blobs(Client(), account, threads=1, deadline=1)
    with guarded_by(forbid):
        for change in (
            lambda: blobs.put_text("a.json", "{}"),
            lambda: blobs.write_text("a.json", "{}", None),
            lambda: blobs._copy("https://elsewhere", "a.jpg", None, {}),
        ):
            with pytest.raises(Forbidden):
                change()


def test_no_version_of_a_dataset_appears_in_spite_of_a_guard(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.csv").write_text("a\n")
    store = LocalStore(tmp_path / "datasets")
    digest = content_hash(tmp_path / "files")
    with guarded_by(forbid), pytest.raises(Forbidden):
        store.register("river", tmp_path / "files", content_hash=digest, receipt={})
    assert store.versions("river") == []
    assert [path.name for path in (tmp_path / "datasets" / "river").iterdir()] == [".lock"]
    version = store.register("river", tmp_path / "files", content_hash=digest, receipt={})
    (tmp_path / "datasets" / "river" / "v1" / "a.csv").unlink()
    with guarded_by(forbid), pytest.raises(Forbidden):
        store.repair(version, tmp_path / "files", {})
    assert not (tmp_path / "datasets" / "river" / "v1" / "a.csv").exists()
