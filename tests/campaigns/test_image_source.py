"""What a dataset says of where an image lies, when its platform does not serve it."""

import pytest

from labelwright.campaigns.image_source import address_of
from labelwright.campaigns.spec import ImagesFrom


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
