"""Against real stores: Azurite (marker azurite) and the embedded service, with both engines."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import pickle
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from labelwright.domain import Image, Reject, Size
from labelwright.ingest import (
    ContainerSource,
    DropboxExpired,
    FolderSource,
    InventoryItem,
    StoredFile,
    UploadReport,
    build_inventory,
    compare,
    open_dropbox,
)
from labelwright.ingest.sources.local import CannotRead, SourceError
from labelwright.ingest.upload.obstore_engine import ObstoreMissing
from labelwright.ingest.upload.renewal import Renewable
from labelwright.platforms.errors import NotFound, PlatformUnavailable

from .conftest import MakeImage
from .stores import STORES, Store

NAMES = ["a.jpg", "река/Кай 🦊.jpg", "x/y/a b+c%20d#e?f&g.jpg", "100%.jpg", "a%2Fb.jpg", "q'\"<>|*{}[]^`~;=,@:!$().jpg"]
LARGE = 1000
FOLDER = {"hdi_isfolder": "true"}


@pytest.fixture(scope="session", params=["service", pytest.param("azurite", marks=pytest.mark.azurite)])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = STORES[request.param](tmp_path_factory.mktemp(request.param))
    yield store
    store.stop()


@pytest.fixture(params=["azure", "obstore"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "obstore":
        assert find_spec("obstore"), "install the extra: pip install 'labelwright[obstore]'"
    return str(request.param)


def item(name: str, data: bytes) -> InventoryItem:
    md5, sha256 = hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest()
    return InventoryItem(Image(name, Size(1, 1), len(data), sha256, md5, "JPEG"), name)


class Files:
    """Files in memory that know how often they were opened."""

    def __init__(self, **files: bytes) -> None:
        self.files = files
        self.opened: list[str] = []

    def items(self) -> list[InventoryItem]:
        return [item(name, data) for name, data in self.files.items()]

    def open(self, location: str) -> BinaryIO:
        self.opened.append(location)
        return io.BytesIO(self.files[location])


def test_second_upload_of_a_folder_changes_nothing(
    store: Store, engine: Any, make_image: MakeImage, images: Path
) -> None:
    for name in NAMES:
        make_image(name)
    source = FolderSource(images)
    items = [item for item in build_inventory(source) if isinstance(item, InventoryItem)]
    assert len(items) == len(NAMES)
    box = open_dropbox(store.new_container(), threads=4, engine=engine)
    done: list[str] = []

    first = box.upload(items, source.open, lambda image: done.append(image.name))
    stored = list(box.read_back())
    second = box.upload(items, source.open)

    assert first == UploadReport(sent=len(items), present=0)
    assert second == UploadReport(sent=0, present=len(items))
    assert sorted(done) == sorted(item.image.name for item in items)
    assert not compare((item.image for item in items), stored)
    assert list(box.read_back()) == stored


def test_large_files_are_sent_in_blocks_and_keep_their_checksum(store: Store, engine: Any) -> None:
    files = Files(large=b"x" * 9_500_000, small=b"y" * 100)
    box = open_dropbox(store.new_container(), engine=engine, large=LARGE)
    assert box.upload(files.items(), files.open) == UploadReport(2, 0)
    assert not compare((file.image for file in files.items()), box.read_back())
    assert box.upload(files.items(), files.open) == UploadReport(0, 2)
    assert files.opened.count("large") == 1, "what is there is not read again"


def test_only_what_is_missing_is_sent(store: Store, engine: Any) -> None:
    files = Files(**{f"{number}.jpg": b"%d" % number for number in range(20)})
    box = open_dropbox(store.new_container(), engine=engine)
    box.upload(files.items()[:7], files.open)
    missing = compare((file.image for file in files.items()), box.read_back()).missing
    assert sorted(missing) == sorted(f"{number}.jpg" for number in range(7, 20))
    assert box.upload(files.items(), files.open) == UploadReport(13, 7)


@pytest.mark.parametrize("size", [10, 5000])
def test_another_file_of_that_name_is_never_written_over(store: Store, engine: Any, size: int) -> None:
    existing, same_size, longer = Files(a=b"1" * size), Files(a=b"2" * size), Files(a=b"3" * (size + 1))
    box = open_dropbox(store.new_container(), engine=engine, large=LARGE)
    box.upload(existing.items(), existing.open)
    for other, says in ((same_size, "another file of the same size"), (longer, "bytes under this name")):
        report = box.upload(other.items(), other.open)
        assert (report.sent, report.present) == (0, 0)
        ((name, reason),) = report.failed
        assert name == "a"
        assert says in reason
    assert not compare((file.image for file in existing.items()), box.read_back())


@pytest.mark.parametrize("size", [10, 5000])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"!", lambda data: b"!" + data[1:]])
def test_a_file_that_changed_since_it_was_checked_is_not_uploaded(
    store: Store, engine: Any, size: int, change: Callable[[bytes], bytes]
) -> None:
    files = Files(a=b"x" * size, b=b"y")
    items = files.items()
    files.files["a"] = change(files.files["a"])
    box = open_dropbox(store.new_container(), engine=engine, large=LARGE)
    report = box.upload(items, files.open)
    assert report.sent == 1
    assert [name for name, _ in report.failed] == ["a"]
    assert "changed since" in report.failed[0][1]
    assert [file.name for file in box.read_back()] == ["b"]


def test_a_file_that_cannot_be_read_does_not_hide_the_others(store: Store, engine: Any) -> None:
    files = Files(a=b"1", b=b"2", c=b"3", d=b"4")
    failures = {"b": FileNotFoundError(2, "No such file"), "c": CannotRead("is no longer inside the folder")}

    def open_some(location: str) -> BinaryIO:
        if location in failures:
            raise failures[location]
        return files.open(location)

    report = open_dropbox(store.new_container(), engine=engine).upload(files.items(), open_some)
    assert report.sent == 2
    assert report.failed == (
        ("b", "the file was deleted during the check"),
        ("c", "is no longer inside the folder"),
    )


def test_the_store_refuses_what_was_damaged_on_its_way(store: Store) -> None:
    """The manifest's MD5 goes with the request: with a wrong one, the very bytes that were read are refused."""
    data = b"x" * 100
    good = item("a", data).image
    lying = Image(good.name, good.size, good.bytes, good.sha256, "0" * 32, good.format)
    box = open_dropbox(store.new_container())
    try:
        report = box.upload([InventoryItem(lying, "a")], lambda _: io.BytesIO(data))
    except PlatformUnavailable as error:
        assert (error.status, "Md5Mismatch" in str(error)) == (400, True)  # noqa: PT017 - Azure's code: sent again
    else:
        assert "answered 400" in report.failed[0][1]  # Azurite has another code
    assert list(box.read_back()) == []


def test_stored_file_without_checksum_is_read_to_compare(store: Store, engine: Any) -> None:
    from azure.storage.blob import BlobBlock, ContainerClient

    url, files = store.new_container(), Files(a=b"abc")
    file = ContainerClient.from_container_url(url).get_blob_client("a")
    file.stage_block("0001", b"abc")
    file.commit_block_list([BlobBlock("0001")])
    box = open_dropbox(url, engine=engine)
    assert list(box.read_back()) == [StoredFile("a", 3, None)]
    assert box.upload(files.items(), files.open) == UploadReport(0, 1)


def test_two_senders_at_once_do_no_harm(store: Store, engine: Any) -> None:
    files = Files(**{f"{number}.jpg": b"%d" % number * 300 for number in range(40)})
    url = store.new_container()
    reports: list[UploadReport] = []
    threads = [
        threading.Thread(
            target=lambda: reports.append(open_dropbox(url, engine=engine, large=700).upload(files.items(), files.open))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.sent for report in reports) == 40
    assert sum(report.present for report in reports) == 80
    assert not compare((file.image for file in files.items()), open_dropbox(url).read_back())


def test_an_expired_or_refused_url_asks_for_a_new_one(store: Store, engine: Any) -> None:
    files = Files(**{str(number): b"%d" % number for number in range(50)})
    expired, no_writing = store.new_container(seconds=-60), store.new_container(rights="rl")
    for url in (expired, no_writing):
        box = open_dropbox(url, engine=engine, threads=2)
        with pytest.raises(DropboxExpired) as caught:
            box.upload(files.items(), files.open)
        assert caught.value.status == 403
        assert isinstance(pickle.loads(pickle.dumps(caught.value)), DropboxExpired)
    assert len(files.opened) < 50, "the rest of the batch is not tried in vain"
    with pytest.raises(DropboxExpired):
        list(open_dropbox(expired).read_back())


def test_a_container_that_is_gone_is_said_to_be(store: Store, engine: Any) -> None:
    files = Files(a=b"1")
    with pytest.raises(NotFound):
        open_dropbox(store.gone_container(), engine=engine).upload(files.items(), files.open)


def test_folders_as_hierarchical_accounts_list_them_are_no_files(store: Store, engine: Any) -> None:
    from azure.storage.blob import ContainerClient

    url, files = store.new_container(), Files(**{"sub/a": b"1"})
    with ContainerClient.from_container_url(url) as client:
        client.upload_blob("sub", b"", metadata=FOLDER)
    box = open_dropbox(url, engine=engine)
    box.upload(files.items(), files.open)
    assert [file.name for file in box.read_back()] == ["sub/a"]


def test_what_lies_in_a_container_can_be_a_source(store: Store, make_image: MakeImage, images: Path) -> None:
    for name in ("in/a.jpg", "in/река.jpg", "in/sub/b.jpg", "in/.hidden.jpg", "out/c.jpg", "in/words.txt"):
        make_image(name, b"words" if name.endswith("txt") else None)
    from azure.storage.blob import ContainerClient

    url = store.new_container()
    bare, _, sas = url.partition("?")
    with ContainerClient.from_container_url(url) as client:
        for path in sorted(images.rglob("*.*")):
            client.upload_blob(path.relative_to(images).as_posix(), path.read_bytes())
        client.upload_blob("in/sub", b"", metadata=FOLDER)
        client.upload_blob("in/folder.jpg", b"", metadata=FOLDER)
    source = ContainerSource(bare, "in/", sas=sas)
    results = list(build_inventory(source))
    assert [result.image.name if isinstance(result, InventoryItem) else result.name for result in results] == [
        "a.jpg",
        "sub/b.jpg",
        "words.txt",
        "река.jpg",
    ]
    assert [result.location for result in results if isinstance(result, InventoryItem)] == [
        "in/a.jpg",
        "in/sub/b.jpg",
        "in/река.jpg",
    ]
    assert isinstance(results[2], Reject)
    assert "sig=" not in repr((source, results))
    with pytest.raises(SourceError, match="no matching images under 'none/'"):
        list(ContainerSource(url, "none/").find())
    with pytest.raises(CannotRead, match="no longer"):
        source.open("in/gone.jpg")
    with pytest.raises(CannotRead, match="more than"):
        ContainerSource(url, max_bytes=3).open("in/a.jpg")


# --- a store that fails, as no real one does on request ---


class Failing(BaseHTTPRequestHandler):
    answers: Callable[[str], Any]
    """By the path: status, headers and perhaps a body; None breaks the connection off."""
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        response = type(self).answers(self.path)
        if response is None:
            self.close_connection = True
            return
        status, headers, body = (*response, b"")[:3]
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_PUT

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def failing() -> Iterator[Callable[..., str]]:
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(answers: Callable[[str], Any]) -> str:
        handler = type("Handler", (Failing,), {"answers": staticmethod(answers)})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/account/box?sv=2019-02-02&sr=c&sig=canary%3D"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


CREATED = (201, {"ETag": '"1"', "Last-Modified": "Sun, 22 Nov 2026 00:00:00 GMT", "x-ms-version": "2019-02-02"})


@pytest.mark.parametrize("status", [408, 429, 500, 503, None])
def test_the_rest_of_the_batch_is_sent_before_a_failure_is_told(
    failing: Callable[..., str], engine: Any, status: int | None
) -> None:
    calls: list[str] = []

    def answers(path: str) -> tuple[int, dict[str, str]] | None:
        calls.append(path)
        if "/bad" in path:
            return None if status is None else (status, {"Retry-After": "7"})
        return CREATED

    files, done = Files(**{name: name.encode() for name in ("a", "bad1", "b", "bad2", "c", "d")}), []
    box = open_dropbox(failing(answers), engine=engine, threads=2, timeout=5)
    with pytest.raises(PlatformUnavailable) as caught:
        box.upload(files.items(), files.open, lambda image: done.append(image.name))
    assert sorted(done) == ["a", "b", "c", "d"]
    assert caught.value.status == status
    assert "2 files are missing and 4 are there" in str(caught.value)
    assert len(calls) == 6, "nothing is asked twice: retries are left to who counts them"
    if engine == "azure" and status is not None:
        assert caught.value.retry_after == 7


def test_when_nothing_gets_through_the_rest_is_not_tried(failing: Callable[..., str], engine: Any) -> None:
    calls: list[str] = []
    files = Files(**{str(number): b"%d" % number for number in range(200)})
    box = open_dropbox(failing(lambda path: calls.append(path) or (503, {})), engine=engine, threads=2)
    with pytest.raises(PlatformUnavailable, match="200 files are missing and 0 are there"):
        box.upload(files.items(), files.open)
    assert len(calls) < 30


def test_a_file_that_the_store_refuses_does_not_hide_the_others(failing: Callable[..., str], engine: Any) -> None:
    files = Files(bad=b"1", b=b"2")
    box = open_dropbox(failing(lambda path: (400, {}) if "/bad" in path else CREATED), engine=engine)
    report = box.upload(files.items(), files.open)
    assert report.sent == 1
    ((name, reason),) = report.failed
    assert name == "bad"
    assert "answered 400" in reason


def test_a_conflict_that_is_no_taken_name_is_a_refusal(failing: Callable[..., str], engine: Any) -> None:
    body = b"<?xml version='1.0'?><Error><Code>ContainerDisabled</Code><Message>sealed</Message></Error>"
    headers = {"x-ms-error-code": "ContainerDisabled", "Content-Type": "application/xml"}
    box = open_dropbox(failing(lambda _: (409, headers, body)), engine=engine)
    report = box.upload([item("a", b"1")], lambda _: io.BytesIO(b"1"))
    assert "answered 409 when asked to keep an image: ContainerDisabled" in report.failed[0][1]


def test_a_store_that_is_silent_is_given_up_after_the_timeout(engine: Any) -> None:
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(8)
        box = open_dropbox(f"http://127.0.0.1:{deaf.getsockname()[1]}/a/b?sig=canary", engine=engine, timeout=0.3)
        with pytest.raises(PlatformUnavailable, match="took too long"):
            box.upload([item("a", b"1")], lambda _: io.BytesIO(b"1"))


def test_no_signed_url_is_ever_told(failing: Callable[..., str], engine: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in an error, nor in what can be printed of it, nor in anybody's debug log."""
    caplog.set_level(logging.DEBUG)
    files, texts = Files(a=b"1", large=b"2" * 5000), []
    failures = [lambda _, status=status: (status, {}) if status else None for status in (None, 400, 403, 404, 409, 503)]
    urls = [failing(answers) for answers in failures] + ["http://127.0.0.1:1/account/box?sig=canary"]
    for url in urls:
        box = open_dropbox(url, engine=engine, timeout=5, large=LARGE)
        texts.append(repr(box) + repr(vars(box)))
        for act in (
            lambda box=box: box.upload(files.items()[:1], files.open),
            lambda box=box: box.upload(files.items()[1:], files.open),
            lambda box=box: list(box.read_back()),
            lambda url=url: list(ContainerSource(url, timeout=5).find()),
            lambda url=url: ContainerSource(url, timeout=5).open("a"),
        ):
            try:
                act()
            except Exception as error:  # noqa: BLE001
                chain: BaseException | None = error
                while chain is not None:
                    texts += [str(chain), repr(chain), repr(chain.args)]
                    chain = chain.__context__
                texts.append("".join(traceback.format_exception(error)))
    assert len(texts) > 60
    assert "canary" not in "\n".join(texts)
    assert "canary" not in caplog.text


def test_the_optional_engine_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ObstoreMissing, match=r"labelwright\[obstore\]"):
        open_dropbox("http://127.0.0.1:1/account/box?sig=canary", engine="obstore")


def test_connection_pool_has_the_size_of_the_thread_pool(
    failing: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    files = Files(**{str(number): b"%d" % number for number in range(100)})
    box = open_dropbox(failing(lambda _: CREATED), threads=24)
    with caplog.at_level(logging.WARNING):
        box.upload(files.items(), files.open)
    assert "pool is full" not in caplog.text


def test_the_request_carries_the_manifests_checksum(
    failing: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, str]] = []
    original = Failing.do_PUT

    def noting(self: Failing) -> None:
        calls.append(dict(self.headers.items()))
        original(self)

    monkeypatch.setattr(Failing, "do_PUT", noting)
    open_dropbox(failing(lambda _: CREATED)).upload([item("a", b"1")], lambda _: io.BytesIO(b"1"))
    md5 = base64.b64encode(hashlib.md5(b"1").digest()).decode()
    assert {name.lower(): value for name, value in calls[0].items()}.items() >= {
        "content-md5": md5,
        "x-ms-blob-content-md5": md5,
        "x-ms-blob-content-type": "image/jpeg",
        "if-none-match": "*",
    }.items()


# Signatures that run out


REFUSED = (403, {"x-ms-error-code": "AuthenticationFailed", "Content-Type": "application/xml"})


def listing(names: list[str], marker: str = "") -> tuple[int, dict[str, str], bytes]:
    """A page of a container's listing, as Azure writes it."""
    blobs = "".join(
        f"<Blob><Name>{name}</Name><Properties><Content-Length>1</Content-Length>"
        f"<Content-MD5>xMpCOKC5I4INzFCab3WEmw==</Content-MD5><BlobType>BlockBlob</BlobType></Properties></Blob>"
        for name in names
    )
    body = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    return 200, {"Content-Type": "application/xml"}, body.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Log in to the wireless network</html>",
        b"not XML",
        b"",
        b'<!DOCTYPE a [<!ENTITY b "c">]><EnumerationResults><Blobs/></EnumerationResults>',
        b"<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs></EnumerationResults>",
    ],
)
def test_what_is_no_listing_is_no_empty_container(failing: Callable[..., str], body: bytes) -> None:
    with pytest.raises(PlatformUnavailable, match="no Azure container"):
        list(open_dropbox(failing(lambda _: (200, {}, body))).read_back())


def test_a_listed_name_that_xml_cannot_hold_is_decoded(failing: Callable[..., str]) -> None:
    status, headers, body = listing(["a", "b"])
    body = body.replace(b"<Name>b</Name>", b'<Name Encoded="true">%01b</Name>')
    names = [file.name for file in open_dropbox(failing(lambda _: (status, headers, body))).read_back()]
    assert names == ["a", "\x01b"]


@pytest.mark.parametrize("status", [200, 204, 301])
def test_only_created_means_that_a_file_is_there(failing: Callable[..., str], status: int) -> None:
    """A page of a captive portal is no success."""
    report = open_dropbox(failing(lambda _: (status, {"Location": "/elsewhere"}))).upload(
        [item("a", b"1")], lambda _: io.BytesIO(b"1")
    )
    assert [name for name, _ in report.failed] == ["a"]


class Signatures:
    """Renews the signature of a URL: `sig=canary` becomes `sig=fresh1`, `sig=fresh2` and so on."""

    def __init__(self, url: str) -> None:
        self.url, self.asked = url, 0
        self._lock = threading.Lock()

    def renew(self) -> str:
        with self._lock:
            self.asked += 1
            return self.url.replace("canary", f"fresh{self.asked}")


def test_a_listing_goes_on_where_its_signature_ran_out(failing: Callable[..., str]) -> None:
    paths: list[str] = []

    def answers(path: str) -> Any:
        paths.append(path)
        if "marker=two" not in path:
            return listing(["a", "b"], "two")
        return listing(["c"]) if "sig=fresh" in path else REFUSED

    signatures = Signatures(failing(answers))
    box = open_dropbox(signatures.url, renew=signatures.renew)
    assert [file.name for file in box.read_back()] == ["a", "b", "c"]
    assert signatures.asked == 1
    assert ["marker=two" in path for path in paths] == [False, True, True], "no page is listed twice"


@pytest.mark.parametrize("large", [False, True], ids=["whole", "in blocks"])
def test_an_upload_goes_on_after_its_signature_ran_out(failing: Callable[..., str], engine: Any, large: bool) -> None:
    lock, taken = threading.Lock(), []

    def answers(path: str) -> Any:
        with lock:
            if "canary" in path and len(taken) >= 5:
                return REFUSED
            if "comp=" not in path or "comp=blocklist" in path:
                taken.append(path.partition("?")[0])
            return CREATED if "comp=" in path or not large else (404, {})

    files = Files(**{str(number): b"%d" % number for number in range(20)})
    signatures = Signatures(failing(answers))
    box = open_dropbox(signatures.url, engine=engine, threads=4, large=0 if large else LARGE, renew=signatures.renew)
    report = box.upload(files.items(), files.open)
    assert (report.sent, report.present, report.failed) == (20, 0, ())
    assert signatures.asked == 1, "one thread asks for all"


def test_a_new_signature_that_is_refused_too_is_the_end(failing: Callable[..., str], engine: Any) -> None:
    files = Files(**{str(number): b"%d" % number for number in range(40)})
    signatures = Signatures(failing(lambda _: REFUSED))
    box = open_dropbox(signatures.url, engine=engine, threads=4, renew=signatures.renew)
    with pytest.raises(DropboxExpired):
        box.upload(files.items(), files.open)
    assert signatures.asked == 1
    with pytest.raises(DropboxExpired):
        list(open_dropbox(signatures.url, renew=signatures.renew).read_back())
    assert signatures.asked == 2


def test_refused_renewed_signature_is_not_renewed_again() -> None:
    renewals: list[int] = []

    def renew() -> int:
        renewals.append(len(renewals) + 1)
        return renewals[-1]

    def refuse(_: int) -> None:
        raise DropboxExpired("Azure Blob", "put a file", status=403)

    client = Renewable(0, renew)

    def refuse_in_between(number: int) -> None:
        if number == 1:  # another thread begins with the new signature before this one is refused
            with pytest.raises(DropboxExpired):
                client.use(refuse)
        refuse(number)

    with pytest.raises(DropboxExpired):
        client.use(refuse_in_between)
    assert renewals == [1]


def test_a_signature_that_worked_is_renewed_each_time_it_runs_out() -> None:
    valid = 0

    def renew() -> int:
        return valid

    def call(number: int) -> int:
        if number != valid:
            raise DropboxExpired("Azure Blob", "put a file", status=403)
        return number

    client = Renewable(0, renew)
    for valid in (0, 1, 2):
        assert client.use(call) == valid


def test_a_signature_of_a_real_store_is_renewed(store: Store, engine: Any) -> None:
    valid = store.new_container()
    expired = re.sub(r"([?&])se=[^&]+", r"\g<1>se=2020-01-01T00%3A00%3A00Z", valid)
    files = Files(a=b"1", b=b"22")
    box = open_dropbox(expired, engine=engine, renew=lambda: valid)
    assert box.upload(files.items(), files.open).sent == 2
    assert sorted(file.name for file in open_dropbox(expired, renew=lambda: valid).read_back()) == ["a", "b"]
