"""The service with its bytes in Azure Blob: Microsoft's own stand-in takes, signs and copies them."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from azure.storage.blob import BlobServiceClient, ContainerClient, ContentSettings

from labelwright.service import AzureStorage

from ..ingest.stores import Azurite
from .conftest import Serve, Service, Serving, config_of
from .test_labels_csv import *  # noqa: F403
from .test_sealing import *  # noqa: F403

for _of_the_data_directory in (
    "test_sealing_goes_on_after_the_service_was_killed_half_way",
    "test_bytes_that_rotted_on_disk_are_noticed",
    "test_bytes_that_a_killed_upload_left_behind_are_swept_at_a_later_start",
):
    del globals()[_of_the_data_directory]

pytestmark = pytest.mark.azurite
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    store = Azurite(tmp_path_factory.mktemp("azurite"))
    yield store
    store.stop()


@pytest.fixture(scope="module")
def account(azurite: Azurite) -> Iterator[BlobServiceClient]:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as client:
        yield client


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    storage = AzureStorage(connection_string=azurite.connection_string)
    with Serving(config_of(tmp_path_factory.mktemp("service"), storage=storage)) as running:
        yield running


@pytest.fixture
def serve(azurite: Azurite, tmp_path: Path) -> Serve:
    """Each has a main container of its own: all share one account."""
    container = f"images-{next(_numbers)}"

    def start(data_dir: Path = tmp_path / "data", **settings):
        storage = AzureStorage(connection_string=azurite.connection_string)
        return Serving(config_of(data_dir, **{"storage": storage, "main_container": container, **settings}))

    return start


def test_a_campaign_lives_from_its_dropbox_to_its_labels_file(service, account, make, tmp_path):
    image_set = service.image_set("imageset 26-10")
    assert image_set["dropbox_url"].startswith(account.url)
    assert {"sp=rwdl", "sr=c"} <= set(image_set["dropbox_url"].partition("?")[2].split("&"))
    picture = make.picture(200, 240)
    with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
        dropbox.upload_blob("a/car.png", picture, content_settings=ContentSettings("text/html"))
        dropbox.upload_blob("zebra é.png", picture)
        assert {blob.name for blob in dropbox.list_blobs()} == {"a/car.png", "zebra é.png"}
        dropbox.delete_blob("zebra é.png")
        dropbox.upload_blob("zebra é.png", picture)
        dropbox.upload_blob("a", b"", metadata={"hdi_isfolder": "true"})  # as hierarchical accounts list a folder
    assert service.seal(image_set["imageset_id"])["rejected"] == []
    assert not account.get_container_client(image_set["blobstorage_path"]).exists(), "the dropbox is deleted"

    listed = service.images_of(image_set["imageset_id"])
    assert [image["blobstorage_path"] for image in listed] == [
        "extra-images/uploads/imageset 26-10/a/car.png",
        "extra-images/uploads/imageset 26-10/zebra é.png",
    ]
    kept = account.get_blob_client("extra-images", "uploads/imageset 26-10/a/car.png").get_blob_properties()
    assert kept.content_settings.content_type == "image/png", "what it is, and not what its sender said"
    assert kept.content_settings.content_md5
    assert kept.copy.id, "Azure copied it"

    body = {"title": "campaign 26-10", "metadata": None, "labeler_email": "azure@example.com"}
    campaign = service.ok("POST", "/campaigns", body)
    path, labeler = f"/campaigns/{campaign['campaign_id']}", service.labeler(campaign)
    ids = [image["image_id"] for image in listed]
    service.ok("POST", f"{path}/images", [{"id": image} for image in ids])
    service.ok("PUT", path, {"new_status": "active"})
    redirect = labeler("GET", f"/images/{ids[0]}", allow_redirects=False)
    assert redirect.status_code == 302
    url = redirect.headers["Location"]
    assert url.startswith(f"{account.url}extra-images/uploads/")
    assert "sp=r&" in url + "&"
    assert "sr=b" in url
    assert requests.get(url, timeout=30).content == picture
    assert requests.get(url.partition("?")[0], timeout=30).status_code in (403, 404), "not without the signature"
    assert requests.delete(url, timeout=30).status_code == 403, "for reading only"

    labeler.ok("PUT", f"{path}/objects", [{"image_id": image, "objects": [make.thing()]} for image in ids])
    service.ok("PUT", path, {"new_status": "finished"})
    sealed = service.get(path)
    rows = requests.get(sealed["labels_csv_url"], timeout=30)
    assert rows.headers["Content-Type"] == "text/csv"
    assert len(rows.text.splitlines()) == 3
    assert account.get_blob_client("extra-images", "label_sets/campaign 26-10_labels.csv").exists()
    assert requests.get(f"{service.url}/blob/extra-images/x", timeout=30).status_code == 404, "no blobs of our own"


def test_a_container_and_a_blob_of_others_are_left_alone(service, account, make):
    title = make.fresh("taken")
    others = account.create_container(f"dropbox-{title}")
    others.upload_blob("theirs.txt", b"theirs")
    account.get_blob_client("extra-images", f"uploads/{title}/a.png").upload_blob(b"theirs")
    image_set = service.image_set(title)
    assert image_set["blobstorage_path"] != f"dropbox-{title}"
    with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
        dropbox.upload_blob("a.png", make.picture(9, 9))
        dropbox.upload_blob("b.png", make.picture(9, 9))
    sealed = service.seal(image_set["imageset_id"])
    assert [image["file_name"] for image in service.images_of(image_set["imageset_id"])] == ["b.png"]
    assert "is not overwritten" in sealed["rejected"][0]["reason"]
    assert account.get_blob_client("extra-images", f"uploads/{title}/a.png").download_blob().readall() == b"theirs"
    assert others.download_blob("theirs.txt").readall() == b"theirs"


def test_a_dropbox_that_we_made_before_we_were_killed_is_used(service, account, make, monkeypatch):
    from labelwright.service import image_sets

    title = make.fresh("killed")
    with monkeypatch.context() as patch:
        patch.setattr(image_sets, "now", lambda: 1 / 0)
        assert service("POST", "/image_sets", {"title": title, "metadata": None}).status_code == 500
    assert account.get_container_client(f"dropbox-{title}").exists()
    assert service.image_set(title)["blobstorage_path"] == f"dropbox-{title}"


def test_nothing_of_an_image_stays_on_this_machine(serve, make, tmp_path):
    with serve() as service:
        service.set_of({f"{n}.png": make.picture(50, 50) for n in range(40)} | {"no.txt": b"text"})
    assert list((tmp_path / "data" / "fetched").iterdir()) == []
    assert not (tmp_path / "data" / "blobs").exists()


def test_unreachable_store_is_reported_and_sealing_waits_for_it(tmp_path, make, monkeypatch):
    monkeypatch.setattr("labelwright.service.sealing.RETRY_SECONDS", 0.2)
    folder = tmp_path / "azurite"
    folder.mkdir()
    store = Azurite(folder)
    storage = AzureStorage(connection_string=store.connection_string)
    with Serving(config_of(tmp_path / "data", storage=storage)) as service:
        store.stop()
        refused = service("POST", "/image_sets", {"title": "down", "metadata": None})
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "unavailable"
    assert "AccountKey" not in refused.text
    assert "sig=" not in refused.text


SERVER = """
import sys
from pathlib import Path
from labelwright.service import AzureStorage, ServiceConfig
from labelwright.service.run import serve
config = ServiceConfig(Path(sys.argv[1]), admin_key=sys.argv[2], admin_secret=sys.argv[3], main_container="killed",
                       storage=AzureStorage(connection_string=sys.argv[4]), sealing_chunk=1, sealing_threads=1)
serve(config, lambda url: print(url, flush=True))
"""


def test_sealing_goes_on_after_the_service_was_killed(azurite, account, make, tmp_path):
    command = [sys.executable, "-c", SERVER, str(tmp_path), make.key, make.secret, azurite.connection_string]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    names = [f"{number:02}.png" for number in range(20)]
    picture = make.picture(2500, 2500)
    try:
        caller = make.caller(process.stdout.readline().strip(), make.key, make.secret)
        image_set = caller.ok("POST", "/image_sets", {"title": "killed", "metadata": None})
        with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
            for name in [*names, "99.txt"]:
                dropbox.upload_blob(name, picture)
            dropbox.upload_blob("99.txt", b"text", overwrite=True)
        caller.ok("PUT", f"/image_sets/{image_set['imageset_id']}", {"new_status": "finished"})
        while caller.get("/images")["pagination"]["total"] < 3:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    dropbox = account.get_container_client(image_set["blobstorage_path"])
    assert len(list(dropbox.list_blobs())) == 21, "nothing leaves the dropbox before all are in"
    storage = AzureStorage(connection_string=azurite.connection_string)
    with Serving(config_of(tmp_path, storage=storage, main_container="killed")) as service:
        sealed = service.sealed(image_set["imageset_id"])
        listed = service.images_of(image_set["imageset_id"])
        assert [image["file_name"] for image in listed] == names
        assert [image["image_id"] for image in listed] == list(range(1, 21))
        assert [entry["name"] for entry in sealed["rejected"]] == ["99.txt"]
        assert service("GET", "/images/20").content == picture
    assert not dropbox.exists()
    assert len(list(account.get_container_client("killed").list_blobs())) == 20


@pytest.mark.parametrize("step", ["copied", "deleted"])
def test_sealing_goes_on_from_between_any_two_steps(serve, account, make, monkeypatch, step):
    """Killed after the copies and before their rows, or after the dropbox went and before the set was finished."""
    from labelwright.service.storage.azure import AzureStore

    monkeypatch.setattr("labelwright.service.sealing.RETRY_SECONDS", 0.05)
    broken, real_enter, real_delete = [], AzureStore.enter, AzureStore.delete_dropbox

    def enter(self, connection, copies):
        if step == "copied" and len(broken) < 2:
            broken.append([copy.name for copy in copies])
            raise OSError("killed here")
        real_enter(self, connection, copies)

    def delete(self, name):
        real_delete(self, name)
        if step == "deleted" and len(broken) < 2:
            broken.append(name)
            raise OSError("killed here")

    monkeypatch.setattr(AzureStore, "enter", enter)
    monkeypatch.setattr(AzureStore, "delete_dropbox", delete)
    with serve(sealing_chunk=3) as service:
        sealed = service.set_of({f"{number}.png": make.picture(9, 9) for number in range(7)})
        assert (sealed["image_count"], sealed["rejected"]) == (7, [])
        assert [entry["image_id"] for entry in service.images_of(sealed["imageset_id"])] == list(range(1, 8))
    assert len(broken) == 2


def test_a_dropbox_that_vanished_is_not_taken_for_an_empty_one(serve, account, make, monkeypatch):
    monkeypatch.setattr("labelwright.service.sealing.RETRY_SECONDS", 0.05)
    with serve() as service:
        image_set = service.image_set()
        account.delete_container(image_set["blobstorage_path"])
        refused = service("PUT", f"/image_sets/{image_set['imageset_id']}", {"new_status": "finished"})
        assert refused.status_code == 503
        time.sleep(0.3)
        assert service.get(f"/image_sets/{image_set['imageset_id']}")["status"] == "created"


def test_a_file_that_changes_while_it_is_sealed_is_judged_anew(serve, account, make, monkeypatch):
    from labelwright.service import image_checks, sealing

    monkeypatch.setattr(sealing, "RETRY_SECONDS", 0.05)
    real, changed, dropboxes = image_checks.inspect_image, [], []

    def look(*arguments):
        result = real(*arguments)
        if not changed:
            changed.append(1)
            blob = account.get_blob_client(dropboxes[0], "a.png")
            blob.upload_blob(make.picture(77, 7), overwrite=True)
        return result

    monkeypatch.setattr(image_checks, "inspect_image", look)
    with serve() as service:
        image_set = service.image_set()
        dropboxes.append(image_set["blobstorage_path"])
        with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
            dropbox.upload_blob("a.png", make.picture(9, 9))
        service.seal(image_set["imageset_id"])
        (image,) = service.images_of(image_set["imageset_id"])
        assert image["file"]["dimensions"] == {"height": 7, "width": 77}
        assert service("GET", f"/images/{image['image_id']}").content == make.picture(77, 7)


def test_a_kept_file_can_be_read_and_a_missing_one_is_missing(azurite, account, tmp_path):
    from labelwright.service.storage.azure import AzureStore

    account_settings = AzureStorage(connection_string=azurite.connection_string)
    store = AzureStore(config_of(tmp_path, storage=account_settings, main_container="kept"), account_settings)
    store.open()
    account.get_blob_client("kept", "a é.png").upload_blob(b"bytes")
    with store.kept("a é.png") as path:
        assert path.read_bytes() == b"bytes"
    assert not path.exists()
    with pytest.raises(FileNotFoundError), store.kept("b.png"):
        pass
    store.close()


def test_the_key_of_the_account_is_told_to_nobody(azurite, tmp_path):
    storage = AzureStorage(connection_string=azurite.connection_string)
    assert "AccountKey" not in repr(config_of(tmp_path, storage=storage))
