"""The blob store, driven by the unchanged Azure client; and by hand where the client is too polite."""

from __future__ import annotations

import http.client
import os
from base64 import b64encode
from hashlib import md5
from urllib.parse import urlsplit

import pytest
import requests
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, ContainerClient, ContentSettings


@pytest.fixture
def dropbox_url(service):
    return service.image_set()["dropbox_url"]


@pytest.fixture
def dropbox(dropbox_url):
    with ContainerClient.from_container_url(dropbox_url) as client:
        yield client


@pytest.fixture
def staging(dropbox_url):
    """A client that cuts everything beyond a few bytes into blocks."""
    with ContainerClient.from_container_url(dropbox_url, max_single_put_size=10, max_block_size=100_000) as client:
        yield client


def digest(data):
    return bytearray(md5(data).digest())


def test_a_blob_is_what_was_put(dropbox):
    data = os.urandom(100_000)
    kind = ContentSettings(content_type="image/png")
    response = dropbox.upload_blob("a.png", data, content_settings=kind, metadata={"source": "camera_7"})
    blob = response.get_blob_properties()
    assert blob.size == 100_000
    assert blob.content_settings.content_type == "image/png"
    assert blob.content_settings.content_md5 == digest(data)
    assert blob.metadata == {"source": "camera_7"}
    assert dropbox.download_blob("a.png").readall() == data
    assert response.exists()
    assert not dropbox.get_blob_client("b.png").exists()


def test_an_empty_blob_is_a_blob(dropbox):
    dropbox.upload_blob("empty", b"")
    assert dropbox.download_blob("empty").readall() == b""
    assert next(iter(dropbox.list_blobs())).size == 0


def test_the_md5_of_a_single_put_is_listed_though_the_client_sent_none(dropbox):
    dropbox.upload_blob("a", b"hello")
    assert next(iter(dropbox.list_blobs())).content_settings.content_md5 == digest(b"hello")


def test_large_blob_is_uploaded_in_blocks_and_keeps_its_md5(staging):
    data = os.urandom(1_234_567)
    staging.upload_blob("large", data, content_settings=ContentSettings(content_md5=digest(data)), max_concurrency=4)
    staging.upload_blob("silent", data)
    assert staging.download_blob("large", max_concurrency=4).readall() == data
    listed = {blob.name: blob.content_settings.content_md5 for blob in staging.list_blobs()}
    assert listed == {"large": digest(data), "silent": None}


def test_a_single_put_of_many_megabytes_is_streamed(dropbox):
    data = os.urandom(9 * 1024**2)
    dropbox.upload_blob("many", data)
    assert dropbox.download_blob("many").readall() == data


def test_blocks_wait_for_their_list(staging):
    blob = staging.get_blob_client("parts")
    blob.stage_block("b", b"world")
    blob.stage_block("a", b"hello ")
    assert not blob.exists()
    assert sorted(block.id for block in blob.get_block_list("uncommitted")[1]) == ["a", "b"]
    with pytest.raises(HttpResponseError) as refusal:
        blob.commit_block_list([BlobBlock("a"), BlobBlock("missing")])
    assert (refusal.value.status_code, refusal.value.error_code) == (400, "InvalidBlockList")
    blob.commit_block_list([BlobBlock("a"), BlobBlock("b")])
    assert blob.download_blob().readall() == b"hello world"
    assert blob.get_block_list("uncommitted")[1] == []


@pytest.mark.parametrize("staged", [False, True])
def test_a_blob_is_not_overwritten_unless_that_was_asked(dropbox, staging, staged):
    client = staging if staged else dropbox
    client.upload_blob("a", b"the first that came")
    with pytest.raises(ResourceExistsError) as refusal:
        client.upload_blob("a", b"the second that came")
    assert (refusal.value.status_code, refusal.value.error_code) == (409, "BlobAlreadyExists")
    assert client.download_blob("a").readall() == b"the first that came"
    client.upload_blob("a", b"the second that came", overwrite=True)
    assert client.download_blob("a").readall() == b"the second that came"


def test_a_blob_that_changed_meanwhile_is_not_overwritten(dropbox):
    blob = dropbox.upload_blob("a", b"1")
    etag = blob.get_blob_properties().etag
    blob.upload_blob(b"2", overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError) as refusal:
        blob.upload_blob(b"3", overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
    assert (refusal.value.status_code, refusal.value.error_code) == (412, "ConditionNotMet")
    assert blob.download_blob().readall() == b"2"


def test_bytes_that_do_not_fit_their_md5_are_refused(dropbox_url, dropbox):
    url = dropbox_url.replace("?", "/a?")
    headers = {"x-ms-blob-type": "BlockBlob", "Content-MD5": b64encode(md5(b"other").digest()).decode()}
    response = requests.put(url, data=b"these", headers=headers)
    assert (response.status_code, response.headers["x-ms-error-code"]) == (400, "Md5Mismatch")
    headers["Content-MD5"] = "nonsense"
    assert requests.put(url, data=b"these", headers=headers).headers["x-ms-error-code"] == "InvalidMd5"
    assert list(dropbox.list_blobs()) == []


def test_a_part_of_a_blob_can_be_read(dropbox_url, dropbox):
    data = bytes(range(256)) * 10
    dropbox.upload_blob("a", data)
    assert dropbox.download_blob("a", offset=100, length=50).readall() == data[100:150]
    url = dropbox_url.replace("?", "/a?")
    for range_header, start, end in (("bytes=0-0", 0, 1), ("bytes=-5", 2555, 2560), ("bytes=2550-9999", 2550, 2560)):
        response = requests.get(url, headers={"Range": range_header})
        assert (response.status_code, response.content) == (206, data[start:end])
        assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/2560"
    beyond = requests.get(url, headers={"Range": "bytes=2560-"})
    assert (beyond.status_code, beyond.headers["x-ms-error-code"]) == (416, "InvalidRange")


def test_a_blob_that_the_client_has_is_not_sent_again(dropbox_url, dropbox):
    dropbox.upload_blob("a", b"1")
    url = dropbox_url.replace("?", "/a?")
    etag = requests.get(url).headers["ETag"]
    assert requests.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert requests.get(url, headers={"If-Match": '"other"'}).status_code == 412


def test_deleted_is_gone(dropbox):
    dropbox.upload_blob("a", b"1")
    dropbox.delete_blob("a")
    for again in (dropbox.delete_blob, lambda name: dropbox.download_blob(name).readall()):
        with pytest.raises(ResourceNotFoundError) as refusal:
            again("a")
        assert refusal.value.error_code == "BlobNotFound"


def test_a_listing_comes_in_pages_that_miss_nothing_and_repeat_nothing(dropbox):
    names = sorted([f"{letter}/{number:02}" for letter in "abc" for number in range(7)] + ["a", "b0", "c-"])
    for name in names:
        dropbox.upload_blob(name, name.encode())
    pages = dropbox.list_blobs(results_per_page=5).by_page()
    first = [blob.name for blob in next(pages)]
    assert first == names[:5]
    rest = dropbox.list_blobs(results_per_page=5).by_page(pages.continuation_token)
    assert first + [blob.name for page in rest for blob in page] == names
    assert [blob.name for blob in dropbox.list_blobs(name_starts_with="b/")] == [n for n in names if n.startswith("b/")]
    for per_page in (1, 2, 100):
        pages = dropbox.walk_blobs(delimiter="/", results_per_page=per_page).by_page()
        walked = [item.name for page in pages for item in page]
        assert sorted(walked) == ["a", "a/", "b/", "b0", "c-", "c/"]
    inside = dropbox.walk_blobs(name_starts_with="c/", delimiter="/")
    assert [blob.name for blob in inside] == [n for n in names if n.startswith("c/")]


@pytest.mark.parametrize("query", ["marker=!", "maxresults=0", "maxresults=x"])
def test_a_listing_refuses_what_it_cannot_read(dropbox_url, query):
    response = requests.get(f"{dropbox_url}&restype=container&comp=list&{query}")
    assert response.status_code == 400
    assert "QueryParameterValue" in response.headers["x-ms-error-code"]


NAMES = [
    "ümlaut und blank.png",
    "日本語/画像.jpg",
    "🐟.png",
    "a%20b+c&d=e?f#g.png",
    "C:\\windows\\x.png",
    "semi;colon'quote\"<tag>.png",
    "con.",
    "x" * 1024,
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_kept_as_it_is(dropbox, name):
    dropbox.upload_blob(name, name.encode())
    assert [blob.name for blob in dropbox.list_blobs()] == [name]
    assert dropbox.download_blob(name).readall() == name.encode()


def test_a_blob_and_a_folder_of_the_same_name_live_together(dropbox):
    for name in ("a", "a/b", "a/b/c", "a/"):
        dropbox.upload_blob(name, name.encode())
    assert [blob.name for blob in dropbox.list_blobs()] == ["a", "a/", "a/b", "a/b/c"]


def raw(method, url, path, body=b"", **headers):
    """Send a path exactly as it is: other clients tidy it up."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"{parts.path}/{path}?{parts.query}", body, headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


@pytest.mark.parametrize(
    "path",
    ["../../../../escaped", "..%2f..%2f..%2fescaped", "/escaped", "%2e%2e/%2e%2e/escaped", "a//../b", "..", "."],
)
def test_a_name_that_climbs_is_only_a_name(serve, tmp_path, path):
    with serve() as service:
        image_set = service.image_set()
        response = raw("PUT", image_set["dropbox_url"], path, b"evil", x_ms_blob_type="BlockBlob")
        assert response.status == 201
        assert raw("GET", image_set["dropbox_url"], path).status == 200
        sealed = service.seal(image_set["imageset_id"])
        assert len(sealed["rejected"]) == 1
        assert "relative path" in sealed["rejected"][0]["reason"]
    assert not list(tmp_path.rglob("*escaped*"))
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


@pytest.mark.parametrize("path", ["%00", "a%0Ab", "%ff%fe", "%ED%A0%80", "x" * 1025])
def test_a_name_that_cannot_be_listed_is_refused(dropbox_url, path):
    response = raw("PUT", dropbox_url, path, b"x", x_ms_blob_type="BlockBlob")
    assert response.status == 400
    assert response.headers["x-ms-error-code"] in ("InvalidResourceName", "InvalidUri")


def test_what_is_not_an_image_is_never_served_as_something_that_runs(dropbox_url):
    url = dropbox_url.replace("?", "/page.html?")
    for kind in ("text/html", "image/svg+xml", "application/javascript", "text/html; charset=utf-8"):
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": kind}
        assert requests.put(url, data=b"<script>alert(1)</script>", headers=headers).status_code == 201
        response = requests.get(url)
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response.headers["Content-Security-Policy"]


def test_only_block_blobs_are_taken(dropbox_url):
    url = dropbox_url.replace("?", "/a?")
    assert requests.put(url, data=b"x").headers["x-ms-error-code"] == "InvalidHeaderValue"
    copy = {"x-ms-blob-type": "BlockBlob", "x-ms-copy-source": "http://example.com/secret"}
    assert requests.put(url, headers=copy).headers["x-ms-error-code"] == "InvalidHeaderValue"
    assert requests.put(f"{url}&comp=lease").status_code == 501


def test_a_block_list_with_a_document_type_is_refused_unread(dropbox_url):
    url = dropbox_url.replace("?", "/a?") + "&comp=blocklist"
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><BlockList><Latest>&a;</Latest></BlockList>'
    for body in (bomb, b"no xml", b"<Other/>", b"<BlockList>"):
        response = requests.put(url, data=body)
        assert (response.status_code, response.headers["x-ms-error-code"]) == (400, "InvalidXmlDocument")


def test_block_lists_that_take_more_memory_than_there_is_come_again_later(serve):
    from labelwright.service import Limits

    def send(service_url, blocks):
        body = b"<BlockList>" + b"<Latest>QQ==</Latest>" * blocks + b"</BlockList>"
        return requests.put(service_url, data=body, timeout=60)

    with serve(limits=Limits(bodies_bytes=1000)) as service:
        url = service.image_set()["dropbox_url"].replace("?", "/a?") + "&comp=blocklist"
        response = send(url, 50)
        assert (response.status_code, response.headers["x-ms-error-code"]) == (503, "ServerBusy")
        assert int(response.headers["Retry-After"]) > 0
        for _ in range(3):  # nothing stays counted
            assert send(url, 10).headers["x-ms-error-code"] == "InvalidBlockList"


def test_a_blob_beyond_the_limit_is_refused_in_one_piece_and_in_blocks(serve):
    from labelwright.service import Limits

    with serve(limits=Limits(upload_bytes=1000)) as service:
        url = service.image_set()["dropbox_url"]
        headers = {"x-ms-blob-type": "BlockBlob"}
        put = url.replace("?", "/a?")
        assert requests.put(put, data=b"x" * 1000, headers=headers).status_code == 201
        too_large = requests.put(put, data=b"x" * 1001, headers=headers)
        assert (too_large.status_code, too_large.headers["x-ms-error-code"]) == (413, "RequestBodyTooLarge")
        chunked = requests.put(put, data=iter([b"x" * 600, b"x" * 600]), headers=headers)
        assert chunked.status_code == 413
        with ContainerClient.from_container_url(url, max_single_put_size=10, max_block_size=600) as dropbox:
            with pytest.raises(HttpResponseError) as refusal:
                dropbox.upload_blob("b", b"x" * 1200)
            assert refusal.value.status_code == 413


def test_replaced_and_deleted_bytes_leave_the_disk(serve, tmp_path):
    files = tmp_path / "data" / "blobs"

    def count():
        return sum(path.is_file() for path in files.rglob("*"))

    with serve() as service, ContainerClient.from_container_url(service.image_set()["dropbox_url"]) as dropbox:
        for data in (b"1", b"2", b"3"):
            dropbox.upload_blob("a", data, overwrite=True)
        assert count() == 1
        with pytest.raises(ResourceExistsError):
            dropbox.upload_blob("a", b"4")
        assert count() == 1
        dropbox.delete_blob("a")
        assert count() == 0
        staging = dropbox.get_blob_client("s")
        staging.stage_block("a", b"1")
        staging.stage_block("a", b"2")
        assert count() == 1
        staging.commit_block_list([BlobBlock("a")])
        assert count() == 1
