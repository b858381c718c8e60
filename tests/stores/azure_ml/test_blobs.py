"""The blob side of the Azure ML store against Azurite: the unchanged azure-storage-blob client, real conditions."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient, ContentSettings, generate_container_sas

from labelwright.domain import Image, Size
from labelwright.ingest import InventoryItem
from labelwright.platforms import AccessDenied, NotFound, PlatformError, PlatformUnavailable
from labelwright.settings import WorkspaceSettings
from labelwright.stores.azure_ml.blobs import Blobs, account_of, md5_of, open_blobs
from labelwright.stores.azure_ml.store import AzureMlStore
from labelwright.stores.protocol import ContentMismatch, ImageSource
from tests.ingest.stores import Azurite

pytestmark = pytest.mark.azurite


@pytest.fixture(scope="module")
def azurite(tmp_path_factory) -> Iterator[Azurite]:
    server = Azurite(tmp_path_factory.mktemp("azurite"), on_disk=True)
    with BlobServiceClient.from_connection_string(server.connection_string) as service:
        service.create_container("extra-images")
        service.create_container("elsewhere")
    yield server
    server.stop()


@pytest.fixture
def container(azurite) -> Iterator[ContainerClient]:
    with ContainerClient.from_connection_string(azurite.connection_string, "extra-images") as client:
        for blob in client.list_blobs():
            client.delete_blob(blob.name)
        yield client


@pytest.fixture
def blobs(azurite, container) -> Blobs:
    return blobs_of(azurite)


def blobs_of(azurite: Azurite, container: str = "extra-images", **more: object) -> Blobs:
    workspace = {"connection_string": azurite.connection_string, "container": container} | more
    return open_blobs(account_of(WorkspaceSettings.model_validate(workspace)), threads=4, timeout=20)


def signed(container: ContainerClient, rights: str) -> dict[str, str]:
    sas = generate_container_sas(
        container.account_name,
        container.container_name,
        account_key=container.credential.account_key,
        permission=rights,
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    return {"account_url": container.url.rpartition("/")[0], "sas": sas}


def a_file(folder: Path, data: bytes = b"some labels") -> Path:
    path = folder / "labels.csv"
    path.write_bytes(data)
    return path


def test_a_file_is_put_once_with_its_md5_and_type(blobs, container, tmp_path):
    file = a_file(tmp_path)
    assert blobs.put("a/labels.csv", file, md5_of(file))
    assert not blobs.put("a/labels.csv", file, md5_of(file))
    settings = container.get_blob_client("a/labels.csv").get_blob_properties().content_settings
    assert bytes(settings.content_md5) == hashlib.md5(b"some labels").digest()
    assert settings.content_type == "text/csv; charset=utf-8"


def test_a_large_file_keeps_the_md5_of_the_whole(blobs, container, tmp_path):
    file = a_file(tmp_path, b"0123456789" * 1_000_000)
    blobs.put("large.jsonl", file, md5_of(file))
    properties = container.get_blob_client("large.jsonl").get_blob_properties()
    assert (properties.size, bytes(properties.content_settings.content_md5)) == (10_000_000, md5_of(file))
    assert len(container.get_blob_client("large.jsonl").get_block_list()[0]) == 3


def test_a_name_that_holds_something_else_is_never_written_over(blobs, container, tmp_path):
    container.upload_blob("a/labels.csv", b"old")
    with pytest.raises(ContentMismatch, match="not overwritten"):
        blobs.put("a/labels.csv", a_file(tmp_path), b"\0" * 16)
    assert container.download_blob("a/labels.csv").readall() == b"old"


def test_store_refuses_a_body_with_a_wrong_md5(blobs, container, tmp_path):
    file = a_file(tmp_path)
    with pytest.raises(PlatformError) as caught:
        blobs.put("a.csv", file, hashlib.md5(b"another").digest())
    assert caught.value.status == 400
    assert blobs.look("a.csv") is None


def test_a_copy_follows_its_source_and_says_when_it_was_there(blobs, container, tmp_path):
    for number, text in enumerate((b"first", b"second")):
        file = a_file(tmp_path, text)
        blobs.put(f"deliveries/{number}.csv", file, md5_of(file))
    assert blobs.copy_to("deliveries/0.csv", "label_sets/river_labels.csv")
    assert not blobs.copy_to("deliveries/0.csv", "label_sets/river_labels.csv")
    assert blobs.copy_to("deliveries/1.csv", "label_sets/river_labels.csv")
    assert container.download_blob("label_sets/river_labels.csv").readall() == b"second"
    assert container.download_blob("deliveries/0.csv").readall() == b"first"
    with pytest.raises(NotFound):
        blobs.copy_to("deliveries/7.csv", "label_sets/river_labels.csv")


def test_two_writers_of_the_newest_labels_do_not_mix(blobs, container, tmp_path, monkeypatch):
    file = a_file(tmp_path)
    blobs.put("deliveries/0.csv", file, md5_of(file))
    looked = blobs._properties

    def overtaken(path: str) -> object:
        properties = looked(path)
        if path.startswith("label_sets/"):
            monkeypatch.undo()
            settings = ContentSettings(content_md5=bytearray(hashlib.md5(b"newer").digest()))
            container.upload_blob(path, b"newer", overwrite=True, content_settings=settings)
        return properties

    monkeypatch.setattr(blobs, "_properties", overtaken)
    with pytest.raises(PlatformUnavailable, match="by another process at the same time"):
        blobs.copy_to("deliveries/0.csv", "label_sets/x.csv")
    assert container.download_blob("label_sets/x.csv").readall() == b"newer"


def test_slow_copy_is_awaited_and_a_failed_one_removed(blobs, container, monkeypatch):
    # Azurite copies at once: pending and failed copies are said by a fake.
    states = iter(["pending", "pending", "failed"])
    calls: list[str] = []

    class Slow:
        def get_blob_properties(self) -> SimpleNamespace:
            return SimpleNamespace(copy=SimpleNamespace(status=next(states), id="1"))

        def delete_blob(self) -> None:
            calls.append("deleted")

    monkeypatch.setattr("labelwright.stores.azure_ml.blobs.time.sleep", lambda seconds: calls.append("slept"))
    monkeypatch.setattr(blobs, "_client", SimpleNamespace(get_blob_client=lambda path: Slow()))
    with pytest.raises(PlatformUnavailable, match="it is failed"):
        blobs._wait_for_copy("x")
    assert calls == ["slept", "slept", "deleted"]


def test_a_signature_is_enough_and_one_that_lacks_a_right_says_so(azurite, container, tmp_path):
    file = a_file(tmp_path)
    able = blobs_of(azurite, connection_string=None, **signed(container, "racwl"))
    assert able.put("a.csv", file, md5_of(file))
    assert able.copy_to("a.csv", "label_sets/a.csv")
    unable = blobs_of(azurite, connection_string=None, **signed(container, "r"))
    with pytest.raises(AccessDenied) as caught:
        unable.put("b.csv", file, md5_of(file))
    assert "sig=" not in str(caught.value) + repr(caught.value) + repr(unable)


def test_missing_container_differs_from_missing_blob(azurite, blobs):
    assert blobs.look("nothing.csv") is None
    assert blobs.read_text("nothing.json") is None
    gone = blobs_of(azurite, "never-made")
    with pytest.raises(NotFound, match="Create the container"):
        gone.put_text("x.json", "{}")


# --- images


def an_image(name: str, data: bytes) -> Image:
    md5, sha256 = hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest()
    return Image(name, Size(1, 1), len(data), sha256, md5, "JPEG")


def items(*names: str) -> list[InventoryItem]:
    return [InventoryItem(an_image(name, name.encode() * 100), name) for name in names]


def from_memory(location: str) -> io.BytesIO:
    return io.BytesIO(location.encode() * 100)


def store_of(azurite: Azurite) -> AzureMlStore:
    workspace = WorkspaceSettings.model_validate(
        {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}
        | {"connection_string": azurite.connection_string}
    )
    return AzureMlStore(workspace, engine="sdk_v2", threads=4, timeout=20)


def test_images_are_sent_once_compared_and_marked(azurite, container):
    store, images = store_of(azurite), items("a.jpg", "b/кот 1.jpg")
    folder = store.image_folder("river", "0" * 64)
    assert not store.has_images(folder)
    report = store.keep_images(folder, images, ImageSource(from_memory))
    assert (report.sent, report.present, report.failed) == (2, 0, ())
    # As an account with a hierarchical namespace lists the folder in it.
    container.upload_blob(f"{folder}/b", b"", metadata={"hdi_isfolder": "true"})
    again = store.keep_images(folder, images, ImageSource(from_memory))
    assert (again.sent, again.present) == (0, 2)
    missing = store.seal_images(folder, [item.image for item in items("a.jpg", "b/кот 1.jpg", "c.jpg")])
    assert missing == [f"{folder}/c.jpg is not in the store"]
    assert not store.has_images(folder)
    assert store.seal_images(folder, [item.image for item in images]) == []
    assert store.has_images(folder)
    url = store.image_url(folder, "b/кот 1.jpg")
    assert url.endswith(f"/datastores/labelwright/paths/{folder}/b/%D0%BA%D0%BE%D1%82%201.jpg")


def test_image_changed_since_its_check_is_not_stored(azurite, container):
    store = store_of(azurite)
    folder = store.image_folder("river", "1" * 64)
    report = store.keep_images(folder, items("a.jpg"), ImageSource(lambda location: io.BytesIO(b"x" * 500)))
    assert [name for name, _ in report.failed] == ["a.jpg"]
    assert [blob.name for blob in container.list_blobs()] == []


def test_images_in_the_same_container_are_copied_not_sent(azurite, container):
    store, images = store_of(azurite), items("a.jpg", "b.jpg", "c.jpg")
    for item in images[:2]:
        md5 = ContentSettings(content_md5=bytearray.fromhex(item.image.md5), content_type="image/jpeg")
        container.upload_blob(f"uploads/river/{item.image.name}", item.image.name.encode() * 100, content_settings=md5)
    sent: list[str] = []

    def only_what_is_missing(location: str) -> io.BytesIO:
        sent.append(location)
        return from_memory(location)

    folder = store.image_folder("river", "2" * 64)
    report = store.keep_images(folder, images, ImageSource(only_what_is_missing, platform_folder="river"))
    assert (report.sent, sent) == (3, ["c.jpg"])
    assert store.seal_images(folder, [item.image for item in images]) == []


def test_images_of_another_container_are_copied_under_their_etag(azurite, container):
    with ContainerClient.from_connection_string(azurite.connection_string, "elsewhere") as other:
        etags, images = {}, items("a.jpg", "b.jpg")
        for item in images:  # one of them without the checksum that uploads in pieces do not keep
            data = item.image.name.encode() * 100
            blob = other.upload_blob(item.location, data, overwrite=True)
            if item.location == "b.jpg":
                blob.set_http_headers(ContentSettings(content_type="image/jpeg"))
            etags[item.location] = blob.get_blob_properties().etag
        sas = signed(other, "r")["sas"]

        def never(location: str) -> io.BytesIO:
            raise AssertionError(location)

        source = ImageSource(never, lambda location: f"{other.url}/{location}?{sas}", etags.get)
        store = store_of(azurite)
        folder = store.image_folder("river", "3" * 64)
        assert store.keep_images(folder, images, source).sent == 2
        assert store.seal_images(folder, [item.image for item in images]) == []

        other.upload_blob("a.jpg", b"another picture", overwrite=True)
        with pytest.raises(ContentMismatch, match="not the image that was checked"):
            store.keep_images(store.image_folder("river", "4" * 64), images[:1], source)


# --- compared and repaired


def filled(azurite: Azurite, *names: str) -> tuple[AzureMlStore, str, list[InventoryItem]]:
    store, images = store_of(azurite), items(*names)
    folder = store.image_folder("river", "5" * 64)
    store.keep_images(folder, images, ImageSource(from_memory))
    assert store.seal_images(folder, [item.image for item in images]) == []
    return store, folder, images


def compared(store: AzureMlStore, folder: str, items: list[InventoryItem], **how: bool) -> list[str]:
    return [
        f"{difference.name} {difference.reason}"
        for difference in store.compare_images(folder, [difference.image for difference in items], **how)
    ]


def test_missing_or_replaced_images_are_found_and_sent_again(azurite, container, monkeypatch):
    store, folder, items = filled(azurite, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    container.delete_blob(f"{folder}/a.jpg")
    container.upload_blob(f"{folder}/b.jpg", b"B.JPG" * 100, overwrite=True)
    container.upload_blob(f"{folder}/c.jpg", b"short", overwrite=True)
    looks: list[str] = []
    look = Blobs.look
    monkeypatch.setattr(Blobs, "look", lambda self, path: looks.append(path) or look(self, path))
    differences = compared(store, folder, items)
    assert looks == [], "no request an image"
    assert [message.partition(" ")[0] for message in differences] == ["a.jpg", "b.jpg", "c.jpg"]
    assert "is not in the store" in differences[0]
    assert "another file of the same size" in differences[1]
    assert "holds 5 bytes under this name, the manifest says 500" in differences[2]

    refused = store.keep_images(folder, items, ImageSource(from_memory))
    assert [name for name, _ in refused.failed] == ["b.jpg", "c.jpg"], (
        "nothing is written over unless it was whole once"
    )
    container.delete_blob(f"{folder}/a.jpg")
    report = store.keep_images(folder, items, ImageSource(from_memory), replace=True)
    assert (report.sent, report.present, report.failed) == (3, 1, ())
    assert compared(store, folder, items, deep=True) == []


def test_an_image_whose_stored_md5_lies_is_found_by_reading_it(azurite, container):
    store, folder, items = filled(azurite, "a.jpg", "b.jpg")
    md5 = ContentSettings(content_md5=bytearray.fromhex(items[0].image.md5))
    container.upload_blob(f"{folder}/a.jpg", b"A.JPG" * 100, overwrite=True).set_http_headers(md5)
    assert compared(store, folder, items) == []
    assert compared(store, folder, items, deep=True) == [
        "a.jpg has other bytes than the manifest says, although its size and stored MD5 agree"
    ]


def test_image_with_a_changed_source_cannot_be_repaired(azurite, container):
    store, folder, items = filled(azurite, "a.jpg")
    container.upload_blob(f"{folder}/a.jpg", b"damaged", overwrite=True)
    report = store.keep_images(folder, items, ImageSource(lambda location: io.BytesIO(b"x" * 500)), replace=True)
    assert report.failed == (
        ("a.jpg", "cannot be repaired: the file has changed since it was checked: run the same command again"),
    )
    assert container.download_blob(f"{folder}/a.jpg").readall() == b"damaged"


def test_damaged_image_is_copied_again_on_the_server(azurite, container):
    store, folder, items = filled(azurite, "a.jpg", "b.jpg")

    def never(location: str) -> io.BytesIO:
        raise AssertionError(location)

    md5 = ContentSettings(content_md5=bytearray.fromhex(items[0].image.md5))
    container.upload_blob("uploads/river/a.jpg", b"a.jpg" * 100, content_settings=md5)
    container.upload_blob(f"{folder}/a.jpg", b"damaged", overwrite=True)
    assert store.keep_images(folder, items, ImageSource(never, platform_folder="river"), replace=True).sent == 1
    with ContainerClient.from_connection_string(azurite.connection_string, "elsewhere") as other:
        blob = other.upload_blob("b.jpg", b"b.jpg" * 100, overwrite=True)
        etag, sas = blob.get_blob_properties().etag, signed(other, "r")["sas"]
        container.upload_blob(f"{folder}/b.jpg", b"damaged", overwrite=True)
        source = ImageSource(never, lambda location: f"{other.url}/{location}?{sas}", lambda location: etag)
        assert store.keep_images(folder, items, source, replace=True).sent == 1
    assert compared(store, folder, items, deep=True) == []


def test_highest_serial_is_the_newest_version(blobs):
    from labelwright.stores.azure_ml import latest
    from labelwright.stores.protocol import Newest

    assert latest.read(blobs, "river_labels") is None
    first = latest.reserve(blobs, "river_labels", "a" * 64)
    second = latest.reserve(blobs, "river_labels", "b" * 64)
    assert second > first, "a number that was reserved is never given again, whether or not it was used"
    assert latest.read(blobs, "river_labels") is None
    b = Newest("b", "b" * 64, second)
    assert latest.settle(blobs, "river_labels", b) == b
    assert latest.settle(blobs, "river_labels", Newest("a", "a" * 64, first)) == b
    assert latest.read(blobs, "river_labels") == b
    written = blobs.read_text_with_etag("label_sets/river_labels.latest.json")
    assert latest.reserve(blobs, "river_labels", "b" * 64) == second
    assert blobs.read_text_with_etag("label_sets/river_labels.latest.json") == written, "no change writes nothing"
    assert latest.reserve(blobs, "river_labels", "a" * 64) > second


def test_two_that_reserve_at_once_get_two_numbers(azurite, blobs):
    from concurrent.futures import ThreadPoolExecutor

    from labelwright.stores.azure_ml import latest

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda letter: latest.reserve(blobs_of(azurite), "x", letter * 64), "abcd"))
    assert len(set(numbers)) == 4


def test_overtaken_export_does_not_copy_its_labels(blobs, container, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        blobs.put(f"deliveries/{name}.csv", tmp_path / name, md5_of(tmp_path / name))
    assert blobs.copy_to("deliveries/b.csv", "label_sets/x.csv", is_current=lambda: True)
    assert not blobs.copy_to("deliveries/a.csv", "label_sets/x.csv", is_current=lambda: False)
    assert container.download_blob("label_sets/x.csv").readall() == b"b"
