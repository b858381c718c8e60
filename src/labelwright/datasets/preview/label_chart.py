"""Draws a chart of how often each label was used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw

from labelwright.datasets.files import whole_file
from labelwright.domain import LabelSchema

from .contact_sheet import FAINT, INK, MARGIN, PAPER, label_colors, write_text

MOST = 40
"""Labels that get a bar of their own."""

_WIDTH = 900
_ROW = 34
_NAMES = 220
_COUNTS = 190


def draw_label_chart(labels: Mapping[str, Mapping[str, int]], schema: LabelSchema, empty: int, target: Path) -> None:
    """Draw a bar for each label into `target`, a PNG file: its objects, and in how many images they are.

    labels: label -> {"objects", "images"}, as Statistics.labels. empty: images without any label. `target` is there in
    full or not at all.
    """
    shown = list(labels.items())[:MOST]
    left_out = len(labels) - len(shown)
    rows = len(shown) + 1 + (1 if left_out else 0)
    sheet = Image.new("RGB", (_WIDTH, 2 * MARGIN + rows * _ROW), PAPER)
    drawing, colors = ImageDraw.Draw(sheet), label_colors(schema)
    most = max([counts["objects"] for _, counts in shown] + [1])
    room = _WIDTH - 2 * MARGIN - _NAMES - _COUNTS
    top = MARGIN
    for name, counts in shown:
        write_text(sheet, (MARGIN, top + 6), name, size=16, color=INK, room=_NAMES - 12)
        length = round(room * counts["objects"] / most)
        left = MARGIN + _NAMES
        if length:
            drawing.rectangle((left, top + 4, left + length, top + _ROW - 8), fill=colors.get(name, FAINT))
        caption = f"{counts['objects']:,} in {counts['images']:,} {'image' if counts['images'] == 1 else 'images'}"
        write_text(sheet, (left + length + 8, top + 6), caption, size=15, color=INK, room=_COUNTS - 8)
        top += _ROW
    if left_out:
        write_text(sheet, (MARGIN, top + 6), f"... and {left_out} more labels", size=15, color=FAINT, room=_WIDTH)
        top += _ROW
    write_text(sheet, (MARGIN, top + 6), f"{empty:,} images show nothing", size=15, color=FAINT, room=_WIDTH)
    with whole_file(target) as file:
        sheet.save(file, "PNG")
