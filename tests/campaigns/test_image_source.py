"""What a dataset says of where an image lies."""

from pathlib import Path

import pytest

from labelwright.campaigns.image_source import address_of, dataset_addresses, open_source
from labelwright.campaigns.spec import ImagesFrom
from labelwright.ingest import SourceFile
from labelwright.settings import Settings


@pytest.mark.parametrize(
    ("images", "location", "address"),
    [
        (ImagesFrom(folder="/photos"), "/photos/дно/a b.jpg", "file:///photos/%D0%B4%D0%BD%D0%BE/a%20b.jpg"),
        (ImagesFrom(manifest="/list.csv"), "https://example.com/a.jpg#2", "https://example.com/a.jpg"),
        (
            ImagesFrom(container="https://a.blob.core.windows.net/c/"),
            "x/ä 1.png",
            "https://a.blob.core.windows.net/c/x/%C3%A4%201.png",
        ),
    ],
)
def test_an_address_leads_to_the_image_and_holds_no_signature(images, location, address):
    assert address_of(images, location) == address
    assert Path("/a b/ü.jpg").as_uri() == address_of(images, "/a b/ü.jpg") or images.container


LISTED = {
    "https://example.com/a.jpg": "https://example.com/a.jpg",
    "https://example.com/image?id=7&size=full": "https://example.com/image?id=7&size=full",
    "https://example.com/image?id=8": "https://example.com/image?id=8",
    "https://example.com/b.jpg?sig=canary": "https://example.com/b.jpg",
    "https://user:canary@example.com/c.jpg": "https://example.com/c.jpg",
}
"""By URL of a list: its address in datasets."""


def test_an_address_keeps_its_query_unless_it_holds_a_credential(tmp_path):
    manifest = tmp_path / "list.csv"
    manifest.write_text("\n".join(["url", *LISTED]))
    images = ImagesFrom(manifest=str(manifest))
    locations = [file.location for file in open_source(images, Settings()).find() if isinstance(file, SourceFile)]
    again = open_source(images, Settings())  # as another process has it
    assert list(map(dataset_addresses(images, lambda: again), locations)) == list(LISTED.values())
    manifest.unlink()
    gone = open_source(images, Settings())
    assert dataset_addresses(images, lambda: gone)(locations[1]) == "https://example.com/image"
