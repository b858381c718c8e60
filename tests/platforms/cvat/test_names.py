"""Names of images on CVAT: flat, unique, and ours again when they come back."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelwright.domain import UnsafeName, safe_name
from labelwright.platforms import PlatformRefused
from labelwright.platforms.cvat.imports import rejected_files
from labelwright.platforms.cvat.names import LONGEST, flat_name, name_of


def as_the_server_keeps_it(name: str) -> str:
    """What CVAT's web framework makes of a file name."""
    name = html.unescape(name).rsplit("/")[-1].rsplit("\\")[-1]
    return "".join(character for character in name if character.isprintable())


@given(st.text(min_size=1, max_size=40), st.sampled_from(["", ".jpg", ".PNG", ".webp", ".heic"]))
def test_a_name_survives_the_server_and_is_read_back(stem: str, ending: str) -> None:
    try:
        name = safe_name(stem + ending)
    except UnsafeName:
        return
    try:
        flat = flat_name(name, "PNG")
    except PlatformRefused:
        assert len(name.encode()) > LONGEST // 3
        return
    assert "/" not in flat
    assert as_the_server_keeps_it(flat) == flat
    assert name_of(flat) == name


@given(st.text("ab%/&. 25F", min_size=1, max_size=8), st.text("ab%/&. 25F", min_size=1, max_size=8))
def test_two_names_never_become_one(item: str, other: str) -> None:
    assert (flat_name(item) == flat_name(other)) == (item == other)


def test_names_stay_readable_to_labelers() -> None:
    assert flat_name("дно/река 1.png") == "дно%2Fрека 1.png"
    assert flat_name("frame_0001.jpg") == "frame_0001.jpg"


def test_a_name_without_an_ending_gets_that_of_its_format() -> None:
    assert flat_name("photo", "JPEG") == "photo%.jpg"
    assert name_of("photo%.jpg") == "photo"


def test_a_name_that_no_disk_can_hold_is_refused() -> None:
    with pytest.raises(PlatformRefused, match="255 bytes"):
        flat_name("я" * 126 + ".jpg")
    assert flat_name("я" * 125 + ".jpg")


@pytest.mark.parametrize("name", ["a.jpg", "sub/it's a 100%.jpg", 'the "best" one.png', "фото/1.jpg", "no ending"])
def test_failed_import_names_its_file_whatever_the_name(name: str) -> None:
    trouble = f"PIL.UnidentifiedImageError: cannot identify image file {f'/data/data/7/raw/{flat_name(name)}'!r}\n"
    assert [item for item, _ in rejected_files(trouble)] == [name]
    assert rejected_files("cannot identify image file <_io.BytesIO object at 0x7f>") == ()
