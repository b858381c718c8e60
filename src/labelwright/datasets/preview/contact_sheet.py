"""Draws a contact sheet: thumbnails of images with their labels, for a quick check by a person."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageColor, ImageDraw, ImageFont

from labelwright.datasets.files import whole_file
from labelwright.datasets.masks import mask_polygons
from labelwright.domain import Annotation, Box, LabelSchema, Mask, MultiPolygon, Polygon, WholeImage
from labelwright.imaging.inspection import open_image
from labelwright.imaging.kinds import FORMATS
from labelwright.imaging.orientation import SIDEWAYS, shown_orientation
from labelwright.imaging.rendition import upright_rendition

Entry = tuple[str, Callable[[], BinaryIO], Sequence[Annotation]]
"""File name, a function that opens its bytes, and its annotations (empty: labeled, without any object)."""

RGB = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Okabe and Ito, "Color Universal Design" (2008): told apart by people with any colour vision. Black is left out,
# because black lines vanish in shadows.
PALETTE: tuple[str, ...] = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")

NOTHING_HERE = "nothing here"
UNREADABLE = "cannot be read"

MARGIN = 20
GAP = 16
CAPTION = 30
STRIP = 40
LINE = 3
TAG = 22

PAPER: RGB = (255, 255, 255)
_MAT: RGB = (238, 240, 242)
INK: RGB = (28, 32, 36)
FAINT: RGB = (96, 103, 110)
_ELLIPSIS = "..."
_FORMATS = (*FORMATS, "PPM")
"""That platforms take, the embedded service among them."""
_MORE_LETTERS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf")


def draw_contact_sheet(
    images: Iterable[Entry],
    schema: LabelSchema,
    target: Path,
    *,
    columns: int = 4,
    tile: int = 360,
    most: int = 60,
) -> None:
    """Draw the first `most` images in `columns` columns of tiles of `tile` x `tile` pixels into `target`, a PNG file.

    Annotations are in pixels of the image as displayed. Images are opened one at a time; what is beyond `most` is
    counted and never opened. A file that is no image keeps its place and says so. `target` is there in full or not at
    all. Raises ValueError when columns or most is below 1 or a tile is smaller than 80 pixels.
    """
    if columns < 1 or most < 1 or tile < 80:
        raise ValueError(
            f"a contact sheet needs a column, an image and tiles of 80 pixels, not {columns}, {most} and {tile}"
        )
    rest = iter(images)
    shown = list(islice(rest, most))
    more = sum(1 for _ in rest)
    colors = label_colors(schema)

    across = min(columns, max(len(shown), 1))
    rows = -(-len(shown) // across)
    width = 2 * MARGIN + across * tile + (across - 1) * GAP
    height = 2 * MARGIN + STRIP + rows * (tile + CAPTION + GAP) + (STRIP if more else 0)
    sheet = Image.new("RGB", (width, height), PAPER)
    _draw_legend(sheet, schema, colors, len(shown) + more)
    for number, (name, opened, labels) in enumerate(shown):
        left, top = tile_corner(number, columns=across, tile=tile)
        sheet.paste(_draw_tile(opened, labels, colors, tile), (left, top))
        write_text(sheet, (left, top + tile + 7), name, size=15, color=INK, room=tile)
    if more:
        write_text(sheet, (MARGIN, height - MARGIN - 22), f"... and {more:,} more", size=18, color=INK, room=width)
    with whole_file(target) as file:
        sheet.save(file, "PNG")


def tile_corner(number: int, *, columns: int, tile: int) -> tuple[int, int]:
    """The left and top pixel of the tile of an image, counted from 0, on a sheet of `columns` columns."""
    row, column = divmod(number, columns)
    return MARGIN + column * (tile + GAP), MARGIN + STRIP + row * (tile + CAPTION + GAP)


def label_colors(schema: LabelSchema) -> dict[str, RGB]:
    """The colour of each label: the schema's own, else the palette's by the label's place."""
    return {
        label.name: _color(label.color) or _rgb(PALETTE[place % len(PALETTE)])
        for place, label in enumerate(schema.labels)
    }


def _color(text: str | None) -> RGB | None:
    """The schema's colour, or None when Pillow does not know it: platforms write what they like."""
    try:
        return _rgb(text) if text else None
    except ValueError:
        return None


def _rgb(text: str) -> RGB:
    red, green, blue = ImageColor.getrgb(text)[:3]
    return red, green, blue


def _draw_tile(
    opened: Callable[[], BinaryIO], annotations: Sequence[Annotation], colors: dict[str, RGB], tile: int
) -> Image.Image:
    canvas = Image.new("RGB", (tile, tile), _MAT)
    try:
        picture, scale = _thumbnail(opened, tile)
    except (OSError, Image.DecompressionBombError, SyntaxError, ValueError):  # what Pillow raises on broken files
        _write_tag(canvas, (tile // 2, tile // 2), UNREADABLE, INK, centered=True)
        return canvas
    drawing = ImageDraw.Draw(picture)
    whole: list[Annotation] = []
    tags: list[tuple[tuple[float, float], Annotation]] = []
    # Large objects first, so that their lines and names do not cover those of small ones.
    for annotation in sorted(annotations, key=_area, reverse=True):
        color = colors.get(annotation.label, FAINT)
        match annotation.shape:
            case WholeImage():
                whole.append(annotation)
            case (Polygon() | MultiPolygon()) as shape:
                parts = shape.parts if isinstance(shape, MultiPolygon) else (shape,)
                rings = [[(x * scale, y * scale) for x, y in part.points] for part in parts]
                for ring in rings:
                    _draw_ring(drawing, ring, color, picture.size)
                highest = min((corner for ring in rings for corner in ring), key=lambda corner: corner[1])
                tags.append((highest, annotation))
            case Mask() as mask:
                for ring in mask_polygons(mask.flat):
                    _draw_ring(drawing, [(x * scale, y * scale) for x, y in ring], color, picture.size)
                row, start, _ = mask.runs[0]
                tags.append(((start * scale, row * scale), annotation))
            case Box() as box:
                left, top, right, bottom = (value * scale for value in box.corners)
                _draw_ring(drawing, [(left, top), (right, top), (right, bottom), (left, bottom)], color, picture.size)
                tags.append(((left, top), annotation))
    offset_x, offset_y = (tile - picture.width) // 2, (tile - picture.height) // 2
    canvas.paste(picture, (offset_x, offset_y))
    for (x, y), annotation in tags:
        color = colors.get(annotation.label, FAINT)
        _write_tag(canvas, (offset_x + x, offset_y + y), annotation.label, color)
    for place, annotation in enumerate(whole):
        color = colors.get(annotation.label, FAINT)
        _write_tag(canvas, (offset_x, offset_y + TAG + place * (TAG + 2)), annotation.label, color)
    if not annotations:
        _write_tag(canvas, (tile // 2, offset_y + picture.height - TAG - 2), NOTHING_HERE, PAPER, centered=True)
    return canvas


def _thumbnail(opened: Callable[[], BinaryIO], tile: int) -> tuple[Image.Image, float]:
    """The image as displayed, fitted into a tile, and how many of its pixels one pixel of the original makes."""
    with opened() as file, open_image(BytesIO(file.read()), _FORMATS, taken=True) as source:
        stored_width, stored_height = source.image.size
        scale = tile / max(stored_width, stored_height)
        # A JPEG is decoded at an eighth, a quarter or half of its size when that is enough: no full image in memory.
        source.image.draft("RGB", (2 * tile, 2 * tile))
        sideways = shown_orientation(source.image, source.file) in SIDEWAYS
        # Of a TIFF Pillow gives the displayed size at once.
        turned = sideways and source.image.format != "TIFF"
        width, height = (stored_height, stored_width) if turned else (stored_width, stored_height)
        picture = upright_rendition(source)
        fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = _opaque(picture).resize(fitted, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return picture, scale


def _opaque(picture: Image.Image) -> Image.Image:
    """RGB, with white where the image is transparent."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (*PAPER, 255))
        picture = Image.alpha_composite(ground, picture)
    return picture.convert("RGB")


def _area(annotation: Annotation) -> float:
    shape = annotation.shape
    return float("inf") if isinstance(shape, WholeImage) else shape.box.area


def _draw_ring(
    drawing: ImageDraw.ImageDraw, corners: list[tuple[float, float]], color: RGB, size: tuple[int, int]
) -> None:
    # Corners on the image's edge are brought in, so that the line there is as wide as elsewhere.
    inset = LINE // 2 + 1
    inside = [(min(max(x, inset), size[0] - 1 - inset), min(max(y, inset), size[1] - 1 - inset)) for x, y in corners]
    ring = [*inside, inside[0], inside[1]]
    halo = (0, 0, 0) if _is_light(color) else PAPER
    drawing.line(ring, fill=halo, width=LINE + 2, joint="curve")
    drawing.line(ring, fill=color, width=LINE, joint="curve")


def _is_light(color: RGB) -> bool:
    """Whether black text on the colour has the better contrast, by WCAG 2's relative luminance."""
    linear = [(part / 255 / 12.92) if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179


def _write_tag(
    canvas: Image.Image, anchor: tuple[float, float], text: str, color: RGB, *, centered: bool = False
) -> None:
    """Text on a patch of the colour, its lower left corner at the anchor, moved so that it is on the canvas."""
    text, font = _fitted(text, 15, canvas.width - 14)
    width, height = round(font.getlength(text)) + 12, TAG
    left = anchor[0] - width / 2 if centered else anchor[0]
    top = anchor[1] if centered else anchor[1] - height
    x = round(min(max(left, 0), canvas.width - width))
    y = round(min(max(top, 0), canvas.height - height))
    drawing = ImageDraw.Draw(canvas)
    drawing.rounded_rectangle((x, y, x + width - 1, y + height - 1), radius=3, fill=color)
    drawing.text((x + 6, y + 2), text, fill=(0, 0, 0) if _is_light(color) else PAPER, font=font)


def _draw_legend(sheet: Image.Image, schema: LabelSchema, colors: dict[str, RGB], count: int) -> None:
    heading = f"{count:,} image{'' if count == 1 else 's'}"
    write_text(sheet, (MARGIN, MARGIN), heading, size=16, color=INK, room=sheet.width - 2 * MARGIN)
    x = MARGIN + round(_font(16).getlength(heading)) + 24
    drawing = ImageDraw.Draw(sheet)
    for name in schema.names:
        text, font = _drawable(name, 16)
        wide = 20 + round(font.getlength(text)) + 20
        if x + wide > sheet.width - MARGIN:
            write_text(sheet, (x, MARGIN), _ELLIPSIS, size=16, color=FAINT, room=40)
            return
        drawing.rounded_rectangle((x, MARGIN + 3, x + 13, MARGIN + 16), radius=3, fill=colors[name], outline=FAINT)
        write_text(sheet, (x + 20, MARGIN), name, size=16, color=INK, room=wide)
        x += wide


def write_text(sheet: Image.Image, corner: tuple[int, int], text: str, *, size: int, color: RGB, room: int) -> None:
    fitted, font = _fitted(text, size, room)
    ImageDraw.Draw(sheet).text(corner, fitted, fill=color, font=font)


@cache
def _font(size: int, *, of_the_machine: bool = False) -> Font:
    """Pillow's own font, which has ASCII only; or a font of the machine with more letters, where there is one."""
    for name in _MORE_LETTERS if of_the_machine else ():
        with suppress(OSError):
            return ImageFont.truetype(name, size)
    return _font(size) if of_the_machine else ImageFont.load_default(size=size)


def _fitted(text: str, size: int, room: float) -> tuple[str, Font]:
    """The text with its middle left out when it is wider than the room, because both ends of a file name matter."""
    text, font = _drawable(text, size)
    if font.getlength(text) <= room:
        return text, font
    for kept in range(min(len(text), 200), 1, -1):
        short = text[: (kept + 1) // 2] + _ELLIPSIS + text[-(kept // 2) :]
        if font.getlength(short) <= room:
            return short, font
    return _ELLIPSIS, font


def _drawable(text: str, size: int) -> tuple[str, Font]:
    """The text on one line, without what cannot be drawn, and a font for it.

    Controls and halves of surrogate pairs become question marks, marks of direction vanish. Where the machine
    has no better font than Pillow's own, accents are dropped and further letters are drawn as boxes: never an error.
    """
    clean = ""
    for character in text:
        category = unicodedata.category(character)
        if category != "Cf":
            clean += "?" if category in ("Cc", "Cs", "Zl", "Zp") else character
    font = _font(size, of_the_machine=not clean.isascii())
    if font is _font(size) and not clean.isascii():
        clean = "".join(c for c in unicodedata.normalize("NFKD", clean) if not unicodedata.combining(c))
    if isinstance(font, ImageFont.ImageFont):  # Pillow without FreeType: a bitmap font of Latin-1
        clean = clean.encode("latin-1", "replace").decode("latin-1")
    return clean, font
