"""Who labeled, when and how: through the spool and back."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.datasets import Spool, SpoolDamaged, StockedImage, read_labels_csv, write_many
from labelwright.datasets.splits import select_images
from labelwright.datasets.spool.provenance import NO_TIME, ROW
from labelwright.domain import (
    UNKNOWN,
    Annotation,
    Box,
    ExcludedImage,
    Geometry,
    ImageState,
    Label,
    LabeledImage,
    LabelSchema,
    Mask,
    MultiPolygon,
    Opinion,
    Origin,
    Polygon,
    Provenance,
    ShapeNotice,
    Size,
    WholeImage,
)

SIZE = Size(640, 480)
NOON = datetime(2026, 11, 29, 12, 0, 0, 123456, UTC)
ANNA = Provenance("anna@example.com", NOON, NOON + timedelta(hours=1), 12.5, Origin.CORRECTED)
MODEL = Provenance(origin=Origin.PREDICTION)
BOX = Box(1, 2, 30, 40)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
MOMENT = st.none() | st.timedeltas(timedelta(days=-40_000), timedelta(days=40_000)).map(lambda delta: NOON + delta)
SECONDS = st.none() | st.floats(0, 1e9)
PROVENANCE = (
    st.just(UNKNOWN)
    | st.builds(Provenance, st.none() | TEXT, MOMENT, MOMENT, SECONDS, st.none() | st.sampled_from(Origin))
    | st.builds(
        Provenance, st.none() | TEXT, origin=st.sampled_from([Origin.PREDICTION, Origin.CORRECTED]), model_version=TEXT
    )
)
ANNOTATIONS = st.lists(
    st.builds(
        Annotation,
        label=TEXT,
        shape=st.sampled_from([BOX, Polygon(((0, 0), (9, 0), (9, 9))), Mask(((1, 0, 2),)), WholeImage()]),
        attributes=st.dictionaries(TEXT, TEXT, max_size=1),
        provenance=PROVENANCE,
    ),
    max_size=4,
).map(tuple)
IMAGES = st.lists(
    st.builds(
        LabeledImage,
        name=TEXT,
        size=st.just(SIZE),
        annotations=ANNOTATIONS,
        state=st.sampled_from([ImageState.LABELED, ImageState.ACCEPTED, ImageState.REJECTED]),
        opinions=st.lists(st.builds(Opinion, st.none() | TEXT, ANNOTATIONS, MOMENT, SECONDS), max_size=3).map(tuple),
    ),
    max_size=4,
    unique_by=lambda image: image.name,
)


def provenances(image: LabeledImage) -> list[Provenance]:
    answers = [annotation.provenance for annotation in image.annotations]
    return answers + [a.provenance for opinion in image.opinions for a in opinion.annotations]


@settings(max_examples=80, deadline=None)
@given(IMAGES)
def test_spool_returns_provenance_states_and_opinions(tmp_path_factory: pytest.TempPathFactory, images) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool"))
    spool.put_page(1, images)
    read = list(spool.images())
    assert read == images  # states, opinions and their annotations
    assert list(map(provenances, read)) == list(map(provenances, images))


def test_batches_have_provenance_in_columns_across_pages(tmp_path: Path) -> None:
    def image(name: str, *annotations: Annotation) -> LabeledImage:
        return LabeledImage(name, SIZE, annotations)

    ben = Provenance("ben", NOON)
    spool = Spool(tmp_path)
    tag = Annotation("night", WholeImage(), provenance=ben)
    spool.put_page(1, [image("c", Annotation("boat", BOX, provenance=ben), tag)])
    spool.put_page(2, [image("a", Annotation("boat", BOX), Annotation("boat", BOX, provenance=ANNA))])
    spool.put_page(3, [image("b", Annotation("boat", BOX), Annotation("buoy", BOX))])  # a page without any
    (batch,) = spool.delivered([StockedImage(n, name, SIZE, "") for n, name in enumerate("abc", 1)]).batches()
    columns = batch.provenance
    assert columns is not None
    names = [None if code < 0 else columns.labelers[code] for code in columns.rows["labeler"].tolist()]
    assert names == [None, "anna@example.com", None, None, "ben"]
    hour = int(timedelta(hours=1).total_seconds() * 1e6)
    noon = int(NOON.timestamp() * 1e6)
    assert columns.labeled_at.tolist() == [NO_TIME, noon + hour, NO_TIME, NO_TIME, noon]
    assert batch.tags[2][0].provenance == ben

    part = select_images(batch, [False, True, True])
    assert part.provenance is not None
    assert part.provenance.labeled_at.tolist() == [NO_TIME, NO_TIME, noon]


SCHEMA = LabelSchema((Label("boat", Geometry.ANY), Label("=night", Geometry.IMAGE)))


def written(folder: Path, *images: LabeledImage) -> dict[str, Path]:
    spool = Spool(folder / "spool")
    spool.put_page(1, images)
    stock = [StockedImage(n, image.name, image.size, "https://s/x") for n, image in enumerate(images, 1)]
    formats = ["csv", "coco", "detection", "segmentation", "detection_mltable"]
    return write_many(formats, spool.delivered(stock), SCHEMA, title="t", folder=folder)


def test_every_format_has_attributes_confidence_and_provenance(tmp_path: Path) -> None:
    ann = replace(ANNA, labeler="=anna")
    boat = Annotation("boat", BOX, 0.5, {"hull": 'grey, "old"'}, ann)
    plain = Annotation("boat", BOX)
    outlined = Annotation("boat", Polygon(((0, 0), (9, 0), (9, 9))), provenance=MODEL)
    night = Annotation("=night", WholeImage(), 0.25, {"moon": "full"}, Provenance("ben", NOON))
    paths = written(tmp_path, LabeledImage("a", SIZE, (boat, plain, outlined, night)), LabeledImage("b", SIZE))

    with paths["csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    details = [
        [row[name] for name in ("label", "confidence", "attributes", "labeler", "labeled_at", "origin")] for row in rows
    ]
    assert details == [
        ["=night", "0.25", '{"moon":"full"}', "ben", "2026-11-29T12:00:00.123456Z", ""],
        ["boat", "0.5", '{"hull":"grey, \\"old\\""}', "=anna", "2026-11-29T13:00:00.123456Z", "corrected"],
        ["boat", "1.0", "", "", "", ""],
        ["boat", "1.0", "", "", "", "prediction"],
        ["", "", "", "", "", ""],
    ]
    table = read_labels_csv(paths["csv"])
    assert table["labeler"].tolist() == ["ben", "=anna", "", "", ""]
    assert [json.loads(text or "{}") for text in table["attributes"]][1] == {"hull": 'grey, "old"'}

    coco = json.loads(paths["coco"].read_bytes())
    further = ("attributes", "labeler", "labeled_at", "origin")
    anna = {"labeler": "=anna", "labeled_at": "2026-11-29T13:00:00.123456Z", "origin": "corrected"}
    assert [{key: record[key] for key in further if key in record} for record in coco["annotations"]] == [
        {"attributes": {"hull": 'grey, "old"'}, **anna},
        {},
        {"origin": "prediction"},
    ]
    tag = {"category_id": 2, "score": 0.25, "attributes": {"moon": "full"}, "labeler": "ben"}
    assert [image.get("labels") for image in coco["images"]] == [
        [tag | {"labeled_at": "2026-11-29T12:00:00.123456Z"}],
        None,
    ]

    for name in ("detection", "segmentation"):
        objects = json.loads(paths[name].read_bytes().splitlines()[0])["label"]
        assert [{key: item[key] for key in ("confidence", *further) if key in item} for item in objects] == [
            {"confidence": 0.5, "attributes": {"hull": 'grey, "old"'}, **anna},
            {},
            {"origin": "prediction"},
        ]
    assert b"anna" not in paths["detection_mltable"].read_bytes()


def test_version_of_the_model_is_in_every_format_and_a_column_only_where_there_is_one(tmp_path: Path) -> None:
    boat = Annotation("boat", BOX, 0.5, provenance=replace(MODEL, model_version="=yolo, 3"))
    moved = Annotation("boat", BOX, provenance=replace(ANNA, model_version="yolo 2"))
    night = Annotation("=night", WholeImage(), 0.25, provenance=replace(MODEL, model_version="tags"))
    own = Annotation("boat", BOX, provenance=Provenance("ben", origin=Origin.PERSON))
    images = [LabeledImage("a", SIZE, (boat, moved, night)), LabeledImage("b", SIZE, (own,)), LabeledImage("c", SIZE)]
    paths = written(tmp_path, *images)

    table = read_labels_csv(paths["csv"])
    assert list(table.columns)[-2:] == ["origin", "model_version"]
    assert list(zip(table["label"], table["origin"], table["model_version"], strict=True)) == [
        ("=night", "prediction", "tags"),
        ("boat", "prediction", "=yolo, 3"),
        ("boat", "corrected", "yolo 2"),
        ("boat", "person", ""),
        ("", "", ""),
    ]
    coco = json.loads(paths["coco"].read_bytes())
    assert [record.get("model_version") for record in coco["annotations"]] == ["=yolo, 3", "yolo 2", None]
    assert coco["images"][0]["labels"][0]["model_version"] == "tags"
    for name in ("detection", "segmentation"):
        objects = [item for line in paths[name].read_bytes().splitlines() for item in json.loads(line)["label"]]
        assert [item.get("model_version") for item in objects] == ["=yolo, 3", "yolo 2", None]

    (tmp_path / "own").mkdir()
    head = written(tmp_path / "own", images[1])["csv"].read_bytes().splitlines()[0]
    assert head.endswith(b",labeler,labeled_at,origin")


def test_platform_is_at_every_object_and_label_of_an_image(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    night = Annotation("=night", WholeImage(), provenance=Provenance("ben", NOON))
    images = [
        LabeledImage("a", SIZE, (Annotation("boat", BOX, provenance=ANNA), Annotation("boat", BOX), night)),
        LabeledImage("b", SIZE),
        LabeledImage("c", SIZE, (Annotation("boat", BOX),)),
    ]
    spool.put_page(1, images[:2])
    spool.put_page(2, images[2:])  # nothing is known of its objects
    stock = [StockedImage(n, image.name, image.size, "https://s/x") for n, image in enumerate(images, 1)]
    formats = ["csv", "coco", "detection", "segmentation"]
    paths = write_many(formats, spool.delivered(stock), SCHEMA, title="t", folder=tmp_path, platform="cvat")

    table = read_labels_csv(paths["csv"])
    assert list(table.columns)[-2:] == ["origin", "platform"]
    assert dict(zip(table["file_name"] + table["label"], table["platform"], strict=True)) == {
        "a=night": "cvat", "aboat": "cvat", "b": "", "cboat": "cvat",
    }  # fmt: skip
    coco = json.loads(paths["coco"].read_bytes())
    assert [record["platform"] for record in coco["annotations"]] == ["cvat"] * 3
    assert coco["annotations"][0]["labeler"] == "anna@example.com"
    assert coco["images"][0]["labels"][0]["platform"] == "cvat"
    for name in ("detection", "segmentation"):
        objects = [item for line in paths[name].read_bytes().splitlines() for item in json.loads(line)["label"]]
        assert [item["platform"] for item in objects] == ["cvat"] * 3


def test_models_of_several_pages_are_told_apart(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    versions = ["m-1", "m-2", "m-1", None]
    for page, version in enumerate(versions, 1):
        provenance = Provenance(origin=Origin.PREDICTION, model_version=version)
        spool.put_page(page, [LabeledImage(str(page), SIZE, (Annotation("boat", BOX, provenance=provenance),))])
    delivered = spool.delivered([StockedImage(n, str(n), SIZE, "") for n in (4, 3, 2, 1)])
    assert delivered.names_models
    (batch,) = delivered.batches()
    assert batch.provenance is not None
    read = [batch.provenance.reader().of(row).model_version for row in batch.provenance.rows.tolist()]
    assert read == versions[::-1]


def test_page_with_provenance_of_the_version_before_is_the_same_without_models(tmp_path: Path) -> None:
    """Its rows have the layout of before, and nothing about models is in its index."""
    spool = Spool(tmp_path)
    spool.put_page(1, [LabeledImage("a", SIZE, (Annotation("boat", BOX, provenance=ANNA),))])
    data = (tmp_path / "page-000001.labels").read_bytes()
    assert b"models" not in data
    assert b"anna@example.com" in data
    assert ROW.itemsize == 32


def test_only_predictions_have_a_model() -> None:
    for origin in (None, Origin.PERSON):
        with pytest.raises(ValueError, match="a model's version is for predictions"):
            Provenance(origin=origin, model_version="m")
    assert Provenance(origin=Origin.PREDICTION, model_version="").model_version is None


def test_csv_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    columns = "image_id,file_name,image_width,image_height,label,confidence,xmin,ymin,xmax,ymax,polygon"
    (tmp_path / "old.csv").write_text(f"{columns}\r\n1,'=a.png,10,10,boat,0.5,1.0,2.0,3.0,4.0,\r\n")
    table = read_labels_csv(tmp_path / "old.csv")
    assert table.loc[0, ["file_name", "label", "confidence"]].tolist() == ["=a.png", "boat", 0.5]


def test_page_without_provenance_is_the_same_as_in_the_version_before(tmp_path: Path) -> None:
    golden = Path(__file__).parent / "pages" / "page-000002.labels"
    shutil.copy(golden, tmp_path)
    spool = Spool(tmp_path)
    images = list(spool.images())
    assert [image.name for image in images] == ["a/first.jpg", "b/пустой снимок #1.PNG", "=cmd,.jpeg"]
    assert [image.state for image in images] == [ImageState.LABELED, ImageState.EMPTY, ImageState.LABELED]
    assert images[0].annotations == (
        Annotation("car", Box(0.25, 1, 640, 480), 0.3, {"colour": "red"}),
        Annotation("ночь", WholeImage(), 0.75, {"sky": "ü"}),
        Annotation("vehicle", Box(10, 20.5, 30.25, 40)),
    )
    assert [type(annotation.shape) for annotation in images[2].annotations] == [Polygon, MultiPolygon, Mask]
    assert {p for image in images for p in provenances(image)} == {UNKNOWN}
    left_out = [ShapeNotice("polyline", "a/first.jpg", "object 3")]
    left_out += [ShapeNotice("cut to its image", "=cmd,.jpeg", "object 1", dropped=False)]
    excluded = [ExcludedImage("last.png", ImageState.SKIPPED, "skipped in job 4", "remote-4")]
    excluded += [ExcludedImage("gone.png", ImageState.GONE)]
    assert (list(spool.left_out()), list(spool.excluded())) == (left_out, excluded)
    stock = [StockedImage(n, image.name, image.size, "") for n, image in enumerate(images, 1)]
    assert [batch.provenance for batch in spool.delivered(stock).batches()] == [None]

    spool.put_page(2, images, left_out=left_out, excluded=excluded)
    assert (tmp_path / golden.name).read_bytes() == golden.read_bytes()


def test_page_cut_within_its_provenance_is_damaged(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put_page(1, [LabeledImage("a", SIZE, (Annotation("boat", BOX, provenance=ANNA),))])
    page = tmp_path / "page-000001.labels"
    data = page.read_bytes()
    assert b"anna@example.com" in data
    page.write_bytes(data.replace(b'"provenance":true', b'"provenance":null'))
    with pytest.raises(SpoolDamaged, match="sizes do not add up"):
        list(spool.images())


def test_times_are_kept_in_utc_and_need_a_time_zone() -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    assert Provenance(changed_at=tokyo).changed_at is not None
    assert Provenance(changed_at=tokyo).labeled_at.isoformat() == "2026-11-29T12:00:00.123456+00:00"  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="has no time zone"):
        Provenance(created_at=NOON.replace(tzinfo=None))
    for seconds in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="number of seconds"):
            Provenance(seconds=seconds)


def test_annotations_are_equal_whoever_made_them() -> None:
    assert Annotation("boat", BOX, provenance=ANNA) == Annotation("boat", BOX, provenance=MODEL)
    assert Annotation("boat", BOX, provenance=ANNA).labeled_at == NOON + timedelta(hours=1)
    assert (Annotation("boat", BOX).labeler, Annotation("boat", BOX, provenance=MODEL).origin) == (None, "prediction")


def test_state_of_a_labeled_image_follows_its_annotations() -> None:
    boat = (Annotation("boat", BOX),)
    assert LabeledImage("a", SIZE).state is ImageState.EMPTY
    assert LabeledImage("a", SIZE, boat, state=ImageState.EMPTY).state is ImageState.LABELED
    assert LabeledImage("a", SIZE, state=ImageState.ACCEPTED).state is ImageState.ACCEPTED
    with pytest.raises(ValueError, match="an image that is skipped has no labels"):
        LabeledImage("a", SIZE, boat, state=ImageState.SKIPPED)
