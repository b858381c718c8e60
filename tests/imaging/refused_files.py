"""Files that are not taken: what they are, their bytes, and how they are called. docs/images.md is made from this."""

from __future__ import annotations

import io
import struct

from PIL import Image


def box(brand: bytes, *compatible: bytes) -> bytes:
    """The first box of a file that is made like an MP4."""
    content = brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I4s", len(content) + 8, b"ftyp") + content + bytes(64)


def tiff(*pages: dict[int, int], below: dict[int, int] | None = None, order: str = "<") -> bytes:
    """A TIFF whose first page is a picture of 8 x 6, with these tags; `below`: a directory under the first page."""
    picture = io.BytesIO()
    Image.new("L", (8, 6), 90).save(picture, "TIFF")
    base = {256: 8, 257: 6, 258: 8, 259: 1, 262: 1, 277: 1, 278: 6, 279: 48}
    data, places = b"", []
    all_pages = [{**base, **pages[0]}, *pages[1:], *([below] if below else [])]
    at = 8
    for tags in all_pages:
        places.append(at)
        at += 2 + 12 * (len(tags) + 1 + (1 if below and tags is all_pages[0] else 0)) + 4
    for number, tags in enumerate(all_pages):
        entries = {**tags, 273: at}
        if below and number == 0:
            entries[330] = places[-1]
        data += struct.pack(f"{order}H", len(entries))
        for tag, value in sorted(entries.items()):
            data += struct.pack(f"{order}HHII", tag, 4, 1, value)
        last = number + 1 >= len(all_pages) - bool(below)
        data += struct.pack(f"{order}I", 0 if last else places[number + 1])
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + data + bytes(range(48))


SENSOR = {256: 4000, 257: 3000, 254: 0, 262: 32803}
HEIC, AVIF, RAW, JXL = "an HEIC photo", "an AVIF picture", "a camera raw file", "a JPEG XL picture"
REFUSED: dict[str, tuple[bytes, str]] = {
    **{
        f"HEIC of the brand {brand}": (box(brand.encode()), HEIC)
        for brand in ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1", "MiHE"]
    },
    "HEIC by its compatible brands": (box(b"mif1", b"mif1", b"heic"), HEIC),
    "AVIF": (box(b"avif"), AVIF),
    "AVIF sequence": (box(b"avis"), AVIF),
    "AVIF by its compatible brands": (box(b"mif1", b"mif1", b"avif", b"miaf"), AVIF),
    "Canon CR3": (box(b"crx ", b"crx ", b"isom"), RAW),
    "Canon CR2": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(64), RAW),
    "DNG": (tiff({254: 1, 50706: 0x00000401}, below=SENSOR), RAW),
    "DNG, big-endian": (tiff({254: 1, 50706: 0x01040000}, below=SENSOR, order=">"), RAW),
    "Nikon NEF, Sony ARW and others (a sensor's data below the first page)": (tiff({254: 1}, below=SENSOR), RAW),
    "Pentax PEF (a sensor's data as the first page)": (tiff({262: 32803}), RAW),
    "linear raw": (tiff({}, {256: 4000, 257: 3000, 262: 34892}), RAW),
    "Olympus ORF": (b"IIRO\x08\0\0\0" + bytes(64), RAW),
    "Panasonic RW2": (b"IIU\0\x18\0\0\0" + bytes(64), RAW),
    "Fujifilm RAF": (b"FUJIFILMCCD-RAW 0201" + bytes(64), RAW),
    "Sigma X3F": (b"FOVb" + bytes(64), RAW),
    "Minolta MRW": (b"\0MRM" + bytes(64), RAW),
    "Canon CRW": (b"II\x1a\0\0\0HEAPCCDR" + bytes(64), RAW),
    "TIFF whose first page is a preview": (tiff({254: 1}, below={256: 4000, 257: 3000, 262: 2}), "a preview"),
    "JPEG XL": (b"\xff\x0a" + bytes(64), JXL),
    "JPEG XL in a container": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64), JXL),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64), "a JPEG 2000 picture"),
    "JPEG 2000 codestream": (b"\xff\x4f\xff\x51" + bytes(64), "a JPEG 2000 picture"),
    "JPEG XR": (b"II\xbc\x01" + bytes(64), "a JPEG XR picture"),
    **{
        f"Netpbm P{letter}": (f"P{letter}\n2 1\n255\n".encode() + bytes(9), "a Netpbm picture") for letter in "1234567F"
    },
    "MP4 video": (box(b"isom", b"isom", b"avc1"), "a video"),
    "QuickTime movie": (box(b"qt  "), "a video"),
    "QuickTime movie without a brand": (struct.pack(">I4s", 80, b"moov") + bytes(72), "a video"),
    "AVI video": (b"RIFF\x40\0\0\0AVI LIST" + bytes(64), "a video"),
    "Matroska or WebM video": (b"\x1aE\xdf\xa3" + bytes(64), "a video"),
    "BMP of an unknown header": (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x10\0\0\0" + bytes(64), "Unsupported BMP header"),
    "BMP that holds a JPEG": (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 90, 0, 0, 54, 40, 2, 2, 1, 24, 4, 36, 0, 0, 0, 0) + bytes(40),
        "Unsupported BMP compression",
    ),
    "array of OS/2 bitmaps": (b"BA\x0e\0\0\0" + bytes(64), "an array of OS/2 bitmaps"),
    "icon": (b"\0\0\1\0\1\0" + bytes(64), "an icon"),
    "Photoshop file": (b"8BPS\0\1" + bytes(64), "a Photoshop file"),
    "GIMP file": (b"gimp xcf file" + bytes(64), "a GIMP file"),
    "DICOM file": (bytes(128) + b"DICM" + bytes(64), "a DICOM file"),
    "OpenEXR picture": (b"v/1\x01" + bytes(64), "an OpenEXR picture"),
    "FITS file": (b"SIMPLE  =                    T" + bytes(64), "a FITS file"),
    "NumPy array": (b"\x93NUMPY\1\0" + bytes(64), "a NumPy array"),
    "PDF document": (b"%PDF-1.7\n" + bytes(64), "a PDF document"),
    "SVG drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
    "web page": (b"<!DOCTYPE html><html></html>", "a web page"),
    "text": (b"no image at all\n", "a text file"),
}
"""What, its bytes, and words of the reason."""
