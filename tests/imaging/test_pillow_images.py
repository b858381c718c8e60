"""Pillow's own test images, a thousand odd and broken files, through ingest and service."""

from __future__ import annotations

import os
import sys
import tarfile
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import PIL
import pytest
from PIL import Image as Pillow

from labelwright.domain import Image
from labelwright.ingest.checks.decode import Limits, check_image
from labelwright.ingest.sources.local import SourceFile
from labelwright.service import ServiceConfig
from labelwright.service.images import ImageFacts, NotAnImage, inspect_image
from labelwright.service.imaging.decoding import Memory
from labelwright.service.imaging.pictures import Pictures
from tests.sdk_environments import alone, run

PIXELS = 100_000_000
LIMITS = Limits(max_pixels=PIXELS)


def source_package(temporary: Path) -> Path:
    """Pillow's source package, which holds its test images; fetched by pip on first use."""
    folder = Path(os.environ.get("LABELWRIGHT_SDKS") or temporary) / f"pillow-{PIL.__version__}-source"
    with alone(folder):
        if not list(folder.glob("*.tar.gz")):
            requirement = f"pillow=={PIL.__version__}"
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pillow"]
            run([*command, "--dest", str(folder), requirement], requirement)
    return next(folder.glob("*.tar.gz"))


def inspected(path: Path, memory: Memory) -> ImageFacts | str:
    try:
        return inspect_image(path, PIXELS, memory)
    except NotAnImage as error:
        return str(error)


@pytest.mark.sdk
@pytest.mark.filterwarnings("ignore")
def test_ingest_and_service_agree_on_every_image_of_pillow(tmp_path: Path):
    with tarfile.open(source_package(tmp_path / "package")) as archive:
        members = [member for member in archive if "/Tests/images/" in member.name and member.isfile()]
        archive.extractall(tmp_path, members, filter="data")
    memory, count, taken = Memory(1 << 30), 0, 0
    pictures, disagreements = Pictures(ServiceConfig(tmp_path), memory), []
    for path in sorted(tmp_path.glob("*/Tests/images/**/*")):
        if not path.is_file():
            continue
        count += 1
        with path.open("rb") as file:
            checked = check_image(SourceFile(path.name, str(path)), file, LIMITS)
        facts = inspected(path, memory)
        if not isinstance(checked, Image) or isinstance(facts, str):
            if isinstance(checked, Image) != isinstance(facts, ImageFacts):
                disagreements.append((path.name, checked, facts))
            continue
        taken += 1
        size = (checked.size.width, checked.size.height)
        if (*size, checked.format) != (facts.width, facts.height, facts.filetype):
            disagreements.append((path.name, checked, facts))
        kept = partial(nullcontext, path)
        if facts.filetype == "TIFF" or pictures.needs_png(count, kept):
            with Pillow.open(pictures.png(count, kept)) as shown:
                assert shown.size == size, path.name
    assert not disagreements
    assert count > 1000
    assert taken > 600
