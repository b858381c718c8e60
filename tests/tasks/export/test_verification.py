"""Images that lie elsewhere than in the store, compared with the manifest as far as their place allows."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from labelwright.campaigns.image_source import stamp_of
from labelwright.campaigns.spec import ImagesFrom
from labelwright.domain import Image, Size
from labelwright.ingest import CannotRead, FolderSource
from labelwright.ledger import Ledger, ManifestEntry
from labelwright.platforms import PlatformUnavailable
from labelwright.platforms.protocol import RemoteImage
from labelwright.tasks.export.verification import images_elsewhere

NAMES = ["a.jpg", "b.jpg", "c.jpg"]


class Nothing:
    """A platform that serves no images."""


class Serving:
    """A platform that keeps image sets, serves images and sends them back. `there` is what it holds, by id."""

    def __init__(self) -> None:
        self.there = {f"id-{name}": name.encode() * 10 for name in NAMES}
        self.fault: Exception | None = None
        self.listings = 0

    def list_images(self, image_set: str):
        self.listings += 1
        if self.fault is not None:
            raise self.fault
        for key, data in self.there.items():
            yield RemoteImage(key, key.removeprefix("id-"), 1, 1, len(data))

    def read_image(self, image: str) -> str:
        return hashlib.sha256(self.there[image]).hexdigest()

    def image_url(self, image: str) -> str:
        return image

    find_image_set = create_image_set = dropbox = seal_image_set = read_image_set = add_images = image_url


@pytest.fixture
def context(tmp_path: Path):
    """A campaign of three images in a folder."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in NAMES:
        (photos / name).write_bytes(name.encode() * 10)
    ledger.campaigns.add("river", {})
    source, mark = FolderSource(photos), ledger.manifests.begin("river")
    for file in source.find():
        data = Path(file.location).read_bytes()
        sha256, md5 = hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()
        image = Image(file.name, Size(1, 1), len(data), sha256, md5, "JPEG")
        ledger.manifests.add("river", mark, [ManifestEntry(image, file.location, stamp=stamp_of(file))])
    ledger.manifests.complete("river", mark)
    ledger.manifests.record_remote_ids("river", [(name, f"id-{name}") for name in NAMES])
    yield SimpleNamespace(
        title="river",
        ledger=ledger,
        source=source,
        platform=Nothing(),
        image_set="1",
        settings=SimpleNamespace(upload_threads=2),
        spec=SimpleNamespace(images=ImagesFrom(folder=str(photos))),
        photos=photos,
    )
    ledger.close()


@pytest.mark.parametrize("deep", [False, True])
def test_a_folder_that_is_as_it_was_says_what_was_not_compared(context, deep):
    findings = images_elsewhere(context, deep=deep)
    assert (findings.wrong, findings.repair) == ([], "")
    assert any("--deep reads them" in message for message in findings.unchecked) is not deep


def test_missing_or_replaced_source_images_are_listed_with_location(context):
    (context.photos / "a.jpg").unlink()
    (context.photos / "b.jpg").write_bytes(b"shorter")
    (context.photos / "c.jpg").write_bytes(b"C.JPG" * 10)
    findings = images_elsewhere(context, deep=False)
    place = context.photos.resolve()
    assert findings.wrong == [f"a.jpg is gone: {place}/a.jpg", f"b.jpg has 7 bytes and had 50: {place}/b.jpg"]
    assert "1 of them were written to" in findings.unchecked[0]
    assert "restore the same files" in findings.repair
    deep = images_elsewhere(context, deep=True)
    assert deep.wrong == [
        "a.jpg cannot be read: No such file or directory",
        "b.jpg has other bytes than when it was checked",
        "c.jpg has other bytes than when it was checked",
    ]
    assert deep.unchecked == []


def test_a_folder_on_another_machine_is_reported_as_not_compared(context):
    context.photos.rename(context.photos.with_name("moved"))
    findings = images_elsewhere(context, deep=False)
    assert findings.wrong == []
    assert "There is no folder" in findings.unchecked[0]


def test_images_at_addresses_are_read_only_when_asked_to(context):
    context.spec.images = ImagesFrom(urls=["https://example.com/a.jpg"])
    read: list[str] = []

    def open_(location: str) -> io.BytesIO:
        read.append(location)
        if location.endswith("b.jpg"):
            raise CannotRead("answered 404")
        return io.BytesIO(Path(location).read_bytes())

    context.source = SimpleNamespace(open=open_)
    findings = images_elsewhere(context, deep=False)
    assert (findings.wrong, read) == ([], [])
    assert "addresses of their own; --deep reads them" in findings.unchecked[0]
    assert images_elsewhere(context, deep=True).wrong == ["b.jpg cannot be read: answered 404"]
    assert len(read) == 3


def test_platform_images_are_downloaded_only_with_deep(context):
    context.platform = Serving()
    assert images_elsewhere(context, deep=False).wrong == []
    del context.platform.there["id-a.jpg"]
    context.platform.there["id-b.jpg"] = b"shorter"
    context.platform.there["id-c.jpg"] = b"C.JPG" * 10
    findings = images_elsewhere(context, deep=False)
    assert findings.wrong == ["a.jpg is no longer on the platform", "b.jpg has 7 bytes on the platform and had 50"]
    assert context.platform.listings == 2
    assert "c.jpg has other bytes than when it was checked" in images_elsewhere(context, deep=True).wrong


def test_images_of_an_unreachable_platform_are_not_compared(context):
    context.platform = Serving()
    context.platform.fault = PlatformUnavailable("campaign_api", "list the images", status=503)
    findings = images_elsewhere(context, deep=False)
    assert findings.wrong == []
    assert "answered 503" in findings.unchecked[0]
