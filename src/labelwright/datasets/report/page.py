"""A version's statistics as one HTML page without any other file: tables, and charts as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from .measures import GRID, Measures, by_kind

_STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; color: #1c2024; background: #fff; margin: 2rem auto; max-width: 62rem;
  padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem } h3 { font-size: 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto } tr { border-bottom: 1px solid #dde1e5 }
th, td { padding: .25rem .8rem .25rem 0; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.look { background: #fff6e0; border-left: 4px solid #e69f00; padding: .6rem 1rem }
.fine { border-color: #009e73; background: #e9f7f2 }
.bar { fill: #0072b2 } svg { max-width: 100%; height: auto } .faint { color: #60676e }
"""
_BAR_WIDTH, _BAR_HEIGHT, _NAME_WIDTH = 420, 22, 200
_CELL = 28
_MOST_BARS = 60
_MANY = 1 << 62
_RANGES = (*((number, number) for number in range(6)), (6, 10), (11, 20), (21, 50), (51, 100), (101, _MANY))


def statistics_page(title: str, facts: Sequence[tuple[str, str]], measures: Measures, changes: str = "") -> str:
    """The page. `facts`: lines of its head, such as the campaign; `changes`: a sentence on the version before."""
    sentences = measures.sentences()
    look = (
        f'<div class="look"><b>Worth a look</b><ul>{_items(sentences)}</ul></div>'
        if sentences
        else '<div class="look fine">Nothing unusual was found.</div>'
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        _table(("", ""), facts),
        f"<p>{escape(changes)}</p>" if changes else "",
        look,
        "<h2>Objects by label</h2>",
        _bars(_most_frequent(measures.objects), "objects"),
        _labels_table(measures),
        "<h2>Objects of an image</h2>",
        _bars(_in_ranges(measures.per_image), "images"),
        f"<p>{measures.images_without_labels:,} of {measures.images:,} images have no label.</p>",
        "<h2>Where objects are</h2>",
        _grid(measures.positions),
        _pairs(measures),
        _labelers(measures),
        _origins(measures),
        _findings(measures),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body></html>\n"
    )


def _items(sentences: Iterable[str]) -> str:
    return "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Numbers stand at the right. Without a head when all its cells are empty."""

    def cell(tag: str, value: Any) -> str:
        if isinstance(value, int | float):
            return f'<{tag} class="n">{value:,}</{tag}>'
        return f"<{tag}>{escape(str(value))}</{tag}>"

    body = "".join(f"<tr>{''.join(cell('td', value) for value in row)}</tr>\n" for row in rows)
    top = f"<tr>{''.join(cell('th', name) for name in head)}</tr>\n" if any(head) else ""
    return f"<table>\n{top}{body}</table>"


def _bars(values: dict[str, int], what: str) -> str:
    """A bar for each value, with its number; its words are in the SVG's title too."""
    if not values:
        return ""
    most, height = max(*values.values(), 1), _BAR_HEIGHT * len(values)
    rows = []
    for number, (name, value) in enumerate(values.items()):
        y = number * _BAR_HEIGHT
        length = _BAR_WIDTH * value / most
        shown = name if len(name) <= 24 else f"{name[:22]}..."
        rows.append(
            f'<text x="{_NAME_WIDTH - 8}" y="{y + 16}" text-anchor="end">{escape(shown)}</text>'
            f'<rect class="bar" x="{_NAME_WIDTH}" y="{y + 3}" width="{length:.1f}" height="{_BAR_HEIGHT - 6}"></rect>'
            f'<text x="{_NAME_WIDTH + length + 6:.1f}" y="{y + 16}">{value:,}</text>'
        )
    label = escape("; ".join(f"{name}: {value} {what}" for name, value in values.items()), quote=True)
    width = _NAME_WIDTH + _BAR_WIDTH + 90
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg role="img" aria-label="{label}" {size} font-size="14">{"".join(rows)}</svg>'


def _most_frequent(objects: dict[str, int]) -> dict[str, int]:
    return dict(sorted(objects.items(), key=lambda item: -item[1])[:_MOST_BARS])


def _in_ranges(per_image: dict[int, int]) -> dict[str, int]:
    """Images by their number of objects: 0 to 5 singly, then in ranges."""
    images: dict[str, int] = {}
    for least, most in _RANGES:
        count = sum(number for objects, number in per_image.items() if least <= objects <= most)
        if count:
            images[str(least) if least == most else f"{least} to {most}" if most < _MANY else f"over {least - 1}"] = (
                count
            )
    return images


def _grid(positions: list[list[int]]) -> str:
    most, size = max(max(row) for row in positions) or 1, GRID * _CELL
    cells = "".join(
        f'<rect x="{column * _CELL}" y="{row * _CELL}" width="{_CELL}" height="{_CELL}" fill="#0072b2" '
        f'fill-opacity="{count / most:.3f}" stroke="#dde1e5"><title>{count:,}</title></rect>'
        for row, counts in enumerate(positions)
        for column, count in enumerate(counts)
    )
    label = "Number of objects by the place of their center within the image, darker where there are more"
    return (
        f'<svg role="img" aria-label="{label}" width="{size}" height="{size}" viewBox="0 0 {size} {size}">{cells}</svg>'
    )


def _labels_table(measures: Measures) -> str:
    rows: list[tuple[Any, ...]] = [
        (
            name,
            count,
            measures.whole_image_labels.get(name, 0),
            measures.images_by_label[name],
            *(measures.sizes.get(name) or ("",) * 5),
        )
        for name, count in measures.objects.items()
    ]
    head = ("label", "objects", "of whole images", "images", "smallest", "25 %", "median", "75 %", "largest")
    return _table(head, rows) + '<p class="faint">Sizes are square roots of areas, in pixels.</p>'


def _pairs(measures: Measures) -> str:
    rows = [
        (name, other, count)
        for name, others in measures.together.items()
        for other, count in others.items()
        if list(measures.objects).index(name) < list(measures.objects).index(other)
    ]
    rows.sort(key=lambda row: -row[2])
    return "<h2>Labels of one image</h2>" + _table(("label", "with", "images"), rows[:50]) if rows else ""


def _labelers(measures: Measures) -> str:
    rows = [(name, int(values["objects"]), values["median_size"]) for name, values in measures.labelers.items()]
    return "<h2>Labelers</h2>" + _table(("labeler", "objects", "median size"), rows) if rows else ""


def _origins(measures: Measures) -> str:
    rows = [(origin, model, count) for origin, models in measures.origins.items() for model, count in models.items()]
    return "<h2>Where objects come from</h2>" + _table(("origin", "model", "objects"), rows) if rows else ""


def _findings(measures: Measures) -> str:
    parts = []
    for kind, findings in by_kind(measures.findings).items():
        rows = [(one.image, one.label, ", ".join(f"{value:g}" for value in one.box), one.labeler) for one in findings]
        more = measures.found[str(kind)] - len(rows)
        parts.append(f"<h3>{escape(kind.capitalize())}</h3>" + _table(("image", "label", "box", "labeler"), rows))
        parts.append(f"<p>{more:,} more are not listed.</p>" if more else "")
    return "<h2>Objects to look at</h2>" + "".join(parts) if parts else ""
