"""Small image files in which an orientation is written in every way that readers take differently.

Each file shows four colors, one a corner, so that a reader's orientation can be told from what it shows.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

WIDTH, HEIGHT = 48, 32
"""Of the pixels as stored."""
CORNERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
"""Top left, top right, bottom left and bottom right as stored."""
_SEEN: dict[tuple[int, ...], int] = {
    (0, 1, 2, 3): 1,
    (1, 0, 3, 2): 2,
    (3, 2, 1, 0): 3,
    (2, 3, 0, 1): 4,
    (0, 2, 1, 3): 5,
    (2, 0, 3, 1): 6,
    (3, 1, 2, 0): 7,
    (1, 3, 0, 2): 8,
}
BYTE, SHORT, LONG = 1, 3, 4
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{}"/></rdf:RDF></x:xmpmeta>'
)


def orientation_shown(corners: list[tuple[int, ...]]) -> int:
    """The orientation, 1 to 8, that a reader applied, from the colors in the corners that it shows."""
    places = [
        min(range(4), key=lambda k: sum(abs(a - b) for a, b in zip(CORNERS[k], corner, strict=True)))
        for corner in corners
    ]
    return _SEEN[tuple(places)]


def corners_of(image: Image.Image) -> list[tuple[int, ...]]:
    rgb = image.convert("RGB")
    right, bottom = rgb.width - 5, rgb.height - 5
    return [rgb.getpixel(place) for place in ((4, 4), (right, 4), (4, bottom), (right, bottom))]  # type: ignore[misc]


def pixels(mode: str = "RGB") -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128))
    for place, color in zip(
        ((0, 0), (WIDTH // 2, 0), (0, HEIGHT // 2), (WIDTH // 2, HEIGHT // 2)), CORNERS, strict=True
    ):
        image.paste(color, (*place, place[0] + WIDTH // 2, place[1] + HEIGHT // 2))
    return image.convert(mode)


def tag(value: int, kind: int = SHORT, count: int = 1, order: str = "<", number: int = 0x0112) -> bytes:
    """One entry of a directory."""
    letter, size = {BYTE: ("B", 1), SHORT: ("H", 2), LONG: ("I", 4)}[kind]
    values = struct.pack(order + letter * min(count, 4 // size), *[value] * min(count, 4 // size))
    return struct.pack(order + "HHI", number, kind, count) + values.ljust(4, b"\0")


def directory(*tags: bytes, order: str = "<", start: int = 8, following: bytes = b"", said: int | None = None) -> bytes:
    """TIFF structure with these entries in its first directory. `said`: the number of entries that it claims."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    entries = struct.pack(order + "H", len(tags) if said is None else said) + b"".join(tags)
    link = start + len(entries) + 4 if following else 0
    return head.ljust(start, b"\0") + entries + struct.pack(order + "I", link) + following


def exif(value: int = 6, **how: int | str) -> bytes:
    order = str(how.get("order", "<"))
    return directory(tag(value, **how), order=order)  # type: ignore[arg-type]


def _jpeg(*segments: bytes, before: bytes = b"\xff\xdb") -> bytes:
    file = io.BytesIO()
    pixels().save(file, "JPEG", quality=95, subsampling=0)
    data = file.getvalue()
    at = data.index(before)
    return data[:at] + b"".join(segments) + data[at:]


def app1(payload: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


def _exif1(data: bytes) -> bytes:
    return app1(b"Exif\0\0" + data)


def _xmp1(value: int) -> bytes:
    return app1(b"http://ns.adobe.com/xap/1.0/\0" + _XMP.format(value).encode())


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(*chunks: bytes, before: bytes = b"IDAT") -> bytes:
    file = io.BytesIO()
    pixels().save(file, "PNG")
    data = file.getvalue()
    at = data.index(before) - 4
    return data[:at] + b"".join(chunks) + data[at:]


def _profile(name: bytes, data: bytes) -> bytes:
    """What ImageMagick writes: the data in hexadecimal, in a text chunk."""
    text = b"\nexif\n%8d\n" % len(data) + data.hex().encode() + b"\n"
    return chunk(b"zTXt", b"Raw profile type " + name + b"\0\0" + zlib.compress(text))


def _itxt(value: int) -> bytes:
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _XMP.format(value).encode())


def _webp(exif: bytes = b"", xmp: bytes = b"", *, lossless: bool = True) -> bytes:
    file = io.BytesIO()
    pixels().save(file, "WEBP", lossless=lossless, exif=exif, xmp=xmp)
    return file.getvalue()


def _tiff(*, bigtiff: bool = False, **tags: object) -> bytes:
    """An uncompressed TIFF in one strip; `orientation` is (kind, value or values)."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    info = ImageFileDirectory_v2()
    if "orientation" in tags:
        kind, value = tags["orientation"]  # type: ignore[misc]
        info.tagtype[0x0112] = kind
        info[0x0112] = value
    if "xmp" in tags:
        info.tagtype[700] = BYTE
        info[700] = _XMP.format(tags["xmp"]).encode()
    file = io.BytesIO()
    pixels().save(file, "TIFF", tiffinfo=info, compression=tags.get("compression"), big_tiff=bigtiff)
    return file.getvalue()


def _gif() -> bytes:
    file = io.BytesIO()
    pixels("P").save(file, "GIF")
    data = file.getvalue()
    at = data.index(b",", 13 + 3 * 256) if data[10] & 7 == 7 else data.rindex(b"\x2c\0\0\0\0")
    magic = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return data[:at] + b"\x21\xff\x0bXMP DataXMP" + _XMP.format(6).encode() + magic + data[at:]


def _bmp() -> bytes:
    file = io.BytesIO()
    pixels().save(file, "BMP")
    return file.getvalue()


def _nested(*tags: bytes, pointer: int = 0x8769, first: bool = False, below: bytes = b"") -> bytes:
    """A directory with these entries and a pointer to another one, which has orientation 6, or is `below`."""
    inner = below or struct.pack("<H", 1) + tag(6) + struct.pack("<I", 0)
    entry = struct.pack("<HHII", pointer, LONG, 1, 8 + 2 + 12 * (len(tags) + 1) + 4)
    return directory(*((entry, *tags) if first else (*tags, entry))) + inner


def _nested_twice() -> bytes:
    entry = struct.pack("<HHII", 0x8769, LONG, 1, 26 + 18)
    return _nested(below=struct.pack("<H", 1) + entry + struct.pack("<I", 0) + struct.pack("<H", 1) + tag(6) + bytes(4))


_SIX, _ONE = exif(6), exif(1)
_MAKER = tag(0, SHORT, 1, number=0x0103)

FILES: dict[str, Callable[[], bytes]] = {
    **{f"jpeg exif {value}": lambda value=value: _jpeg(_exif1(exif(value))) for value in range(10)},  # type: ignore[misc]
    "jpeg exif big-endian": lambda: _jpeg(_exif1(exif(6, order=">"))),
    "jpeg exif long": lambda: _jpeg(_exif1(exif(6, kind=LONG))),
    "jpeg exif long big-endian": lambda: _jpeg(_exif1(exif(6, kind=LONG, order=">"))),
    "jpeg exif byte": lambda: _jpeg(_exif1(exif(6, kind=BYTE))),
    "jpeg exif count 2": lambda: _jpeg(_exif1(exif(6, count=2))),
    "jpeg exif count 0": lambda: _jpeg(_exif1(exif(6, count=0))),
    "jpeg exif count 3": lambda: _jpeg(_exif1(exif(6, count=3))),
    "jpeg exif twice in one directory, 6 and 3": lambda: _jpeg(_exif1(directory(tag(6), tag(3)))),
    "jpeg exif unsorted": lambda: _jpeg(_exif1(directory(tag(72, number=0x0128), tag(6), _MAKER))),
    "jpeg exif directory elsewhere": lambda: _jpeg(_exif1(directory(tag(6), start=20))),
    "jpeg exif directory cut off": lambda: _jpeg(_exif1(directory(tag(6), said=60))),
    "jpeg exif in the thumbnail's directory": lambda: _jpeg(
        _exif1(directory(_MAKER, following=struct.pack("<H", 1) + tag(6) + struct.pack("<I", 0)))
    ),
    "jpeg exif in the sub-directory": lambda: _jpeg(_exif1(_nested())),
    "jpeg exif 3, and 6 in the sub-directory": lambda: _jpeg(_exif1(_nested(tag(3)))),
    "jpeg exif 1, and 6 in the sub-directory": lambda: _jpeg(_exif1(_nested(tag(1)))),
    "jpeg exif 3 after a sub-directory with 6": lambda: _jpeg(_exif1(_nested(tag(3), first=True))),
    "jpeg exif in the sub-directory's sub-directory": lambda: _jpeg(_exif1(_nested_twice())),
    "jpeg exif in the GPS directory": lambda: _jpeg(_exif1(_nested(pointer=0x8825))),
    "jpeg exif in the interoperability directory": lambda: _jpeg(_exif1(_nested(pointer=0xA005))),
    "jpeg exif twice in one directory, 9 and 6": lambda: _jpeg(_exif1(directory(tag(9), tag(6)))),
    "jpeg exif twice in one directory, 1 and 6": lambda: _jpeg(_exif1(directory(tag(1), tag(6)))),
    "jpeg exif twice in one directory, long 3 and 6": lambda: _jpeg(_exif1(directory(tag(3, LONG), tag(6)))),
    "jpeg exif directory at an odd place": lambda: _jpeg(_exif1(directory(tag(6), start=9))),
    "jpeg exif directory at place 4": lambda: _jpeg(_exif1(b"II*\0" + struct.pack("<I", 4) + b"\0\0")),
    "jpeg exif without its byte order": lambda: _jpeg(_exif1(b"XX" + _SIX[2:])),
    "jpeg exif without its 42": lambda: _jpeg(_exif1(_SIX[:2] + b"+\0" + _SIX[4:])),
    "jpeg exif of one blank": lambda: _jpeg(app1(b"Exif\0\xff" + _SIX)),
    "jpeg exif without blanks": lambda: _jpeg(app1(b"Exif" + _SIX)),
    "jpeg two exif, 6 then 1": lambda: _jpeg(_exif1(_SIX), _exif1(_ONE)),
    "jpeg two exif, 1 then 6": lambda: _jpeg(_exif1(_ONE), _exif1(_SIX)),
    "jpeg two exif, none then 6": lambda: _jpeg(_exif1(directory(_MAKER)), _exif1(_SIX)),
    "jpeg two exif, broken then 6": lambda: _jpeg(_exif1(b"XX"), _exif1(_SIX)),
    "jpeg one exif in two segments": lambda: _jpeg(_exif1(_SIX[:20]), _exif1(_SIX[20:])),
    "jpeg xmp": lambda: _jpeg(_xmp1(6)),
    "jpeg xmp 6 and exif 1": lambda: _jpeg(_xmp1(6), _exif1(_ONE)),
    "jpeg exif 6 and xmp 1": lambda: _jpeg(_exif1(_SIX), _xmp1(1)),
    "jpeg xmp 3, then exif 6": lambda: _jpeg(_xmp1(3), _exif1(_SIX)),
    "jpeg exif without it, and xmp 6": lambda: _jpeg(_exif1(directory(_MAKER)), _xmp1(6)),
    "jpeg exif before jfif": lambda: _jpeg(_exif1(_SIX), before=b"\xff\xe0"),
    "jpeg exif after the frame": lambda: _jpeg(_exif1(_SIX), before=b"\xff\xda"),
    "jpeg exif before its end": lambda: _jpeg(_exif1(_SIX), before=b"\xff\xd9"),
    "jpeg exif after its end": lambda: _jpeg() + _exif1(_SIX),
    "jpeg exif in app2": lambda: _jpeg(b"\xff\xe2" + _exif1(_SIX)[2:]),
    "jpeg fill bytes before exif": lambda: _jpeg(b"\xff\xff" + _exif1(_SIX)),
    **{f"png exif {value}": lambda value=value: _png(chunk(b"eXIf", exif(value))) for value in range(10)},  # type: ignore[misc]
    "png exif big-endian": lambda: _png(chunk(b"eXIf", exif(6, order=">"))),
    "png exif long": lambda: _png(chunk(b"eXIf", exif(6, kind=LONG))),
    "png exif byte": lambda: _png(chunk(b"eXIf", exif(6, kind=BYTE))),
    "png exif count 2": lambda: _png(chunk(b"eXIf", exif(6, count=2))),
    "png exif with a head": lambda: _png(chunk(b"eXIf", b"Exif\0\0" + _SIX)),
    "png exif after its pixels": lambda: _png(chunk(b"eXIf", _SIX), before=b"IEND"),
    "png exif after its end": lambda: _png() + chunk(b"eXIf", _SIX),
    "png two exif, 6 then 1": lambda: _png(chunk(b"eXIf", _SIX), chunk(b"eXIf", _ONE)),
    "png two exif, 1 then 6": lambda: _png(chunk(b"eXIf", _ONE), chunk(b"eXIf", _SIX)),
    "png exif before and after its pixels, 1 and 6": lambda: (
        _png(chunk(b"eXIf", _ONE))[:-12] + chunk(b"eXIf", _SIX) + chunk(b"IEND", b"")
    ),
    "png exif twice in one directory, 6 and 3": lambda: _png(chunk(b"eXIf", directory(tag(6), tag(3)))),
    "png raw profile exif": lambda: _png(_profile(b"exif", b"Exif\0\0" + _SIX)),
    "png raw profile app1": lambda: _png(_profile(b"APP1", b"Exif\0\0" + _SIX)),
    "png raw profile exif after its pixels": lambda: _png(_profile(b"exif", b"Exif\0\0" + _SIX), before=b"IEND"),
    "png raw profile 6 and exif 1": lambda: _png(_profile(b"exif", b"Exif\0\0" + _SIX), chunk(b"eXIf", _ONE)),
    "png xmp": lambda: _png(_itxt(6)),
    "png xmp after its pixels": lambda: _png(_itxt(6), before=b"IEND"),
    "png xmp 6 and exif 1": lambda: _png(_itxt(6), chunk(b"eXIf", _ONE)),
    "webp exif": lambda: _webp(_SIX),
    "webp lossy exif": lambda: _webp(_SIX, lossless=False),
    "webp exif with a head": lambda: _webp(b"Exif\0\0" + _SIX),
    "webp exif 3": lambda: _webp(exif(3)),
    "webp exif long": lambda: _webp(exif(6, kind=LONG)),
    "webp xmp": lambda: _webp(xmp=_XMP.format(6).encode()),
    "gif xmp": _gif,
    "bmp": _bmp,
    **{f"tiff {value}": lambda value=value: _tiff(orientation=(SHORT, value)) for value in range(10)},  # type: ignore[misc]
    "tiff compressed 6": lambda: _tiff(orientation=(SHORT, 6), compression="tiff_lzw"),
    "tiff long": lambda: _tiff(orientation=(LONG, 6)),
    "tiff byte": lambda: _tiff(orientation=(BYTE, 6)),
    "tiff count 2": lambda: _tiff(orientation=(SHORT, (6, 6))),
    "tiff xmp": lambda: _tiff(xmp=6),
    "tiff xmp 6 and 1": lambda: _tiff(xmp=6, orientation=(SHORT, 1)),
    "bigtiff 6": lambda: _tiff(orientation=(SHORT, 6), bigtiff=True),
}
