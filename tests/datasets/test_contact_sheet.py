"""The contact sheet is for eyes; what a test can see of it is which pixels must have which colour."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest
from PIL import Image, ImageColor, ImageOps

from labelwright.datasets.preview import contact_sheet
from labelwright.datasets.preview.contact_sheet import (
    CAPTION,
    GAP,
    MARGIN,
    PALETTE,
    STRIP,
    draw_contact_sheet,
    label_colors,
    tile_corner,
)
from labelwright.demo.photographs import drawn_labels, photo_folder
from labelwright.domain import Annotation, Box, Geometry, Label, LabelSchema, Mask, Polygon, WholeImage

RED, GREEN, BLUE, GREY, WHITE, BLACK = (
    ImageColor.getrgb(name) for name in ("#FF0000", "#00C000", "#0000FF", "#808080", "#FFFFFF", "#000000")
)
SCHEMA = LabelSchema((Label("dog", Geometry.ANY, color="#FF0000"), Label("cat", Geometry.ANY, color="#0000FF")))
TILE = 200


def opener(data: bytes) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(data)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> Callable[[], BinaryIO]:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return opener(buffer.getvalue())


def plain(size: tuple[int, int] = (200, 100), color: str = "#808080") -> Callable[[], BinaryIO]:
    return encoded(Image.new("RGB", size, color))


def turned(kind: str = "JPEG") -> Callable[[], BinaryIO]:
    """Stored 200 x 100, green above and blue below; displayed 100 x 200, blue left and green right."""
    image = Image.new("RGB", (200, 100), GREEN)
    image.paste(BLUE, (0, 50, 200, 100))
    if kind == "TIFF":  # of which Pillow gives the displayed size before it is loaded
        return encoded(image, kind, tiffinfo={0x0112: 6})
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, kind, quality=95, exif=exif)


def drawn(
    folder: Path, *images: tuple[str, Callable[[], BinaryIO], Sequence[Annotation]], **options: int
) -> Image.Image:
    target = folder / "sheet.png"
    draw_contact_sheet(images, SCHEMA, target, **{"tile": TILE, **options})
    with Image.open(target) as sheet:
        assert sheet.format == "PNG"
        return sheet.convert("RGB")


def first_tile(sheet: Image.Image) -> Image.Image:
    left, top = tile_corner(0, columns=4, tile=TILE)
    return sheet.crop((left, top, left + TILE, top + TILE))


def is_close(pixel: object, color: tuple[int, ...]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(a - b) < 40 for a, b in zip(pixel, color, strict=True))


def test_a_box_edge_has_the_colour_of_its_label(tmp_path: Path):
    tile = first_tile(drawn(tmp_path, ("a.png", plain(), [Annotation("dog", Box(40, 20, 160, 80))])))
    # 200 x 100 pixels stand in the middle of a tile of 200 x 200: 50 pixels of mat above.
    for x, y in [(40, 50 + 60), (160, 50 + 60), (100, 50 + 20), (100, 50 + 80)]:
        assert tile.getpixel((x, y)) == RED
    assert tile.getpixel((100, 100)) == GREY
    assert tile.getpixel((100, 140)) == GREY


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_box_is_in_place_on_a_photograph_with_exif_rotation(tmp_path: Path, kind: str):
    tile = first_tile(drawn(tmp_path, ("a", turned(kind), [Annotation("dog", Box(20, 40, 80, 160))])))
    for x, y in [(50 + 20, 100), (50 + 80, 100), (100, 40), (100, 160)]:
        assert tile.getpixel((x, y)) == RED
    assert is_close(tile.getpixel((50 + 5, 100)), BLUE)
    assert is_close(tile.getpixel((50 + 95, 100)), GREEN)


def test_a_large_image_is_made_small_and_its_boxes_with_it(tmp_path: Path):
    wide = encoded(Image.new("RGB", (4000, 2000), GREY), "JPEG")
    tile = first_tile(drawn(tmp_path, ("a.jpg", wide, [Annotation("dog", Box(800, 400, 3200, 1600))])))
    for x, y in [(40, 110), (160, 110), (100, 70), (100, 130)]:
        assert tile.getpixel((x, y)) == RED


def test_an_outline_has_the_colour_of_its_label(tmp_path: Path):
    triangle = Polygon(((20, 20), (180, 20), (20, 180)))
    tile = first_tile(drawn(tmp_path, ("a.png", plain((200, 200)), [Annotation("cat", triangle)])))
    for x, y in [(100, 20), (20, 100), (100, 100)]:
        assert tile.getpixel((x, y)) == BLUE
    assert tile.getpixel((180, 100)) == GREY


def test_every_part_of_a_mask_is_outlined_in_the_colour_of_its_label(tmp_path: Path):
    parts = Mask(tuple((y, x, x + 60) for y in range(40, 160) for x in (20, 120)))
    tile = first_tile(drawn(tmp_path, ("a.png", plain((200, 200)), [Annotation("cat", parts)])))
    for x in (20, 80, 120, 180):
        assert tile.getpixel((x, 100)) == BLUE
    assert tile.getpixel((100, 100)) == tile.getpixel((50, 100)) == GREY


def test_a_box_along_the_edge_of_the_image_is_seen(tmp_path: Path):
    tile = first_tile(drawn(tmp_path, ("a.png", plain((200, 200)), [Annotation("dog", Box(0, 0, 200, 200))])))
    assert RED in [tile.getpixel((x, 100)) for x in range(4)]
    assert RED in [tile.getpixel((x, 100)) for x in range(196, 200)]


def test_whole_image_labels_are_written_below_each_other(tmp_path: Path):
    tags = [Annotation("dog", WholeImage()), Annotation("cat", WholeImage())]
    tile = first_tile(drawn(tmp_path, ("a.png", plain((200, 200)), tags)))
    assert all(tile.getpixel((3, y)) == RED for y in range(4, 18))
    assert all(tile.getpixel((3, y)) == BLUE for y in range(28, 42))


def test_an_image_without_annotations_says_that_nothing_is_here(tmp_path: Path):
    nothing = first_tile(drawn(tmp_path, ("a.png", plain((200, 200)), []))).crop((40, 170, 160, 200))
    something = first_tile(drawn(tmp_path, ("a.png", plain((200, 200)), [Annotation("dog", Box(9, 9, 50, 50))]))).crop(
        (40, 170, 160, 200)
    )
    assert {WHITE, BLACK} <= {color for _, color in nothing.getcolors(10_000) or []}
    assert something.getcolors() == [(120 * 30, GREY)]


@pytest.mark.parametrize(
    "name",
    [
        "собака у окна.jpg",
        "犬と猫.png",
        "🐶👩‍👩‍👧.jpg",
        "two\nlines\tand\x00a nul.jpg",
        "half of a pair \udc80.jpg",
        "\u202egpj.exe",
        "",
        "x" * 4000 + ".jpg",
    ],
    ids=["cyrillic", "japanese", "emoji", "controls", "surrogate", "bidi", "empty", "long"],
)
def test_any_file_name_can_be_a_caption(name: str, tmp_path: Path):
    sheet = drawn(tmp_path, (name, plain(), []), ("beside.jpg", plain(), []))
    left, top = tile_corner(0, columns=4, tile=TILE)
    caption = sheet.crop((left, top + TILE, left + TILE, top + TILE + CAPTION))
    assert (caption.getcolors() == [(TILE * CAPTION, WHITE)]) == (name == "")
    beyond = sheet.crop((left + TILE, top + TILE, left + TILE + GAP, top + TILE + CAPTION))
    assert beyond.getcolors() == [(GAP * CAPTION, WHITE)]


def test_a_file_name_with_line_breaks_stays_on_one_line(tmp_path: Path):
    assert drawn(tmp_path, ("two\nlines", plain(), [])) == drawn(tmp_path, ("two?lines", plain(), []))


def test_accents_are_dropped_where_the_machine_has_no_font_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(contact_sheet, "_MORE_LETTERS", ())
    contact_sheet._font.cache_clear()
    assert drawn(tmp_path, ("Gebäude é.jpg", plain(), [])) == drawn(tmp_path, ("Gebaude e.jpg", plain(), []))
    contact_sheet._font.cache_clear()


def test_a_label_name_in_any_script_can_be_drawn(tmp_path: Path):
    schema = LabelSchema((Label("собака 🐶"),))
    draw_contact_sheet([("a.png", plain(), [Annotation("собака 🐶", Box(1, 1, 90, 90))])], schema, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0


def test_what_is_beyond_the_most_is_counted_and_never_opened(tmp_path: Path):
    def never() -> BinaryIO:
        raise AssertionError("an image that is not shown was opened")

    shown = [("a.png", plain(), []), ("b.png", plain(), [])]
    full = drawn(tmp_path, *shown, most=2)
    cut = drawn(tmp_path, *shown, *[(f"{number}.png", never, []) for number in range(3)], most=2)
    assert cut.height == full.height + STRIP
    strip = cut.crop((0, full.height - MARGIN, cut.width, cut.height))
    assert len(strip.getcolors(10_000) or []) > 1
    below = full.crop((0, full.height - MARGIN, full.width, full.height))
    assert below.getcolors() == [(full.width * MARGIN, WHITE)]


def test_the_number_of_images_left_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written: list[str] = []
    write = contact_sheet.write_text
    monkeypatch.setattr(
        contact_sheet,
        "write_text",
        lambda sheet, corner, text, **how: (written.append(text), write(sheet, corner, text, **how)),
    )
    drawn(tmp_path, *[(f"{number}.png", plain(), []) for number in range(1205)], most=1)
    assert "1,205 images" in written
    assert "... and 1,204 more" in written


def test_a_file_that_is_no_image_keeps_its_place(tmp_path: Path):
    sheet = drawn(
        tmp_path,
        ("broken.jpg", opener(b"no image"), [Annotation("dog", Box(1, 1, 2, 2))]),
        ("cut.jpg", opener(plain()().read()[:60]), []),
        ("whole.png", plain((200, 200)), [Annotation("dog", Box(40, 40, 160, 160))]),
    )
    left, top = tile_corner(2, columns=4, tile=TILE)
    assert sheet.getpixel((left + 40, top + 100)) == RED


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_images_of_any_mode_are_shown(mode: str, tmp_path: Path):
    kind = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    image = Image.new(mode, (200, 200))
    tile = first_tile(drawn(tmp_path, ("a", encoded(image, kind), [Annotation("dog", Box(40, 40, 160, 160))])))
    assert tile.getpixel((40, 100)) == RED
    assert tile.getpixel((100, 100)) == (BLACK if mode in ("1", "L", "P", "I;16") else WHITE)


def test_sixteen_bit_grey_is_not_burnt_out(tmp_path: Path):
    image = Image.new("I;16", (200, 200), 0x8080)
    tile = first_tile(drawn(tmp_path, ("a.png", encoded(image), [Annotation("dog", Box(1, 1, 20, 20))])))
    assert is_close(tile.getpixel((100, 100)), GREY)


def test_files_are_closed_before_the_next_one_is_opened(tmp_path: Path):
    opened: list[BinaryIO] = []

    def one() -> BinaryIO:
        assert all(file.closed for file in opened)
        opened.append(plain()())
        return opened[-1]

    drawn(tmp_path, *[(str(number), one, []) for number in range(3)])
    assert len(opened) == 3
    assert opened[-1].closed


def test_labels_without_a_colour_get_one_of_the_palette():
    schema = LabelSchema((Label("a"), Label("b", color="as you like"), Label("c", color="#123456")))
    assert label_colors(schema) == {
        "a": ImageColor.getrgb(PALETTE[0]),
        "b": ImageColor.getrgb(PALETTE[1]),
        "c": (0x12, 0x34, 0x56),
    }


def test_a_label_that_the_schema_lacks_is_drawn_all_the_same(tmp_path: Path):
    tile = first_tile(drawn(tmp_path, ("a.png", plain((200, 200)), [Annotation("cow", Box(40, 40, 160, 160))])))
    assert tile.getpixel((40, 100)) != GREY


def test_rows_are_filled_from_left_to_right(tmp_path: Path):
    labels = [Annotation("dog", Box(40, 40, 160, 160))]
    sheet = drawn(tmp_path, *[(str(number), plain((200, 200)), labels) for number in range(5)], columns=2)
    assert sheet.width == 2 * MARGIN + 2 * TILE + GAP
    for number in range(5):
        left, top = tile_corner(number, columns=2, tile=TILE)
        assert sheet.getpixel((left + 40, top + 100)) == RED
    left, top = tile_corner(5, columns=2, tile=TILE)
    assert sheet.getpixel((left + 40, top + 100)) == WHITE


def test_no_images_make_a_sheet_all_the_same(tmp_path: Path):
    assert drawn(tmp_path).height == 2 * MARGIN + STRIP


def test_a_sheet_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "sheet.png").mkdir()
    with pytest.raises(OSError, match=r"sheet\.png"):
        drawn(tmp_path, ("a.png", plain(), []))
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_an_old_sheet_stays_until_the_new_one_is_whole(tmp_path: Path):
    target = tmp_path / "sheet.png"
    target.write_bytes(b"the old one")

    def looks() -> BinaryIO:
        assert target.read_bytes() == b"the old one"
        return plain()()

    assert drawn(tmp_path, ("a.png", looks, [])).width > 0
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize("wrong", [{"columns": 0}, {"most": 0}, {"tile": 79}])
def test_a_sheet_that_could_show_nothing_is_refused(wrong: dict[str, int], tmp_path: Path):
    with pytest.raises(ValueError, match="contact sheet"):
        drawn(tmp_path, ("a.png", plain(), []), **wrong)
    assert list(tmp_path.iterdir()) == []


def test_the_two_dogs_of_the_demo_are_outlined(tmp_path: Path):
    name = "two-dogs-at-a-window.jpg"
    photograph = photo_folder() / name
    outlines = [Polygon(tuple((x, y) for x, y in label["polygon"])) for label in drawn_labels()[name]]
    with Image.open(photograph) as image:
        width, height = ImageOps.exif_transpose(image).size
    labels = [Annotation("dog", outline) for outline in outlines]
    tile = first_tile(drawn(tmp_path, (name, lambda: photograph.open("rb"), labels)))
    scale = TILE / height
    offset = (TILE - round(width * scale)) // 2
    for outline in outlines:
        x, y = max(outline.points, key=lambda point: point[1])  # the lowest corner: no name tag stands there
        around = tile.crop(
            (int(offset + x * scale) - 2, int(y * scale) - 2, int(offset + x * scale) + 3, int(y * scale) + 3)
        )
        assert RED in {color for _, color in around.getcolors() or []}
