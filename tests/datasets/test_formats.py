"""Every format, byte by byte, and as its own reader sees it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dataset_samples import ANNOTATIONS, FILES, IMAGES, NAMES, OF_CAMPAIGNS, SCHEMA, STOCK, delivered
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.datasets import (
    NotDelivered,
    Split,
    Spool,
    StockedImage,
    UnknownFormat,
    defuse,
    file_stem,
    output_names,
    read_labels_csv,
    title_of,
    undefuse,
    write_file,
    write_many,
)
from labelwright.datasets.campaign_reports import write_excluded
from labelwright.datasets.spreadsheet_copy import write_spreadsheet_copy
from labelwright.datasets.writers.automl import growing_fractions, lasting_url
from labelwright.domain import (
    Annotation,
    Box,
    ExcludedImage,
    Geometry,
    ImageState,
    Label,
    LabeledImage,
    LabelSchema,
    Polygon,
    Size,
    WholeImage,
)
from labelwright.domain.errors import CannotRun

GOLDEN = Path(__file__).with_name("golden")


def everything(tmp_path: Path) -> dict[str, Path]:
    return write_many(FILES, delivered(tmp_path / "spool"), SCHEMA, title="river 2026", folder=tmp_path / "out")


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def one_image(tmp_path: Path, image: LabeledImage, schema: LabelSchema, name: str) -> Path:
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, [image])
    stock = [StockedImage(1, image.name, image.size, "", "https://h/x.png")]
    path = write_file(name, spool.delivered(stock), schema, title="t", folder=tmp_path)
    assert path is not None
    return path


def test_every_format_is_as_its_golden_file(tmp_path: Path) -> None:
    paths = everything(tmp_path)
    out = tmp_path / "out"
    if os.environ.get("LABELWRIGHT_WRITE_GOLDEN"):
        for path in out.rglob("*"):
            if path.is_file():
                (GOLDEN / path.relative_to(out)).parent.mkdir(parents=True, exist_ok=True)
                (GOLDEN / path.relative_to(out)).write_bytes(path.read_bytes())
    written = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    golden = {path.relative_to(GOLDEN).as_posix(): path.read_bytes() for path in GOLDEN.rglob("*") if path.is_file()}
    assert written == golden
    assert {path.relative_to(out).as_posix() for path in paths.values()} <= golden.keys()


@pytest.mark.parametrize("name", [name for name in FILES if name != "split"])
def test_an_output_written_alone_has_the_same_bytes(tmp_path: Path, name: str) -> None:
    alone = write_file(name, delivered(tmp_path / "again"), SCHEMA, title="river 2026", folder=tmp_path / "alone")
    assert alone is not None
    assert bytes_below(alone) == bytes_below(everything(tmp_path)[name])


def bytes_below(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def test_a_format_without_labels_in_the_schema_is_left_out(tmp_path: Path) -> None:
    boxes = LabelSchema((Label("car"),))
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, [LabeledImage("a.png", Size(3, 3))])
    stock = [StockedImage(1, "a.png", Size(3, 3), "")]
    written = write_many(FILES, spool.delivered(stock), boxes, title="t", folder=tmp_path / "out")
    assert set(written) == {"csv", "coco", "detection", "detection_mltable", "images"}


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match=r"'cocoa'.*coco"):
        write_many(["cocoa"], delivered(tmp_path / "s"), SCHEMA, title="t", folder=tmp_path)


def test_an_image_without_labels_stops_the_export_without_files(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, IMAGES[:2])
    with pytest.raises(NotDelivered, match="=cmd"):
        write_many(["csv", "coco"], spool.delivered(STOCK), SCHEMA, title="t", folder=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_no_file_of_any_format_holds_an_excluded_image(tmp_path: Path) -> None:
    """The first image, and one between two others: also a whole batch of excluded images."""
    split = Split(60, 20, 20)
    every = ["images", *output_names(OF_CAMPAIGNS, SCHEMA, split)]
    for excluded in ({0}, {1}, {0, 1, 2}):
        spool = Spool(tmp_path / f"spool {excluded}")
        kept = [image for place, image in enumerate(IMAGES) if place not in excluded]
        gone = [ExcludedImage(STOCK[place].name, ImageState.GONE) for place in excluded]
        spool.put_page(1, kept, excluded=gone)
        stock = [image for place, image in enumerate(STOCK) if place not in excluded]
        only = Spool(tmp_path / f"only {excluded}")
        only.put_page(1, kept)
        written = []
        for labels, folder in ((spool.delivered(STOCK), "excluded"), (only.delivered(stock), "never there")):
            out = tmp_path / f"{folder} {excluded}"
            write_many(every, labels, SCHEMA, title="t", folder=out, split=split)
            written.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
        assert written[0] == written[1]


def test_a_thousand_excluded_images_in_a_row_are_passed_over(tmp_path: Path) -> None:
    stock = [StockedImage(n, f"{n:04}.png", Size(3, 3), f"{n:064x}") for n in range(1, 1003)]
    spool = Spool(tmp_path / "spool")
    ends = [stock[0], stock[-1]]
    gone = [ExcludedImage(image.name, ImageState.GONE) for image in stock[1:-1]]
    spool.put_page(1, [LabeledImage(image.name, image.size) for image in ends], excluded=gone)
    schema = LabelSchema((Label("car", Geometry.ANY),))
    paths = write_many(["csv", "coco", "images"], spool.delivered(stock), schema, title="t", folder=tmp_path / "out")
    assert [image["file_name"] for image in json.loads(paths["coco"].read_text())["images"]] == ["0001.png", "1002.png"]
    assert len(paths["images"].read_text().splitlines()) == 3


def test_excluded_images_are_listed_with_their_reasons(tmp_path: Path) -> None:
    path = tmp_path / "excluded.csv"
    images = [
        ExcludedImage("=b, c.png", ImageState.SKIPPED, "skipped in Remo"),
        ExcludedImage("a.png", ImageState.GONE, 'frame 1 of task "7"'),
    ]
    assert write_excluded(path, images) == 2
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["image", "state", "reason"],
            [defuse("=b, c.png"), "skipped", "skipped in Remo"],
            ["a.png", "gone from the platform", 'frame 1 of task "7"'],
        ]
    assert write_excluded(path, []) == 0
    assert not path.exists()


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    delivered(tmp_path / "spool")
    (tmp_path / "t_labels.csv").write_text("old")
    program = (
        "import os, sys\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[2])\nfrom samples import *\n"
        "from labelwright.datasets import write_file\n"
        "Path.replace = lambda self, target: os._exit(9)\n"
        "labels = Spool(Path(sys.argv[1]) / 'spool').delivered(STOCK)\n"
        "write_file('csv', labels, SCHEMA, title='t', folder=Path(sys.argv[1]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)])
    assert ended.returncode == 9
    assert (tmp_path / "t_labels.csv").read_text() == "old"


# --- COCO


def coco(path: Path):
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_pycocotools_agrees_on_every_box_and_area(tmp_path: Path) -> None:
    from pycocotools import mask

    judge = coco(everything(tmp_path)["coco"])
    assert [judge.imgs[n]["file_name"] for n in judge.getImgIds()] == list(NAMES)  # those without objects too
    assert sorted(judge.anns) == [1, 2, 3, 4, 5, 6]
    assert {category["id"]: (category["name"], category["supercategory"]) for category in judge.cats.values()} == {
        1: ("vehicle", ""),
        2: ("car", "vehicle"),
        3: ('river, "wide"', ""),
        4: ("=SUM(A1)", ""),
        5: ("ночь", ""),
    }
    drawn = [
        (n, annotation)
        for n, annotations_of_image in enumerate(ANNOTATIONS, 1)
        for annotation in annotations_of_image
        if annotation.shape.box is not None
    ]
    for number, (image, annotation) in enumerate(drawn, 1):
        record, shape = judge.anns[number], annotation.shape
        box = shape.box
        assert record["image_id"] == image
        assert record["bbox"] == [box.xmin, box.ymin, box.xmax - box.xmin, box.ymax - box.ymin]
        assert record["area"] == shape.area
        assert record["score"] == annotation.confidence
        assert record.get("attributes", {}) == dict(annotation.attributes)
        if isinstance(shape, Polygon):
            rle = judge.annToRLE(record)
            edges = np.diff(np.array([*shape.points, shape.points[0]]), axis=0)
            perimeter = np.hypot(edges[:, 0], edges[:, 1]).sum()
            assert abs(mask.area(rle) - record["area"]) <= perimeter  # a pixel on either side of the outline
            assert np.abs(mask.toBbox(rle) - np.array(record["bbox"])).max() <= 1
        else:
            (xmin, ymin, xmax, ymax), ring = map(float, box.corners), record["segmentation"]
            assert ring == [[xmin, ymin, xmin, ymax, xmax, ymax, xmax, ymin]]
            if xmax - xmin > 1:  # thinner ones may cover the middle of no pixel
                assert np.abs(mask.toBbox(judge.annToRLE(record)) - np.array(record["bbox"])).max() <= 1
            assert judge.annToMask(record).shape == (judge.imgs[image]["height"], judge.imgs[image]["width"])


def test_pycocotools_computes_the_same_areas_from_the_boxes_alone(tmp_path: Path) -> None:
    judge = coco(everything(tmp_path)["coco"])
    drawn = [one for annotations in ANNOTATIONS for one in annotations if one.shape.box is not None]
    pairs = zip(judge.anns.values(), drawn, strict=True)
    boxes = [record for record, annotation in pairs if isinstance(annotation.shape, Box)]
    results = [{key: record[key] for key in ("image_id", "category_id", "bbox", "score")} for record in boxes]
    with contextlib.redirect_stdout(io.StringIO()):
        again = judge.loadRes(results)
    assert [record["area"] for record in again.anns.values()] == [record["area"] for record in boxes]
    for theirs, ours in zip(again.anns.values(), boxes, strict=True):
        assert np.allclose(theirs["segmentation"], ours["segmentation"], atol=1e-9), "it draws boxes in the same order"


def test_coco_keeps_labels_of_whole_images_in_the_image(tmp_path: Path) -> None:
    images = json.loads(everything(tmp_path)["coco"].read_bytes())["images"]
    assert images[0]["labels"] == [{"category_id": 5, "score": 0.75}]
    assert all("labels" not in image for image in images[1:])


def test_coco_without_any_object_is_still_coco(tmp_path: Path) -> None:
    image = LabeledImage("a.png", Size(3, 3))
    judge = coco(one_image(tmp_path, image, SCHEMA, "coco"))
    assert (len(judge.imgs), len(judge.anns)) == (1, 0)


def test_coco_refuses_a_label_beside_the_schema(tmp_path: Path) -> None:
    image = LabeledImage("a.png", Size(3, 3), (Annotation("cat", Box(0, 0, 1, 1)),))
    with pytest.raises(ValueError, match="'cat' is not in the schema"):
        one_image(tmp_path, image, SCHEMA, "coco")
    assert not list(tmp_path.glob("*.json"))


# --- CSV


def test_pandas_reads_the_csv_back_exactly(tmp_path: Path) -> None:
    table = read_labels_csv(everything(tmp_path)["csv"])
    assert sorted(set(table["file_name"])) == sorted(NAMES)
    empty = table[table["file_name"] == NAMES[1]]
    assert empty["label"].tolist() == [""]
    assert empty[["confidence", "xmin"]].isna().all(axis=None)
    for name, expected in zip(NAMES, ANNOTATIONS, strict=True):
        rows = table[table["file_name"] == name]
        drawn = [annotation for annotation in expected if annotation.shape.box is not None]
        objects = rows[rows["xmin"].notna()]
        assert objects["label"].tolist() == [annotation.label for annotation in drawn]
        assert objects["confidence"].tolist() == [annotation.confidence for annotation in drawn]
        assert objects[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [
            list(map(float, annotation.shape.box.corners)) for annotation in drawn
        ]
        polygons = [
            [list(map(float, p)) for p in o.shape.points] if isinstance(o.shape, Polygon) else None for o in drawn
        ]
        assert [json.loads(text) if text else None for text in objects["polygon"]] == polygons


def test_the_csv_is_rfc_4180_with_every_text_as_it_is(tmp_path: Path) -> None:
    written = everything(tmp_path)
    for name in ("csv", "images"):
        data = written[name].read_bytes()
        assert data.count(b"\n") == data.count(b"\r\n")
        assert data.startswith(b"image_id,"), "no byte order mark"
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))
        assert {row["file_name"] for row in rows} == set(NAMES)
    rows = list(csv.DictReader(io.StringIO(written["csv"].read_text(encoding="utf-8"), newline=""), strict=True))
    assert {row["label"] for row in rows} == {"", "car", "vehicle", 'river, "wide"', "=SUM(A1)", "ночь"}


def test_a_copy_for_spreadsheets_has_no_formula_in_it(tmp_path: Path) -> None:
    source, copy = everything(tmp_path)["csv"], tmp_path / "copy.csv"
    assert write_spreadsheet_copy(source, copy) == 8
    data = copy.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfimage_id,"), "Excel needs a byte order mark"
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    assert not any(cell[:1] in tuple("=+-@\t\r") for row in rows for cell in row if cell)
    original = list(csv.reader(io.StringIO(source.read_text(encoding="utf-8"), newline="")))
    assert [[undefuse(cell) for cell in row] for row in rows] == original
    assert read_labels_csv(copy, defused=True).equals(read_labels_csv(source))
    with pytest.raises(CannotRun, match="no such file"):
        write_spreadsheet_copy(tmp_path / "none.csv", copy)
    (tmp_path / "latin.csv").write_bytes(b"a,\xff\n")
    with pytest.raises(CannotRun, match=r"latin\.csv cannot be copied"):
        write_spreadsheet_copy(tmp_path / "latin.csv", copy)
    assert copy.read_bytes() == data, "the earlier copy stays"


AWKWARD = ["NA", "null", "nan", "None", "N/A", "", "-1", "=x", "@x", "'a", "'=x", "''=x", "1e3", "012", "TRUE", "é"]


def test_the_documented_call_of_pandas_keeps_every_label(tmp_path: Path) -> None:
    labels = [label for label in AWKWARD if label]
    schema = LabelSchema(tuple(Label(label) for label in labels))
    image = LabeledImage("=a.png", Size(3, 3), tuple(Annotation(label, Box(0, 0, 1, 1)) for label in labels))
    path = one_image(tmp_path, image, schema, "csv")
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    call = page.partition("```python\n")[2].partition("```")[0]
    assert "read_labels_csv" in call
    assert "read_csv" in call
    names: dict[str, pd.DataFrame] = {}
    exec(call.replace("river_labels.csv", path.as_posix()), names)
    for table in (names["labels"], names["same"], read_labels_csv(path.as_uri())):
        assert table["label"].tolist() == labels
        assert set(table["file_name"]) == {"=a.png"}
        assert table["xmax"].tolist() == [1.0] * len(labels)
    assert names["labels"]["attributes"].tolist() == [""] * len(labels)


def test_datasets_of_earlier_versions_are_read_as_they_were_meant(tmp_path: Path) -> None:
    path = tmp_path / "t_labels.csv"
    path.write_text("image_id,file_name,label,attributes\n1,'=a.png,'-1,\n", encoding="utf-8-sig")
    assert read_labels_csv(path)[["file_name", "label"]].to_numpy().tolist() == [["'=a.png", "'-1"]]
    (tmp_path / "receipt.json").write_text('{"code_version": "0.1.0"}')
    assert read_labels_csv(path)[["file_name", "label"]].to_numpy().tolist() == [["=a.png", "-1"]]
    (tmp_path / "receipt.json").write_text('{"csv_texts": "as they are"}')
    assert read_labels_csv(path)["label"].tolist() == ["'-1"]
    assert read_labels_csv(path, defused=True)["label"].tolist() == ["-1"]


def test_pandas_reads_every_float_exactly(tmp_path: Path) -> None:
    chance = random.Random(1)
    corners = [(chance.random() * 10 ** -chance.randrange(9), 0.0, 1 + chance.random(), 2 / 3) for _ in range(2000)]
    image = LabeledImage("a.png", Size(3, 3), tuple(Annotation("car", Box(*box), chance.random()) for box in corners))
    table = read_labels_csv(one_image(tmp_path, image, SCHEMA, "csv"))
    assert table[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [list(box) for box in corners]
    assert table["confidence"].tolist() == [annotation.confidence for annotation in image.annotations]


@pytest.mark.parametrize("label", ["NA", "null", "nan", "None", "1", "a\nb", "tail ", "'", "''=x", "'=x", "\tx", "@x"])
def test_awkward_labels_survive_pandas(tmp_path: Path, label: str) -> None:
    schema = LabelSchema((Label(label.strip() or "x"),))
    image = LabeledImage("a.png", Size(3, 3), (Annotation(label, Box(0, 0, 1, 1)),))
    assert read_labels_csv(one_image(tmp_path, image, schema, "csv"))["label"].tolist() == [label]


@given(st.text(alphabet="'=+-@\t\rax", max_size=6) | st.text())
def test_defusing_is_exact_and_harmless(text: str) -> None:
    assert undefuse(defuse(text)) == text
    assert not defuse(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_plain_text_is_not_touched() -> None:
    assert [defuse(text) for text in ("car", "a=b", "", "1-2", "'quoted'")] == ["car", "a=b", "", "1-2", "'quoted'"]
    assert defuse("=1+1") == "'=1+1"


# --- AutoML


DETECTION_KEYS = {"label", "topX", "topY", "bottomX", "bottomY", "isCrowd"}


def test_detection_has_one_line_per_image(tmp_path: Path) -> None:
    lines = lines_of(everything(tmp_path)["detection"])
    assert [line["image_url"] for line in lines] == [image.url for image in STOCK]
    assert [len(line["label"]) for line in lines] == [2, 0, 3, 1]
    assert [line["image_details"]["format"] for line in lines] == ["jpg", "png", "jpeg", "png"]
    for line in lines:
        for label in line["label"]:
            further = {"confidence", "attributes"} if label.get("confidence") else set()
            assert set(label) == DETECTION_KEYS | further
            assert 0 <= label["topX"] < label["bottomX"] <= 1
            assert 0 <= label["topY"] < label["bottomY"] <= 1


@settings(max_examples=300)
@given(
    st.lists(st.floats(-2, 5002), min_size=2, max_size=2, unique=True).map(sorted),
    st.lists(st.floats(0, 3000), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_fractions_always_grow_within_0_and_1(xs: list[float], ys: list[float]) -> None:
    corners = np.array([[xs[0], ys[0], xs[1], ys[1]]])
    (fractions,) = growing_fractions(corners, np.array([[5000.0, 3000.0]])).tolist()
    assert 0 <= fractions[0] < fractions[2] <= 1
    assert 0 <= fractions[1] < fractions[3] <= 1
    expected = np.clip(corners[0] / [5000, 3000, 5000, 3000], 0, 1)
    assert np.abs(np.array(fractions) - expected).max() <= 1.6e-7


def test_segmentation_has_polygons_and_some_boxes(tmp_path: Path) -> None:
    lines = lines_of(everything(tmp_path)["segmentation"])
    assert [[entry["label"] for entry in line["label"]] for line in lines] == [
        ["vehicle"], [], ["river, \"wide\"", "vehicle"], [],
    ]  # fmt: skip
    (box,) = lines[0]["label"][0]["polygon"]
    assert len(box) == 8
    (corners,) = lines[2]["label"][0]["polygon"]
    assert corners[:4] == [0.1, 0.1, 0.905, 0.1]
    assert all(0 <= value <= 1 for value in corners)


def test_classification_has_strings_when_all_images_have_one_label(tmp_path: Path) -> None:
    assert [line["label"] for line in lines_of(everything(tmp_path)["classification"])] == [["ночь"], [], [], []]
    schema = LabelSchema((Label('d"ay', Geometry.IMAGE),))
    image = LabeledImage("a.png", Size(3, 3), (Annotation('d"ay', WholeImage()),))
    (line,) = lines_of(one_image(tmp_path, image, schema, "classification"))
    assert line["label"] == 'd"ay'


def test_the_mltable_stands_beside_its_lines(tmp_path: Path) -> None:
    paths = everything(tmp_path)
    folder = paths["detection_mltable"].parent
    lines = lines_of(paths["detection"])
    for line in lines:
        line["label"] = [{key: label[key] for key in label if key in DETECTION_KEYS} for label in line["label"]]
    assert lines_of(paths["detection_mltable"]) == lines
    assert yaml.safe_load((folder / "MLTable").read_text()) == {
        "type": "mltable",
        "paths": [{"file": "./labels.jsonl"}],
        "transformations": [
            {"read_json_lines": {"encoding": "utf8", "invalid_lines": "error", "include_path_column": False}},
            {"convert_column_types": [{"columns": "image_url", "column_type": "stream_info"}]},
        ],
    }


@pytest.mark.parametrize(
    ("given_url", "expected"),
    [
        ("https://h/c/a.png", "https://h/c/a.png"),
        ("https://h/c/a b ü.png", "https://h/c/a%20b%20%C3%BC.png"),
        ("https://h/c/a%20b%25.png", "https://h/c/a%20b%25.png"),
        ("https://h/c/100%.png", "https://h/c/100%25.png"),
        ("https://h/c/a.png?sv=1&se=2&sig=secret%3D", "https://h/c/a.png"),
        ("https://h/c/a.png?version=3", "https://h/c/a.png?version=3"),
    ],
)
def test_urls_are_encoded_once_and_carry_no_signature(given_url: str, expected: str) -> None:
    assert lasting_url(given_url) == expected


# --- titles


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_titles_make_safe_names_and_come_back(title: str) -> None:
    stem = file_stem(title)
    assert title_of(stem) == title
    assert Path("x", stem + "_labels.csv").parent == Path("x")
    assert not stem.startswith(".")
    assert "/" not in stem
    assert "\\" not in stem


def test_plain_titles_stay_and_long_ones_fit() -> None:
    assert file_stem("river-2026 Süd_1.2") == "river-2026 Süd_1.2"
    assert file_stem("../etc") == "%2E.%2Fetc"
    assert len((file_stem("ю" * 500) + "_classification_mltable").encode()) < 255
    assert file_stem("ю" * 500) != file_stem("ю" * 501)
    with pytest.raises(ValueError, match="title"):
        file_stem("")


def test_a_large_cell_does_not_change_the_limit_of_other_readers(tmp_path: Path) -> None:
    source = tmp_path / "labels.csv"
    source.write_text("polygon\n" + "x" * 200_000 + "\n")
    limit = csv.field_size_limit()
    assert write_spreadsheet_copy(source, tmp_path / "copy.csv") == 1
    assert csv.field_size_limit() == limit
