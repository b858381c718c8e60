"""The parts of Remo's adapter that need no server: names, forms, spellings, and lists read as they come."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelwright.domain import Box, Polygon, Size
from labelwright.platforms.errors import PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.multipart import Form, FormFile
from labelwright.platforms.protocol import RemoteImage
from labelwright.platforms.remo.labels import Reading, objects_of
from labelwright.platforms.remo.models import (
    RemoClassCount,
    annotation_set_from,
    class_from,
    content_from,
    dataset_from,
    image_from,
    upload_from,
)
from labelwright.platforms.remo.names import ENDINGS, FORMATS, Spelling, class_name, file_name, our_name
from labelwright.platforms.shape_notices import ShapeNotices

from .server import read_form

NAMES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), min_size=1, max_size=60)


@given(NAMES, st.sampled_from(sorted(FORMATS)))
def test_a_name_comes_back_as_it_was_and_is_one_that_remo_takes(name, kind):
    sent = file_name(name, kind)
    assert our_name(sent) == name
    assert not re.search(r'[/\\"&<>:*?|\x00-\x1f]', sent)
    assert not sent.startswith((" ", "."))
    assert sent.lower().endswith(ENDINGS)


@given(st.lists(NAMES, unique=True, max_size=5))
def test_two_names_are_never_sent_as_one(names):
    assert len({file_name(name, "JPEG") for name in names}) == len(names)


def test_plain_names_are_sent_as_they_are():
    for name in ("photo-001.jpg", "река 1.PNG", "a.b.tiff", "x+y (2).jpeg"):
        assert file_name(name, "JPEG") == name


@pytest.mark.parametrize("label", ["black Cat", "ΣΊΣΥΦΟΣ", "straße", "İstanbul", "BUOY", "two  blanks"])
def test_a_label_is_found_again_from_what_remo_makes_of_it(label):
    spelling = Spelling([label, "other"])
    assert spelling(class_name(label)) == label
    assert spelling(label) == label
    assert spelling("Unknown") == "Unknown"


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.text(max_size=20)), st.data())
def test_a_form_is_read_as_it_was_written(fields, data):
    fields = {name: value.replace("\r", "").replace("\n", "") for name, value in fields.items()}
    files = [(f"{number}.png", data.draw(st.binary(max_size=70_000))) for number in range(2)]
    form = Form(
        fields, [FormFile(name, lambda body=body: io.BytesIO(body), len(body), "files") for name, body in files]
    )
    written = b"".join(form.open())
    assert len(written) == len(form.open())
    assert read_form(form.content_type, written) == (fields, files)
    stream, parts = form.open(), []
    while part := stream.read(data.draw(st.integers(1, 50_000))):
        parts.append(part)
    assert b"".join(parts) == written


def listed(text: str, monkeypatch: Any, chunk: int) -> list[Any]:
    monkeypatch.setattr("labelwright.platforms.remo.labels._CHUNK", chunk)
    return [item for item, _ in objects_of(io.BytesIO(text.encode()), "read")]


ITEMS = [{"file_name": "ünter река.png", "annotations": [{"classes": ["Dog"], "n": [1, -2.5e3]}]}, {}, {"a": "],[{"}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 20])
def test_a_list_is_read_object_by_object_wherever_it_is_cut(monkeypatch, chunk, indent):
    assert listed(json.dumps(ITEMS, indent=indent, ensure_ascii=False), monkeypatch, chunk) == ITEMS
    assert listed(" [ ] \n", monkeypatch, chunk) == []


@pytest.mark.parametrize("chunk", [1, 1 << 20])
@pytest.mark.parametrize(
    "text", ["", "[", "{}", '[{"a": 1}', '[{"a": 1},,]', '[{"a": 1} {"b": 2}]', "[{]", '[{"a": 1}] x', '[{"a']
)
def test_a_list_that_broke_off_or_is_none_may_be_asked_for_again(monkeypatch, text, chunk):
    with pytest.raises(PlatformUnavailable, match="no whole JSON list"):
        listed(text, monkeypatch, chunk)


def kept(*items: dict[str, Any]) -> Reading:
    reading = Reading()
    for item in items:
        reading.keep(Fields("remo", "read", item), json.dumps(item))
    return reading


def test_labels_are_read_page_by_page_and_images_without_objects_are_kept():
    box = {"classes": ["Dog", "cat"], "bbox": {"xmin": 11, "ymin": 12, "xmax": 1, "ymax": 2}}
    outline = {"classes": ["Dog"], "segments": [{"x": 1, "y": 2}, {"x": 9, "y": 2}, {"x": 9, "y": 8}]}
    reading = kept(
        {"file_name": "a.png", "annotations": [box, outline]}, {"file_name": "other.png", "annotations": [box]}
    )
    for number, name in enumerate(("a.png", "b.png", "a.png"), 7):
        reading.add(RemoteImage("7" if name == "a.png" else str(number), name, 40, 30))
    (first,), _, more = reading.page(0, 1, Spelling(["dog"]), ShapeNotices())
    assert more
    assert [(item.label, item.shape) for item in first.annotations] == [
        ("dog", Box(1, 2, 11, 12)),
        ("cat", Box(1, 2, 11, 12)),
        ("dog", Polygon(((1, 2), (9, 2), (9, 8)))),
    ]
    (second,), _, more = reading.page(1, 1, Spelling([]), ShapeNotices())
    assert (second.name, second.remote_id, second.size, second.annotations, more) == (
        "b.png",
        "8",
        Size(40, 30),
        (),
        False,
    )
    reading.close()


def test_an_object_that_cannot_be_kept_blocks_no_other_one():
    def outline(*points: tuple[float, float], classes: tuple[str, ...] = ("Dog",)) -> dict[str, Any]:
        return {"classes": list(classes), "segments": [{"x": x, "y": y} for x, y in points]}

    annotations = [
        outline((0, 0), (9, 9), (9, 0), (0, 9)),
        outline((1, 1), (9, 1), (5, 8)),
        outline((1, 1), (9, 1), (5, 8), classes=()),
        outline((50, 1), (59, 1), (55, 8)),
        {"classes": ["Dog"], "segments": [{"x": 1}]},
        outline((20, 0), (60, 0), (60, 20), (40, 10), (20, 20)),
        outline((1, 1), (9, 1), (9, 1), (5, 8)),
    ]
    reading = kept({"file_name": "a.png", "annotations": annotations})
    reading.add(RemoteImage("7", "a.png", 40, 30))
    notices = ShapeNotices()
    (image,), _, _ = reading.page(0, 1, Spelling(["dog"]), notices)
    assert [item.shape for item in image.annotations] == [
        Polygon(((1, 1), (9, 1), (5, 8))),
        Polygon(((20, 0), (40, 0), (40, 10), (20, 20))),
        Polygon(((1, 1), (9, 1), (5, 8))),
    ]
    assert [(item.reason, item.dropped) for item in notices.checked()] == [
        ("crosses itself", True),
        ("no class", True),
        ("outside its image", True),
        ("malformed", True),
        ("cut to its image", False),
    ]
    assert "annotations[0] of image 'a.png': polygon crosses itself" in notices.checked()[0].detail
    reading.close()


def test_duplicate_file_name_in_an_export_is_refused():
    with pytest.raises(PlatformRefused, match="second time"):
        kept({"file_name": "a.png", "annotations": []}, {"file_name": "a.png", "annotations": []})


@pytest.mark.parametrize(
    ("statistics", "looked_at", "complete"),
    [
        ({"done_count": 0, "skipped_count": 0, "todo_count": 0, "annotated_images_count": 0}, 0, False),
        ({"done_count": 2, "skipped_count": 1, "todo_count": 0, "annotated_images_count": 0}, 3, True),
        ({"done_count": 3, "skipped_count": 0, "todo_count": 1, "annotated_images_count": 3}, 3, False),
        ({"done_count": 3, "skipped_count": 1, "todo_count": 0, "annotated_images_count": 3}, 3, True),
        ({"done_count": 2, "skipped_count": 0, "todo_count": 1, "annotated_images_count": 3}, 2, False),
        ({"skipped_count": 1, "annotated_images_count": 2}, 3, True),
        ({"skipped_count": 2, "annotated_images_count": 2}, 3, True),
        ({"skipped_count": 0, "annotated_images_count": 2}, 2, False),
        ({"annotated_images_count": 3}, 3, True),
    ],
)
def test_done_is_decided_by_what_was_counted_and_never_by_is_completed(statistics, looked_at, complete):
    message = {"id": 1, "name": "x", "task": {"name": "Object detection"}, "total_images": 3, "statistics": statistics}
    for says in (True, False):
        result = annotation_set_from(Fields("remo", "list", {**message, "is_completed": says}))
        assert (result.looked_at, result.complete, result.says_it_is_completed) == (looked_at, complete, says)


def test_a_set_without_images_is_never_complete():
    statistics = {"done_count": 0, "skipped_count": 0, "todo_count": 0, "annotated_images_count": 0}
    message = {"id": 1, "name": "x", "task": "Object detection", "total_images": 0, "statistics": statistics}
    assert not annotation_set_from(Fields("remo", "list", message)).complete


def test_an_upload_tells_what_was_left_out_and_why():
    message = {
        "session_id": "s",
        "status": "failed",
        "images": {
            "successful": 1,
            "errors": [{"filename": "a.png", "errors": ["not added (Duplicated image)", "odd"]}],
        },
        "errors": [
            {"type": "file", "value": "b.webp", "error": "File content type not supported"},
            {"url": "http://x/absent.jpg", "error": "invalid URL"},
            {"type": "error", "error": "disk full"},
        ],
    }
    result = upload_from(Fields("remo", "read", message))
    assert result.left_out == (
        ("a.png", "odd"),
        ("b.webp", "File content type not supported"),
        ("http://x/absent.jpg", "invalid URL"),
    )
    assert (result.added, result.message, result.over, result.running) == (1, "disk full", True, False)


TRAFFIC = Path(__file__).with_name("traffic")


def recorded(path: str) -> list[dict[str, Any]]:
    """The results of every recorded list at an address, of both generations."""
    result: list[dict[str, Any]] = []
    for file in sorted(TRAFFIC.glob("*.json")):
        for item in json.loads(file.read_text(encoding="utf-8")):
            response = item["response"]
            if item["method"] == "GET" and re.fullmatch(path, item["path"]) and isinstance(response, dict):
                result += response.get("results", [])
    assert result, path
    return result


@pytest.mark.parametrize(
    ("path", "created"),
    [
        (r"/api/v1/ui/datasets/", dataset_from),
        (r"/api/v1/ui/datasets/\d+/annotation-sets/", annotation_set_from),
        (r"/api/v1/sdk/datasets/\d+/images/", image_from),
        (r"/api/v1/ui/annotation-sets/\d+/images/", image_from),
        (r"/api/v1/ui/annotation-sets/\d+/tags/", class_from),
        (r"/api/common-class/", class_from),
    ],
)
def test_what_is_listed_keeps_every_field_of_the_answer(path: str, created: Any) -> None:
    for item in recorded(path):
        assert created(Fields("remo", "list", item)).raw == item


def test_contents_keep_every_field_of_folders_and_images() -> None:
    for item in recorded(r"/api/v1/ui/datasets/\d+/contents/(\d+/)?"):
        inner = item[item["record_type"]]
        result = content_from(Fields("remo", "list", item))
        assert (result.raw, result.created_at, result.preview) == (inner, inner["created_at"], inner["preview"])


def test_what_is_known_of_the_answers_has_a_type() -> None:
    dataset = dataset_from(Fields("remo", "list", recorded(r"/api/v1/ui/datasets/")[0]))
    assert (dataset.owner, dataset.size_in_bytes is not None, len(dataset.image_thumbnails)) == ("Unknown", True, 4)
    assert dataset.created_at < dataset.updated_at
    (boxes,) = [
        one
        for item in recorded(r"/api/v1/ui/datasets/\d+/annotation-sets/")
        if (one := annotation_set_from(Fields("remo", "list", item))).name == "Round 1"
    ][:1]
    assert (boxes.top3_classes, boxes.total_classes) == ((RemoClassCount("Dog", 1),), 2)
    assert boxes.last_annotated_date.startswith("2026-11-22")
    created = {
        "id": 3,
        "name": "Life",
        "top3_classes": ["dog"],
        "total_classes": None,
        "owner": 7,
    }  # described otherwise
    odd = dataset_from(Fields("remo", "create", created))
    assert (odd.top3_classes, odd.total_classes, odd.owner) == ((RemoClassCount("dog", 0),), None, "")
