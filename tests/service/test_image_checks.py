"""Files are judged alike whether they are read at once or piece by piece from the disk."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from labelwright.service import ServiceConfig, image_checks
from labelwright.service.blobs.store import Blob
from labelwright.service.early_checks import _packed, _unpacked
from labelwright.service.image_checks import CheckedImage, FileState, ImageChecks
from labelwright.service.images import ImageFacts, NotAnImage
from labelwright.service.imaging.decoding import Memory
from tests.imaging.orientation_files import FILES
from tests.imaging.refused_files import REFUSED


def _picture(kind: str, mode: str = "RGB", **how: object) -> bytes:
    file = BytesIO()
    Image.effect_noise((300, 200), 40).convert(mode).save(file, kind, **how)
    return file.getvalue()


@cache
def _all_files() -> dict[str, bytes]:
    pictures = {
        "jpeg": _picture("JPEG"),
        "progressive": _picture("JPEG", progressive=True),
        "cmyk": _picture("JPEG", "CMYK"),
        "png": _picture("PNG"),
        "gif": _picture("GIF"),
        "webp": _picture("WEBP"),
        "bmp": _picture("BMP"),
        "tiff": _picture("TIFF"),
        "deflated tiff": _picture("TIFF", compression="tiff_adobe_deflate"),
        "jpeg in tiff": _picture("TIFF", compression="jpeg"),
    }
    cut = {f"cut {name}": data[: len(data) // 2] for name, data in pictures.items()}
    changed = {f"changed {name}": data[:900] + bytes(60) + data[960:] for name, data in pictures.items()}
    ended = {"cut jpeg with an end": pictures["jpeg"][: len(pictures["jpeg"]) // 2] + b"\xff\xd9"}
    refused = {name: data for name, (data, _) in REFUSED.items()}
    oriented = {name: make() for name, make in FILES.items()}
    return {**pictures, **cut, **changed, **ended, **refused, **oriented, "empty": b"", "text": b"no image"}


class _Folder:
    """A store of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def local(self, dropbox: str, blob: Blob):
        yield self._path


def _outcome(folder: Path, content: bytes, said: int | None = None, md5: str | None = None) -> CheckedImage | str:
    path = folder / "file"
    path.write_bytes(content)
    blob = Blob("a/name", "file", len(content) if said is None else said, md5, "image/jpeg", "", "")
    config = ServiceConfig(folder, admin_key="key", admin_secret="secret")
    try:
        return ImageChecks(config, _Folder(path), Memory(384 * 1024**2)).check("box", blob)
    except NotAnImage as error:
        return str(error)


@pytest.mark.parametrize("name", _all_files())
def test_a_file_read_at_once_is_judged_as_one_that_is_read_in_parts(tmp_path, monkeypatch, name):
    content = _all_files()[name]
    at_once = _outcome(tmp_path, content)
    monkeypatch.setattr(image_checks, "_AT_ONCE", -1)
    in_parts = _outcome(tmp_path, content)
    if isinstance(at_once, CheckedImage) and isinstance(in_parts, CheckedImage):
        assert (at_once.facts, at_once.md5) == (in_parts.facts, in_parts.md5)
    else:
        assert at_once == in_parts


@pytest.mark.parametrize("largest", [image_checks._AT_ONCE, -1])
@pytest.mark.parametrize(("said", "md5"), [(10, None), (10**6, None), (None, "1B2M2Y8AsgTpgAmY7PhCfg==")])
def test_bytes_that_are_not_those_uploaded_are_refused(tmp_path, monkeypatch, largest, said, md5):
    monkeypatch.setattr(image_checks, "_AT_ONCE", largest)
    assert _outcome(tmp_path, _picture("PNG"), said, md5) == image_checks.NOT_AS_UPLOADED


def test_what_is_remembered_of_an_image_is_all_of_it():
    facts = ImageFacts(4000, 3000, "JPEG", "2026-11-30T12:00:00+01:00", 47.1234567, -8.0)
    checked = CheckedImage(facts, "1B2M2Y8AsgTpgAmY7PhCfg==", FileState(2049, 2**60, 5, 1_764_590_000_123_456_789))
    assert _unpacked(_packed(checked)) == checked
