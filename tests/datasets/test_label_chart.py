"""How often each label was used, seen in the picture's own pixels."""

from PIL import Image

from labelwright.datasets.preview.contact_sheet import label_colors
from labelwright.datasets.preview.label_chart import MOST, draw_label_chart
from labelwright.domain import Label, LabelSchema

SCHEMA = LabelSchema((Label("boat"), Label("buoy"), Label("дно")))


def widths(path, schema) -> dict[str, int]:
    """The longest run of each label's colour."""
    with Image.open(path) as picture:
        rows = [[picture.getpixel((x, y)) for x in range(picture.width)] for y in range(0, picture.height, 2)]
    return {name: max(row.count(color) for row in rows) for name, color in label_colors(schema).items()}


def test_bars_are_as_long_as_labels_are_many(tmp_path):
    labels = {
        "boat": {"objects": 100, "images": 7},
        "buoy": {"objects": 50, "images": 3},
        "дно": {"objects": 0, "images": 0},
    }
    draw_label_chart(labels, SCHEMA, 2, tmp_path / "chart.png")
    bars = widths(tmp_path / "chart.png", SCHEMA)
    assert abs(bars["boat"] - 2 * bars["buoy"]) <= 2
    assert bars["boat"] > 300
    assert bars["дно"] == 0


def test_a_schema_of_a_thousand_labels_makes_no_endless_picture(tmp_path):
    schema = LabelSchema(tuple(Label(f"label {number}") for number in range(1000)))
    labels = {name: {"objects": 1, "images": 1} for name in schema.names}
    draw_label_chart(labels, schema, 0, tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as picture:
        assert picture.height < 40 * (MOST + 4)
