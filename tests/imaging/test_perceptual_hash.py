"""Perceptual hashes of the demo photographs, of their copies in every format, and of pictures that have none."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image as Pillow

from labelwright.domain import Image, Reject
from labelwright.imaging import perceptual_hash
from labelwright.ingest.checks.decode import Limits, check_image
from labelwright.ingest.checks.near_duplicates import MOST_BITS
from labelwright.ingest.sources.local import SourceFile
from tests.imaging.changed_copies import CHANGES, PHOTOGRAPHS, encoded, resized, turned_by_exif, upright
from tests.imaging.refused_files import REFUSED
from tests.imaging.test_damage import LOST, WHOLE
from tests.imaging.test_deep_pixels import FILES as DEEP

WITH_HASH = Limits(perceptual_hash=True)
UPRIGHT = {name: upright(data) for name, data in PHOTOGRAPHS.items()}


def check(data: bytes, limits: Limits = WITH_HASH) -> Image | Reject:
    return check_image(SourceFile("a", "a"), io.BytesIO(data), limits)


def hash_of(data: bytes) -> int | None:
    image = check(data)
    assert isinstance(image, Image), image
    return image.perceptual_hash


def bits(first: int | None, second: int | None) -> int:
    assert first is not None
    assert second is not None
    return (first ^ second).bit_count()


HASHES = {name: hash_of(data) for name, data in PHOTOGRAPHS.items()}


def deep(image: Pillow.Image, kind: str) -> bytes:
    return encoded(Pillow.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 16), kind)


FORMATS = {
    "gray": lambda image: encoded(image.convert("L")),
    "CMYK": lambda image: encoded(image.convert("CMYK"), quality=95),
    "progressive": lambda image: encoded(image, progressive=True),
    "junk behind a JPEG": lambda image: encoded(image) + b"junk",
    "junk in front of the scan": lambda image: encoded(image).replace(b"\xff\xda", b"abc\xff\xda", 1),
    "PNG": lambda image: encoded(image, "PNG"),
    "PNG with opacity": lambda image: encoded(image.convert("RGBA"), "PNG"),
    "WebP": lambda image: encoded(image, "WEBP"),
    "GIF": lambda image: encoded(image.convert("P"), "GIF"),
    "BMP": lambda image: encoded(image, "BMP"),
    "TIFF": lambda image: encoded(image, "TIFF"),
    "12 bits in a PNG": lambda image: deep(image, "PNG"),
    "12 bits in a TIFF": lambda image: deep(image, "TIFF"),
    "200 pixels wide": lambda image: encoded(resized(image, 200), quality=90),
    "100 pixels wide": lambda image: encoded(resized(image, 100), quality=90),
    "2000 pixels wide": lambda image: encoded(resized(image, 2000), quality=90),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_differ_in_ten_bits_at_most(change: str) -> None:
    distances = [bits(HASHES[name], hash_of(CHANGES[change](image))) for name, image in UPRIGHT.items()]
    assert max(distances) <= MOST_BITS


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_and_sizes_of_one_picture_have_nearly_one_hash(kind: str) -> None:
    assert max(bits(HASHES[name], hash_of(FORMATS[kind](image))) for name, image in UPRIGHT.items()) <= 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_that_is_stored_turned_has_the_hash_of_what_is_shown(orientation: int, kind: str) -> None:
    for image in UPRIGHT.values():
        small = resized(image, 301)
        assert bits(hash_of(encoded(small, kind)), hash_of(turned_by_exif(small, orientation, kind))) <= 4


def test_different_photographs_mirrored_and_turned_ones_are_far_apart() -> None:
    assert min(bits(first, second) for first, second in combinations(HASHES.values(), 2)) >= 20
    for name, image in UPRIGHT.items():
        for transposition in (Pillow.Transpose.FLIP_LEFT_RIGHT, Pillow.Transpose.ROTATE_90):
            assert bits(HASHES[name], hash_of(encoded(image.transpose(transposition)))) > MOST_BITS


def test_pictures_without_contrast_and_tiny_ones_have_no_hash() -> None:
    noise = Pillow.effect_noise((640, 480), 4)
    for picture in (
        Pillow.new("RGB", (640, 480)),
        Pillow.new("RGB", (640, 480), "white"),
        noise.point(lambda value: max(0, value - 128)),  # the noise of a sensor in the dark
        Pillow.new("I;16", (64, 64), 700),
        Pillow.radial_gradient("L").resize((7, 300)),
    ):
        for kind in ("PNG", "JPEG") if picture.mode != "I;16" else ("PNG",):
            assert hash_of(encoded(picture, kind)) is None


def test_png_files_of_too_many_pixels_have_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    image = resized(next(iter(UPRIGHT.values())), 100)
    monkeypatch.setattr(perceptual_hash, "_MOST_PNG_BYTES", 4 * image.width * image.height - 1)
    assert hash_of(encoded(image, "PNG")) is None
    assert hash_of(encoded(image, "TIFF")) is not None, "the check has loaded it anyway"
    monkeypatch.setattr(perceptual_hash, "_MOST_PNG_BYTES", 4 * image.width * image.height)
    assert hash_of(encoded(image, "PNG")) is not None


def test_a_hash_is_made_only_on_request() -> None:
    image = check(next(iter(PHOTOGRAPHS.values())), Limits())
    assert isinstance(image, Image)
    assert image.perceptual_hash is None


def test_the_verdict_does_not_depend_on_the_hash() -> None:
    files = [
        *PHOTOGRAPHS.values(),
        *WHOLE.values(),
        *LOST.values(),
        *DEEP.values(),
        *(data for data, _ in REFUSED.values()),
    ]
    for data in files:
        for take_damaged in (False, True):
            plain = check(data, Limits(take_damaged=take_damaged))
            hashed = check(data, Limits(take_damaged=take_damaged, perceptual_hash=True))
            assert hashed == plain
            if isinstance(plain, Image) and isinstance(hashed, Image):
                assert hashed.notes == plain.notes


def test_damaged_images_that_are_taken_have_a_hash() -> None:
    lost = check(LOST["the lower half"], Limits(take_damaged=True, perceptual_hash=True))
    assert isinstance(lost, Image)
    assert lost.perceptual_hash is not None
