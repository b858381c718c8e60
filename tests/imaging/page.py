"""Writes docs/images.md from the tables that the tests read: `python -m tests.imaging.page`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.imaging.readers import READERS
from tests.imaging.refused_files import REFUSED
from tests.imaging.test_damage import LOST, WHOLE
from tests.imaging.test_deep_pixels import FILES as DEEP

PAGE = Path(__file__).parents[2] / "docs" / "images.md"
_SERIES = {f"{kind} {value}" for kind in ("jpeg exif", "png exif", "tiff") for value in range(10)}
_KINDS = ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "BigTIFF")
_SHOWN = {kind.lower(): kind for kind in _KINDS}


def page() -> str:
    return "\n".join(
        (
            _INTRODUCTION,
            "## Size and orientation\n",
            _ORIENTATION,
            *_table(("orientation is written in", "labelers", "Pillow", "OpenCV"), _orientations()),
            _DEEP,
            *(f"- {what}" for what in DEEP),
            _FRAMES,
            "## Damage\n",
            _DAMAGE,
            *_table(("lost image data", "harmless"), _pairs(LOST, WHOLE)),
            _TEXT,
            _NEAR_DUPLICATES,
            "## Files that are left out\n",
            "The reason names what the file is:\n",
            *_table(("file", "is called"), [(what, words) for what, (_, words) in REFUSED.items()]),
        )
    )


def _orientations() -> Iterable[Sequence[str]]:
    yield "JPEG: EXIF, PNG: EXIF in front of the pixels, 1 to 8", "turned", "turned", "turned"
    yield "TIFF: its tag, 1 to 4", "turned", "turned", "turned"
    yield "TIFF: its tag, 5 to 8", "turned", "turned", "not read"
    for name, (browsers, pillow, opencv) in READERS.items():
        if name not in _SERIES:
            kind, _, rest = name.partition(" ")
            label = f"{_SHOWN[kind]}: {rest}" if rest else _SHOWN[kind]
            yield label, _words(browsers), _words(pillow), "not read" if opencv is None else _words(opencv)


def _words(orientation: int) -> str:
    return "as stored" if orientation == 1 else f"turned ({orientation})"


def _pairs(left: Iterable[str], right: Iterable[str]) -> list[Sequence[str]]:
    first, second = list(left), list(right)
    length = max(len(first), len(second))
    first += [""] * (length - len(first))
    second += [""] * (length - len(second))
    return list(zip(first, second, strict=True))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


_INTRODUCTION = """# Which images can be labeled

JPEG, PNG, WebP, TIFF, BMP and GIF files. Every file is decoded before a campaign is launched; `labelwright plan`
lists the files that are left out, each with its reason, and what to know of those that are taken. Originals are
never changed: what is uploaded, exported and trained on are the bytes of the source. The embedded service makes the
same checks, by the same functions.

`images.max_megabytes` and `images.max_megapixels` of the campaign file limit files and images. The embedded
service leaves out images that take more than 384 MiB of memory to decode, or to be shown where browsers cannot show
the file: WebP above 25 megapixels, progressive JPEGs above about 60, BMP and GIF above about 100, TIFFs in one
compressed strip above about 55 (18, if they are of 16 bits and colors). `plan` says so, too. PNG, other JPEGs, and
TIFFs in strips or tiles are decoded in parts, up to 200 megapixels.

This page is made from the tables that the tests read (`python -m tests.imaging.page`).
"""

_ORIENTATION = """The size and orientation of an image is **what browsers show**, since labelers draw there. Labels,
sizes in datasets, contact sheets and the images that are sent to Remo follow this rule. Browsers follow EXIF in a
JPEG (its first Exif segment) and in a PNG (its first eXIf chunk, in front of the pixels), when the orientation is a
single SHORT of 1 to 8. They ignore XMP, text chunks, and all metadata of WebP, GIF and BMP. No browser shows TIFFs:
they are turned as Pillow turns them.

Training code may read the same file in another orientation: Pillow's `ImageOps.exif_transpose` and OpenCV's
`cv2.imread` differ from browsers as the table says. Then `plan`, and the log of `launch`, name the files, and the
labeling page gets an upright PNG, so that every browser shows the same. Save such files upright; or read them as
they are stored where labelers saw them so (`cv2.IMREAD_IGNORE_ORIENTATION`, no `exif_transpose`). Measured with
Chromium 150, Pillow 13.0, OpenCV 4.14 and 5.0; the tests ask all three.
"""

_DEEP = """## More than 8 bits a channel

PNG and TIFF files of 16 bits (also 12 bits in 16), 32 bits or floating point. Screens show 8 bits, and cut down to
them such images are black, white or blank. The embedded service shows labelers a copy whose values are stretched
from their 0.5th to their 99.5th percentile, all color channels alike. Not counted are values that are not finite or
beyond 1e30, and GDAL's value for "no data". An image of one value keeps its level. Other platforms show such images
their own way: look at one before you launch a campaign there. The tests label these:
"""

_FRAMES = """
## Several frames or pages

Of APNG, animated GIF and WebP, and TIFF with several pages the first frame counts, which Pillow reads: for an APNG
with a hidden default image that is the hidden one. `plan` names such files. The embedded service shows labelers
this frame only; other platforms may show the animation.
"""

_DAMAGE = """Files that cannot be read to their end are left out, always: training code would stop there. JPEGs can
lose data and still be read, with a grey or shifted rest; libjpeg-turbo tells. `images.on_damage: reject` (the
default) leaves them out, `warn` takes them with a warning. What is only unusual is taken, with a note.
"""

_TEXT = """A PNG with a text or color profile of more than a megabyte is taken, with a note: Pillow refuses it in
training until `PIL.PngImagePlugin.MAX_TEXT_CHUNK` is raised.
"""

_NEAR_DUPLICATES = """## Near-duplicates

An image whose bytes are those of another one is always left out. Images that only look like another one are found by
a perceptual hash (pHash): 64 bits made of the lowest frequencies of the picture in grey, as browsers show it. Two
images are near-duplicates when at most 10 bits differ. `images.near_duplicates` of the campaign file says who looks:

| value | `plan` | `launch` |
|---|---|---|
| `plan` (the default) | names the groups | does not look |
| `report` | the same | shows the groups in a table and on the campaign's page in Prefect; takes all images |
| `skip` | says what would be left out, too | the same, and leaves all images of a group out but the first |

`launch` does not look by default because of its cost: PNGs are decoded to pixels for it, which takes two to three times
as long as their check. A hash adds 0.2 ms to the check of a JPEG.

The first of a group is the one that its source gives first: by name in a folder, in `files` and in a container, by
line in a manifest, in the order of `urls`. What is left out is listed among the rejects with the first one's name;
a launch that was interrupted and repeated leaves out the same. A group is an image and those that are near **it**:
frames of a moving camera, each near the one before, end in several groups.

| found | not claimed |
|---|---|
| encoded anew, in another format or quality | 10 % cropped |
| resized, down to 100 pixels | mirrored, or turned and saved so |
| turned by EXIF, and saved upright | another picture of the same scene |
| 2 % cropped at each side | |
| 20 % brighter; in grey | |

The tests hold this on nine photographs: copies differ in at most 10 bits, different photographs in at least 20.

Look at the groups before you choose `skip`. Frames of a fixed camera, pages of text and pictures on one background
look alike to a hash that sees no small things, though their labels differ. And 64 bits are few: among 100,000
pictures with nothing in common, about 130 are near another one by chance.

Pictures without contrast (black, white, blank), those below 8 pixels, and PNGs of more than 256 MiB of pixels (67
megapixels in color) have no hash and are in no group.
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
