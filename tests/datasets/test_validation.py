"""Nothing unfit is registered, and everything that is wrong is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_samples import IMAGES, SCHEMA, STOCK, delivered

from labelwright.datasets import (
    Spool,
    StockedImage,
    ValidationFailed,
    ValidationPassed,
    count,
    dataset_receipt,
    validate_labels,
)
from labelwright.domain import (
    Annotation,
    Box,
    ExcludedImage,
    ImageState,
    LabeledImage,
    LeftOutCounts,
    Mask,
    Polygon,
    Size,
    WholeImage,
)


def refused(tmp_path: Path, images: list[LabeledImage], **expected: int) -> dict[str, list[str]]:
    spool = Spool(tmp_path)
    spool.put_page(1, images)
    with pytest.raises(ValidationFailed) as caught:
        validate_labels(spool.delivered(STOCK), SCHEMA, **expected)
    return {finding.kind: finding.examples for finding in caught.value.findings}


def with_(annotation: Annotation) -> list[LabeledImage]:
    return [LabeledImage(STOCK[0].name, STOCK[0].size, (annotation,)), *IMAGES[1:]]


def test_good_labels_pass_and_are_counted(tmp_path: Path) -> None:
    assert validate_labels(delivered(tmp_path), SCHEMA, expected_done=4, expected_objects=7) == ValidationPassed(4, 7)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path, IMAGES[1:]) == {"missing": ["a/first.jpg"]}


def test_an_excluded_image_is_missing_for_a_reason_and_counts(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put_page(1, IMAGES[1:], excluded=[gone(STOCK[0].name)])
    labels = spool.delivered(STOCK)
    assert validate_labels(labels, SCHEMA, expected_done=4) == ValidationPassed(3, 4, 1)
    assert [image.name for image in labels.images()] == [image.name for image in STOCK[1:]]
    findings = refused(tmp_path, IMAGES[1:], expected_done=4)  # the same without a reason
    assert findings == {"missing": ["a/first.jpg"], "count": ["3 images were read, the platform counts 4"]}


def test_an_image_that_is_labeled_and_excluded_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put_page(1, IMAGES)
    spool.put_page(2, (), excluded=[gone(STOCK[0].name)])  # deleted while the pages were read
    with pytest.raises(ValidationFailed, match="labeled and excluded") as caught:
        validate_labels(spool.delivered(STOCK), SCHEMA)
    assert caught.value.findings[0].examples == ["a/first.jpg: gone from the platform, and it has labels"]


def test_a_campaign_with_all_images_excluded_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    excluded = [gone(STOCK[0].name), *(ExcludedImage(image.name, ImageState.SKIPPED) for image in STOCK[1:])]
    spool.put_page(1, (), excluded=excluded)
    with pytest.raises(ValidationFailed, match="1 gone from the platform, 3 skipped") as caught:
        validate_labels(spool.delivered(STOCK), SCHEMA, expected_done=4)
    assert "labelwright cancel" in str(caught.value)


def gone(name: str) -> ExcludedImage:
    return ExcludedImage(name, ImageState.GONE, "frame 0 of task 1 was deleted in CVAT", "1/0")


def test_an_unknown_image_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path, [*IMAGES, LabeledImage("x.png", Size(1, 1))]) == {"unknown": ["x.png"]}


def test_an_image_delivered_twice_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path, [*IMAGES, IMAGES[2]]) == {"repeated": ["=cmd,.jpeg"]}


def test_a_manifest_that_holds_an_image_twice_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put_page(1, IMAGES)
    again = StockedImage(5, STOCK[1].name, STOCK[1].size, "")
    with pytest.raises(ValidationFailed, match="listed twice in the manifest"):
        validate_labels(spool.delivered([*STOCK, again]), SCHEMA)


def test_swapped_width_and_height_are_reported(tmp_path: Path) -> None:
    first = LabeledImage(STOCK[0].name, Size(480, 640), IMAGES[0].annotations)
    findings = refused(tmp_path, [first, *IMAGES[1:]])
    assert findings == {"size": ["a/first.jpg: 480 x 640 on the platform, 640 x 480 in the manifest"]}


def test_a_size_that_the_platform_does_not_know_is_that_of_the_manifest(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put_page(1, [LabeledImage(STOCK[0].name, None, IMAGES[0].annotations), *IMAGES[1:]])
    validate_labels(spool.delivered(STOCK), SCHEMA)
    assert next(iter(spool.images())).size is None


@pytest.mark.parametrize(
    "shape",
    [
        Box(0, 0, 640.001, 480),
        Box(-0.001, 0, 5, 5),
        Box(0, 0, 5, 481),
        Polygon(((1, 1), (650, 2), (3, 9))),
        Mask(((1, 0, 2), (480, 1, 2))),
    ],
)
def test_a_shape_that_leaves_its_image_is_refused(tmp_path: Path, shape: Box | Polygon | Mask) -> None:
    findings = refused(tmp_path, with_(Annotation("vehicle", shape)))
    assert list(findings) == ["outside"]
    assert findings["outside"][0].startswith("a/first.jpg (640 x 480): vehicle [")


def test_a_label_beside_the_schema_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, with_(Annotation("cat", Box(0, 0, 1, 1)))) == {"label": ["a/first.jpg (640 x 480): cat"]}
    assert list(refused(tmp_path, with_(Annotation("cat", WholeImage())))) == ["label"]


@pytest.mark.parametrize(
    ("label", "shape"),
    [
        ("car", Polygon(((1, 1), (5, 1), (3, 9)))),
        ("car", WholeImage()),
        ("car", Mask(((1, 0, 2), (3, 1, 2)))),
        ('river, "wide"', Box(0, 0, 1, 1)),
        ("ночь", Box(0, 0, 1, 1)),
    ],
)
def test_a_label_drawn_as_the_schema_forbids_is_refused(tmp_path: Path, label: str, shape) -> None:
    assert list(refused(tmp_path, with_(Annotation(label, shape)))) == ["geometry"]


def test_counts_must_be_the_platforms(tmp_path: Path) -> None:
    findings = refused(tmp_path, IMAGES, expected_done=5, expected_objects=8)
    assert findings == {
        "count": ["4 images were read, the platform counts 5", "7 annotations were read, the platform counts 8"]
    }


def test_twenty_examples_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put_page(1, [LabeledImage(f"{n}.png", Size(1, 1)) for n in range(50)])
    with pytest.raises(ValidationFailed) as caught:
        validate_labels(spool.delivered(STOCK), SCHEMA)
    message = str(caught.value)
    assert "50 x labeled images that the campaign does not have. Next: " in message
    assert "... and 30 more" in message
    assert "4 x images without labels" in message


def test_statistics_count_labels_and_images(tmp_path: Path) -> None:
    statistics = count(delivered(tmp_path), SCHEMA)
    assert statistics.to_table() == [
        {"label": "vehicle", "objects": 2, "images": 2},
        {"label": "car", "objects": 2, "images": 2},
        {"label": 'river, "wide"', "objects": 1, "images": 1},
        {"label": "=SUM(A1)", "objects": 1, "images": 1},
        {"label": "ночь", "objects": 1, "images": 1},
    ]
    assert (
        statistics.images,
        statistics.images_without_objects,
        statistics.objects,
        statistics.whole_image_labels,
    ) == (4, 1, 6, 1)


def test_the_receipt_lists_few_images_and_sums_up_many(tmp_path: Path) -> None:
    statistics = count(delivered(tmp_path / "spool"), SCHEMA)
    manifest = tmp_path / "t_images.csv"
    manifest.write_text("x")
    few = dataset_receipt(
        campaign={"title": "t"},
        platform="p",
        stock=STOCK,
        statistics=statistics,
        code_version="1",
        images_manifest=manifest,
        left_out=LeftOutCounts({"polyline": 3}),
    )
    assert few["left_out"] == {"shapes": {"polyline": 3}, "changed": {}}
    assert few["images"]["sha256"] == {image.name: image.sha256 for image in STOCK}
    assert few["images"]["manifest"]["file"] == "t_images.csv"
    assert few["labels"]["objects"] == 6
    many = [StockedImage(n, f"{n}", Size(1, 1), f"{n:064x}") for n in range(1001)]
    summed = dataset_receipt(campaign={}, platform="p", stock=many, statistics=statistics, code_version="1")
    assert summed["images"]["count"] == 1001
    assert "sha256" not in summed["images"]


def test_a_receipt_lists_excluded_images_and_counts_them_by_state(tmp_path: Path) -> None:
    many = [ExcludedImage(f"{n}.jpg", ImageState.SKIPPED, "skipped in Remo") for n in range(1500)]
    receipt = dataset_receipt(
        campaign={},
        platform="p",
        stock=STOCK[1:],
        statistics=count(delivered(tmp_path), SCHEMA),
        code_version="1",
        excluded=[gone(STOCK[0].name), *many],
    )
    assert receipt["images"]["count"] == 3
    excluded = receipt["excluded"]
    assert (excluded["count"], excluded["by_state"]) == (1501, {"gone from the platform": 1, "skipped": 1500})
    assert len(excluded["images"]) == 1000
    assert excluded["images"][0] == {
        "image": STOCK[0].name,
        "state": "gone from the platform",
        "reason": "frame 0 of task 1 was deleted in CVAT",
    }
