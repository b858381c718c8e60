"""The size and orientation of an image: what browsers show, in all parts; and what other readers make of it."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from labelwright.domain import Image as CheckedImage
from labelwright.imaging.orientation import orientations_of
from labelwright.ingest.checks.decode import check_image
from labelwright.ingest.sources.local import SourceFile
from labelwright.platforms.remo.exif_orientation import upright as upright_for_remo
from labelwright.service import ServiceConfig
from labelwright.service.images import inspect_image
from labelwright.service.imaging.decoding import Memory
from labelwright.service.imaging.pictures import Pictures
from tests.imaging.orientation_files import FILES, HEIGHT, WIDTH, corners_of, orientation_shown
from tests.imaging.readers import READERS
from tests.sdk_environments import python_with
from tests.service.page.chromium import Browser, chromedriver

OPENCV = "opencv-python-headless==4.14.0.94"


def size_of(orientation: int) -> tuple[int, int]:
    return (HEIGHT, WIDTH) if orientation >= 5 else (WIDTH, HEIGHT)


def test_every_file_has_a_row():
    assert FILES.keys() == READERS.keys()


@pytest.mark.parametrize("kind", sorted({name.partition(" ")[0] for name in FILES}))
def test_every_part_takes_the_orientation_of_browsers(tmp_path: Path, kind: str):
    for number, name in enumerate(name for name in FILES if name.startswith(f"{kind} ") or name == kind):
        folder = tmp_path / str(number)
        folder.mkdir()
        check_all_parts(folder, name)


def check_all_parts(folder: Path, name: str) -> None:
    data, readers = FILES[name](), READERS[name]
    browsers, pillow, opencv = readers
    with Image.open(io.BytesIO(data)) as image:
        found = orientations_of(image, io.BytesIO(data))
        assert (found.browsers, found.pillow, found.opencv) == readers, name
        assert orientation_shown(corners_of(ImageOps.exif_transpose(image))) == pillow, (
            f"what the table says of Pillow: {name}"
        )

    checked = check_image(SourceFile("a", "there"), io.BytesIO(data))
    assert isinstance(checked, CheckedImage), name
    assert (checked.size.width, checked.size.height) == size_of(browsers), name
    assert any("different orientations" in note for note in checked.notes) == (not browsers == pillow == opencv), name

    path = folder / "a"
    path.write_bytes(data)
    facts = inspect_image(path, 10**6, Memory(10**9))
    assert (facts.width, facts.height) == size_of(browsers), name

    pictures, kept = Pictures(ServiceConfig(folder), Memory(10**9)), partial(nullcontext, path)
    if facts.filetype != "TIFF":
        assert pictures.needs_png(1, kept) == (len(set(readers)) > 1), f"labelers get an upright picture: {name}"
    with Image.open(pictures.png(1, kept)) as shown:
        assert not shown.getexif(), name
        assert (shown.size, orientation_shown(corners_of(shown))) == (size_of(browsers), browsers), name

    if facts.filetype in ("JPEG", "PNG", "TIFF"):  # which Remo takes, and shows as they are stored
        with Image.open(io.BytesIO(upright_for_remo(data))) as sent:
            assert (sent.size, orientation_shown(corners_of(sent))) == (size_of(browsers), browsers), name


SHOWN_IN_CHROMIUM = """
const url = arguments[0];
return new Promise(done => {
const image = new Image();
image.onload = () => {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  context.drawImage(image, 0, 0);
  const [right, bottom] = [canvas.width - 5, canvas.height - 5];
  done([[4, 4], [right, 4], [4, bottom], [right, bottom]]
    .map(([x, y]) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3)));
};
image.onerror = () => done(null);
image.src = url;
});
"""


@pytest.mark.browser
def test_chromium_turns_files_as_the_table_says():
    shown, expected = {}, {}
    with chromedriver() as address:
        browser = Browser(address)
        try:
            browser.open("data:text/html,<p>")
            for name, make in FILES.items():
                kind = name.partition(" ")[0]
                if kind in ("tiff", "bigtiff"):
                    continue
                url = f"data:image/{kind};base64,{base64.b64encode(make()).decode()}"
                corners = browser.js(SHOWN_IN_CHROMIUM, url)
                shown[name] = orientation_shown([tuple(color) for color in corners])
                expected[name] = READERS[name][0]
        finally:
            browser.close()
    assert shown == expected


READ_BY_OPENCV = """
import cv2, json, sys
shown = {}
for path in sys.argv[1:]:
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    if image is None:
        shown[path] = None
        continue
    bottom, right = image.shape[0] - 5, image.shape[1] - 5
    places = (4, 4), (4, right), (bottom, 4), (bottom, right)
    shown[path] = [[int(value) for value in image[place][::-1]] for place in places]
print(json.dumps(shown))
"""


@pytest.mark.sdk
def test_opencv_turns_files_as_the_table_says(tmp_path: Path):
    python = python_with("opencv", OPENCV, tmp_path / "environments")
    paths = {}
    for number, (name, make) in enumerate(FILES.items()):
        paths[name] = tmp_path / str(number)
        paths[name].write_bytes(make())
    command = [str(python), "-c", READ_BY_OPENCV, *map(str, paths.values())]
    corners = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    shown = {
        name: None if corners[str(path)] is None else orientation_shown([tuple(color) for color in corners[str(path)]])
        for name, path in paths.items()
    }
    assert shown == {name: row[2] for name, row in READERS.items()}
