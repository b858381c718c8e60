"""The kinds of files: which images are taken, and what the others are called."""

from __future__ import annotations

from typing import BinaryIO

from .tiff_tags import directories

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""Accepted formats, by Pillow's names. Pillow can open more, some by starting other programs (EPS)."""
SUPPORTED = "JPEG, PNG, WebP, TIFF, BMP, GIF"

_HEIC = "is an HEIC photo, which labeling pages cannot show: convert it to JPEG"
_AVIF = "is an AVIF picture, which is not supported: convert it to JPEG or PNG"
_RAW = "is a camera raw file, not an image that can be labeled: develop it to JPEG, PNG or TIFF"
_JXL = "is a JPEG XL picture, which is not supported: convert it to JPEG or PNG"
_JPEG2000 = "is a JPEG 2000 picture, not an image that can be labeled: convert it to PNG or TIFF"
_VIDEO = "is a video, not an image: name it as images.video in the campaign file, or extract its frames"
_NETPBM = "is a Netpbm picture (PPM, PGM, PBM, PAM), which is not supported: convert it to PNG"

_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), _HEIC),
    **dict.fromkeys((b"mif1", b"mif2", b"msf1", b"miaf", b"MiHE", b"MiHB", b"MiHA", b"heif"), _HEIC),
    **dict.fromkeys((b"avif", b"avis", b"avio", b"MA1A", b"MA1B", b"MiAn"), _AVIF),
    b"crx ": _RAW,
    **dict.fromkeys((b"jp2 ", b"jpx ", b"jpm ", b"mjp2", b"jph "), _JPEG2000),
    b"jxl ": _JXL,
}
"""What a file is by its brand, the word in the first box of files that are made like MP4."""
_ANY_IMAGE = frozenset((b"mif1", b"mif2", b"msf1", b"miaf"))
"""Brands that say only that pictures are inside; the compatible brands say which."""

_NO_IMAGE = "is {}, not an image that can be labeled"
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\x0a", _JXL),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", _JXL),
    (b"\x00\x00\x00\x0cjP  ", _JPEG2000),
    (b"\xff\x4f\xff\x51", _JPEG2000),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIRO", _RAW),  # Olympus
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"IIU\x00", _RAW),  # Panasonic
    (b"\x00MRM", _RAW),  # Minolta
    (b"FOVb", _RAW),  # Sigma
    (b"II\x1a\x00\x00\x00HEAPCCDR", _RAW),  # Canon's CRW
    (b"ARRI\x12\x34\x56\x78", _RAW),
    (b"%PDF", _NO_IMAGE.format("a PDF document")),
    (b"PK\x03\x04", _NO_IMAGE.format("a ZIP archive or an office document")),
    (b"\x1f\x8b", _NO_IMAGE.format("a gzip archive")),
    (b"7z\xbc\xaf\x27\x1c", _NO_IMAGE.format("a 7-Zip archive")),
    (b"Rar!", _NO_IMAGE.format("a RAR archive")),
    (b"8BPS", _NO_IMAGE.format("a Photoshop file")),
    (b"gimp xcf", _NO_IMAGE.format("a GIMP file")),
    (b"II\xbc\x01", _NO_IMAGE.format("a JPEG XR picture")),
    (b"II*\x00", _NO_IMAGE.format("a camera's raw file or a damaged TIFF")),
    (b"MM\x00*", _NO_IMAGE.format("a camera's raw file or a damaged TIFF")),
    (b"II+\x00", _NO_IMAGE.format("a BigTIFF that cannot be read")),
    (b"MM\x00+", _NO_IMAGE.format("a BigTIFF that cannot be read")),
    (b"\xff\xd8\xff", _NO_IMAGE.format("a damaged JPEG")),
    (b"\x89PNG", _NO_IMAGE.format("a damaged PNG")),
    (b"\x8aMNG", _NO_IMAGE.format("an MNG animation")),
    (b"\x8bJNG", _NO_IMAGE.format("a JNG picture")),
    (b"GIF8", _NO_IMAGE.format("a damaged GIF")),
    (b"BM", _NO_IMAGE.format("a damaged BMP")),
    (b"BA", _NO_IMAGE.format("an array of OS/2 bitmaps")),
    (b"\x00\x00\x01\x00", _NO_IMAGE.format("an icon")),
    (b"\x00\x00\x02\x00", _NO_IMAGE.format("a mouse cursor")),
    (b"icns", _NO_IMAGE.format("an icon")),
    (b"qoif", _NO_IMAGE.format("a QOI picture")),
    (b"DDS ", _NO_IMAGE.format("a DDS texture")),
    (b"v/1\x01", _NO_IMAGE.format("an OpenEXR picture")),
    (b"#?RADIANCE", _NO_IMAGE.format("a Radiance HDR picture")),
    (b"SIMPLE  =", _NO_IMAGE.format("a FITS file")),
    (b"\x89HDF", _NO_IMAGE.format("an HDF5 file")),
    (b"\x93NUMPY", _NO_IMAGE.format("a NumPy array")),
    (b"\xd7\xcd\xc6\x9a", _NO_IMAGE.format("a Windows metafile")),
    (b"%!PS", _NO_IMAGE.format("a PostScript file")),
    (b"\xc5\xd0\xd3\xc6", _NO_IMAGE.format("a PostScript file")),
    (b"\xd0\xcf\x11\xe0", _NO_IMAGE.format("an office document")),
    (b"AT&TFORM", _NO_IMAGE.format("a DjVu document")),
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"\x00\x00\x01\xba", _VIDEO),
    (b"\x00\x00\x01\xb3", _VIDEO),
    (b"FLV\x01", _VIDEO),
    (b"OggS", _VIDEO),
)
_BOXES = frozenset((b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"))
"""First boxes of QuickTime movies that have no brand."""
_RIFF = {b"AVI ": _VIDEO, b"WAVE": _NO_IMAGE.format("a sound file"), b"WEBP": _NO_IMAGE.format("a damaged WebP")}
_NETPBM_KINDS = tuple(bytes((letter,)) for letter in b"1234567fF")
_TAGS = (
    (b"<svg", "is an SVG drawing, which has no pixels: convert it to PNG"),
    (b"<html", "is a web page, not an image: perhaps a saved error page"),
    (b"<!doctype html", "is a web page, not an image: perhaps a saved error page"),
)

_SUBFILE, _WIDTH, _PHOTOMETRIC, _DNG_VERSION = 254, 256, 262, 50706
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SENSOR = frozenset((32803, 34892))
"""Photometric interpretations of what a sensor has measured: a mosaic of colors, and linear raw."""


def describe_content(head: bytes) -> str:
    """What a file is instead of an image, judged by its first bytes (512 are enough)."""
    head = head[:512]
    return _by_signature(head) or _by_text(head)


def _by_signature(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[:1] == b"P" and head[1:2] in _NETPBM_KINDS and head[2:3] in b" \t\r\n#":
        return _NETPBM
    if head[128:132] == b"DICM":
        return _NO_IMAGE.format("a DICOM file")
    found = next((what for signature, what in _SIGNATURES if head.startswith(signature)), "")
    return found or (_VIDEO if head[4:8] in _BOXES else "")


def _by_brand(head: bytes) -> str:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brand, compatible = head[8:12], [head[at : at + 4] for at in range(16, size - 3, 4)]
    if brand in _ANY_IMAGE or brand not in _BRANDS:
        brand = next((other for other in compatible if other in _BRANDS and other not in _ANY_IMAGE), brand)
    return _BRANDS.get(brand, _VIDEO)


def _by_text(head: bytes) -> str:
    for tag, what in _TAGS:
        if tag in head.lower():
            return what
    try:
        text = head[:-4].decode("utf-8") if len(head) == 512 else head.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and all(character.isprintable() or character.isspace() for character in text):
        return "is a text file, not an image, whatever its name says"
    return f"is not an image of a supported kind ({SUPPORTED})"


def refuse_raw(file: BinaryIO) -> str:
    """Why a file that begins like a TIFF is not taken; empty when it is an ordinary TIFF, or no TIFF.

    Raw files hold a small preview as their first page, and the sensor's data in other directories.
    """
    file.seek(0)
    head = file.read(16)
    if head[:4] not in _TIFF:
        return ""
    if head[8:10] == b"CR":  # Canon's CR2
        return _RAW
    pages = directories(file, (_SUBFILE, _WIDTH, _PHOTOMETRIC, _DNG_VERSION))
    if any(_DNG_VERSION in page or page.get(_PHOTOMETRIC) in _SENSOR for page in pages):
        return _RAW
    width, widest = (pages[0].get(_WIDTH, 0), max(page.get(_WIDTH, 0) for page in pages)) if pages else (0, 0)
    if pages and pages[0].get(_SUBFILE, 0) & 1 and widest > width:
        return (
            f"is a TIFF whose first page is a preview, {width} pixels wide, of an image of {widest}: labelers and "
            "training would see the preview. Save the full image alone"
        )
    return ""
