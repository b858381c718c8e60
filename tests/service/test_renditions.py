"""Reduced renditions of images: overviews, thumbnails, and tiles that put together are the image."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from labelwright.service.imaging.tiles import OVERVIEW, TILE, is_large, levels_of

from .conftest import picture

SIZE = (4700, 2900)


def drawing(*, alpha: bool = False) -> Image.Image:
    """Flat areas with sharp edges, and a smooth gradient."""
    width, height = SIZE
    row = np.linspace(0, 255, width, dtype=np.uint8)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, :, 0], pixels[:, :, 1] = row, 90
    image = Image.fromarray(pixels)
    ImageDraw.Draw(image).rectangle((1000, 700, 3100, 1500), fill=(255, 255, 255))
    if alpha:
        image.putalpha(Image.linear_gradient("L").resize(SIZE))
    return image


def encoded(image: Image.Image, kind: str, **save: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **save)
    return target.getvalue()


def turned(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=92, exif=exif)


FILES = {
    "turned.jpg": lambda: turned(drawing()),
    "plain.png": lambda: encoded(drawing(), "PNG", compress_level=1),
    "clear.png": lambda: encoded(drawing(alpha=True), "PNG", compress_level=1),
    "strips.tif": lambda: encoded(drawing(), "TIFF"),
}


@pytest.fixture(scope="module", params=FILES)
def large(request, service):
    """Path of a large image, its list entry and its labeler."""
    sealed = service.set_of({request.param: FILES[request.param](), "small.png": picture(100, 80)})
    ids = [image["image_id"] for image in service.images_of(sealed["imageset_id"])]
    created, _, _ = service.campaign(0, active=False)
    campaign = created["campaign_id"]
    service.ok("POST", f"/campaigns/{campaign}/images", [{"id": image} for image in ids])
    labeler = service.labeler(created)
    listed = {image["name"]: image for image in labeler.get(f"/labeling/campaigns/{campaign}/images")["images"]}
    assert listed["small.png"]["tiles"] is None
    entry = listed[request.param]
    return f"/labeling/campaigns/{campaign}/images/{entry['image_id']}", entry, labeler, "clear" in request.param


def difference(image: Image.Image, expected: Image.Image) -> float:
    """The mean difference of what is seen: transparent pixels have no color."""
    seen = [
        Image.alpha_composite(Image.new("RGBA", one.size, "white"), one.convert("RGBA")).convert("RGB")
        for one in (image, expected)
    ]
    first, second = (np.asarray(one, np.int16) for one in seen)
    return float(np.abs(first - second).mean())


def opened(labeler, path) -> Image.Image:
    response = labeler("GET", path)
    assert response.status_code == 200, response.text
    image = Image.open(io.BytesIO(response.content))
    assert response.headers["Content-Type"] == f"image/{(image.format or '').lower()}"
    return image


def test_tiles_of_every_level_are_the_image(large):
    path, entry, labeler, alpha = large
    assert (entry["width"], entry["height"]) == SIZE
    assert entry["tiles"] == {"size": TILE, "levels": 2}
    for level in range(2):
        width, height = (-(-side // 2**level) for side in SIZE)
        columns, rows = -(-width // TILE), -(-height // TILE)
        for column, row in {(0, 0), (columns - 1, rows - 1), (columns // 3, rows // 2)}:
            box = (column * TILE, row * TILE, min(width, (column + 1) * TILE), min(height, (row + 1) * TILE))
            tile = opened(labeler, f"{path}/tiles/{level}/{column}/{row}")
            assert tile.size == (box[2] - box[0], box[3] - box[1])
            expected = (
                drawing(alpha=alpha)
                .crop(tuple(side * 2**level for side in box))
                .resize(tile.size, Image.Resampling.BOX)
            )
            assert difference(tile, expected) < 2, (level, column, row)
        assert labeler("GET", f"{path}/tiles/{level}/{columns}/0").status_code == 404
    assert labeler("GET", f"{path}/tiles/2/0/0").status_code == 404


def test_the_overview_and_the_thumbnail_are_the_image_reduced(large):
    path, _, labeler, alpha = large
    for name, side in {"overview": OVERVIEW, "thumbnail": 160}.items():
        reduced = opened(labeler, f"{path}/{name}")
        assert side / 2 < max(reduced.size) <= side
        assert abs(reduced.width / reduced.height - SIZE[0] / SIZE[1]) < 0.02
        expected = drawing(alpha=alpha).resize(reduced.size, Image.Resampling.BOX)
        assert difference(reduced, expected) < 4


def test_renditions_are_made_once_and_only_for_ones_own_campaigns(large, service, monkeypatch):
    path, _, labeler, _ = large
    before = labeler("GET", f"{path}/tiles/0/1/1").content
    for name in ("overview", "thumbnail"):
        assert labeler("GET", f"{path}/{name}").status_code == 200
    from labelwright.service.imaging.pictures import Pictures

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(Pictures, "write_rows", refuse)
    assert labeler("GET", f"{path}/tiles/0/1/1").content == before
    assert labeler("GET", f"{path}/overview").status_code == 200
    _, _, other = service.campaign(0, active=False)
    for name in ("overview", "thumbnail", "tiles/0/0/0"):
        assert other("GET", f"{path}/{name}").status_code == 404


def test_which_images_are_large():
    assert is_large(9000, 7000, 1_000)
    assert is_large(2500, 2000, 20_000_000), "much to send, though few pixels"
    assert not is_large(2000, 2000, 20_000_000), "no smaller picture would be sent"
    assert not is_large(4000, 3000, 5_000_000)
    assert [levels_of(*size) for size in ((2048, 10), (2049, 10), (9000, 7000))] == [0, 1, 3]
