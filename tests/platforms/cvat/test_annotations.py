"""Annotations of CVAT become our labels: what each shape means, and what is left out with its reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from labelwright.domain import (
    Annotation,
    Box,
    ImageState,
    InvalidShape,
    LabeledImage,
    Mask,
    MultiPolygon,
    Origin,
    Polygon,
    Provenance,
    Size,
    WholeImage,
)
from labelwright.domain.geometry import rotated
from labelwright.platforms.cvat.annotations import Malformed, Reader, shape_from, to_cvat_shapes
from labelwright.platforms.cvat.masks import mask_to_points, mask_to_shape, points_to_bits
from labelwright.platforms.cvat.models import CvatFrame, CvatFrames, CvatJob, JobState, Stage
from labelwright.platforms.cvat.schema import CvatLabel, CvatLabels
from labelwright.platforms.cvat.tracks import shapes_of

LABELS = CvatLabels((CvatLabel(5, "car", "any", {"occluded_by": 3, "plate": 4}), CvatLabel(8, "night", "tag", {})))


def reader(frames: int = 3, deleted: frozenset[int] = frozenset()) -> Reader:
    shown = CvatFrames(tuple(CvatFrame(f"{n}.jpg", 320, 240) for n in range(frames)), deleted)
    return Reader(7, LABELS, shown, {n: f"{n}.jpg" for n in range(frames)})


def shape(frame: int = 0, kind: str = "rectangle", points: Any = (10, 20, 110, 120), **more: Any) -> dict[str, Any]:
    return {"id": 1, "type": kind, "frame": frame, "label_id": 5, "points": list(points), "attributes": [], **more}


def read(*shapes: Any, tags: Any = (), tracks: Any = (), frames: int = 3) -> tuple[list[LabeledImage], Reader]:
    result = reader(frames)
    response = {"shapes": list(shapes), "tags": list(tags), "tracks": list(tracks)}
    return list(result.images(response, range(frames), range(frames))), result


def only(*shapes: Any, **more: Any) -> Annotation:
    images, result = read(*shapes, **more)
    ((annotation,),) = [image.annotations for image in images if image.annotations]
    assert result.skipped == []
    return annotation


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("manual", Origin.PERSON),
        ("auto", Origin.PREDICTION),
        ("semi-auto", Origin.CORRECTED),
        ("file", None),
        (7, None),
    ],
)
def test_source_tells_the_origin(source: object, origin: Origin | None) -> None:
    assert only(shape(source=source)).provenance == Provenance(origin=origin)


def job(start: int, stop: int, name: str, stage: Stage = Stage.ANNOTATION) -> CvatJob:
    return CvatJob(start + 1, 7, start, stop, stage, JobState.COMPLETED, 1, name)


def test_labeler_is_the_assignee_and_unknown_after_a_review_or_where_jobs_differ() -> None:
    jobs = [job(0, 1, "anna"), job(1, 2, "ben"), job(3, 3, "rita", Stage.ACCEPTANCE)]
    payload = {"shapes": [shape(frame, source="manual", id=frame) for frame in range(4)]}

    def read_with(reviewed: bool) -> list[tuple[str | None, ImageState]]:
        result = reader(4)
        result = Reader(7, LABELS, result.frames, result.names, work=jobs, reviewed=reviewed)
        images = result.images(payload, range(4), range(4))
        return [(image.annotations[0].labeler, image.state) for image in images]

    labeled, accepted = ImageState.LABELED, ImageState.ACCEPTED
    assert read_with(True) == [("anna", labeled), (None, labeled), ("ben", labeled), (None, accepted)]
    assert read_with(False)[3] == ("rita", labeled), "Labelwright itself accepted the job when it finished the campaign"


def test_a_rectangle_is_a_box_whichever_corner_was_first() -> None:
    assert only(shape(points=(110, 120, 10, 20))) == Annotation("car", Box(10, 20, 110, 120))


def test_rotated_rectangle_becomes_a_polygon_turned_clockwise() -> None:
    got = only(shape(points=(100, 100, 140, 120), rotation=90)).shape
    assert isinstance(got, Polygon)
    assert [tuple(round(value, 6) for value in point) for point in got.points] == [
        (130, 90),
        (130, 130),
        (110, 130),
        (110, 90),
    ]
    assert only(shape(rotation=360)).shape == Box(10, 20, 110, 120)


@given(st.floats(0.5, 359.5))
def test_a_turned_rectangle_keeps_its_area(degrees: float) -> None:
    assert rotated(Box(10, 20, 50, 40), degrees).area == pytest.approx(800)


def test_a_rotated_rectangle_is_cut_at_the_edge_of_its_image() -> None:
    images, result = read(shape(points=(300, 100, 360, 120), rotation=45))
    (annotation,) = images[0].annotations
    assert annotation.shape.inside(images[0].size)
    assert "reached beyond its image" in str(result.skipped[0])
    assert not result.skipped[0].malformed


def test_a_polygon_keeps_its_corners() -> None:
    got = only(shape(kind="polygon", points=(0, 200, 320, 200, 320, 240, 0, 240)))
    assert got.shape == Polygon(((0, 200), (320, 200), (320, 240), (0, 240)))


def test_a_corner_that_was_clicked_twice_counts_once() -> None:
    got = only(shape(kind="polygon", points=(0, 0, 9, 0, 9, 0, 5, 8)))
    assert got.shape == Polygon(((0, 0), (9, 0), (5, 8)))


def test_a_tag_is_of_the_whole_image() -> None:
    got = only(tags=[{"id": 1, "label_id": 8, "frame": 2, "attributes": []}])
    assert got == Annotation("night", WholeImage())


def test_attributes_bear_their_names_and_empty_ones_are_none() -> None:
    payload = [{"spec_id": 4, "value": ""}, {"spec_id": 3, "value": "tree"}, {"spec_id": 99, "value": "x"}]
    assert dict(only(shape(attributes=payload)).attributes) == {"occluded_by": "tree"}


def test_prediction_scores_are_kept_where_supported() -> None:
    assert only(shape(score=0.25)).confidence == 0.25
    assert only(shape(score=7)).confidence == only(shape()).confidence == 1
    assert only(shape(score=0.25, source="auto")).confidence == 0.25
    assert only(shape(score=0.25, source="semi-auto")).confidence == 1


def test_annotations_come_in_the_order_in_which_they_were_made() -> None:
    tag = {"id": 1, "label_id": 8, "frame": 0}
    images, _ = read(shape(id=9, points=(1, 1, 2, 2)), shape(id=4, points=(3, 3, 4, 4)), tags=[tag])
    assert [annotation.label for annotation in images[0].annotations] == ["car", "car", "night"]
    assert images[0].annotations[0].shape == Box(3, 3, 4, 4)


def test_only_large_cuts_at_the_image_edge_are_reported() -> None:
    images, result = read(shape(points=(-0.6, 0, 320.9, 44)))
    assert images[0].annotations[0].shape == Box(0, 0, 320, 44)
    assert result.skipped == []
    images, result = read(shape(points=(-10, -2, 3300, 44)))
    assert images[0].annotations[0].shape == Box(0, 0, 320, 44)
    assert "was cut to it" in str(result.skipped[0])


@pytest.mark.parametrize(
    ("bad", "reason", "malformed"),
    [
        (shape(points=(1, 2, 33)), "rectangle: 3 numbers instead of 4", True),
        (shape(points=("a", 2, 3, 4)), "not a list of numbers", True),
        (shape(points=(float("nan"), 2, 3, 4)), "not a list of numbers", True),
        ({**shape(), "points": None}, "not a list of numbers", True),
        (shape(kind="polygon", points=(1, 2, 3, 4)), "polygon: 4 numbers", True),
        (shape(label_id=6), "its label is none of the project's", True),
        (shape(frame=99), "its frame is none of its job", True),
        (shape(points=(5, 5, 5, 9)), "box is empty", False),
        (shape(kind="polygon", points=(0, 0, 9, 9, 9, 0, 0, 9)), "crosses itself", False),
        (shape(points=(400, 400, 500, 500)), "outside the image", False),
        (shape(kind="ellipse", points=(1, 2, 3)), "ellipse: 3 numbers instead of 4", True),
        (shape(kind="ellipse", points=(9, 9, 9, 5)), "ellipse is empty", False),
        (shape(kind="polyline"), "labels here have no polyline", False),
        (shape(kind="skeleton", points=()), "labels here have no skeleton", False),
        (shape(kind="mask", points=(3, 1)), "a mask of 2 numbers", False),
    ],
)
def test_unsupported_annotation_is_skipped_with_its_location(bad: dict[str, Any], reason: str, malformed: bool) -> None:
    images, result = read(shape(id=1), {**bad, "id": 6})
    assert [len(image.annotations) for image in images] == [1, 0, 0]
    (left_out,) = result.skipped
    assert reason in str(left_out)
    assert "shape 6 of task 7, frame" in str(left_out)
    assert left_out.malformed is malformed


@pytest.mark.parametrize(
    ("bad", "counted", "dropped"),
    [
        (shape(points=(1, 2, 33)), "malformed", True),
        (shape(label_id=6), "label not in the project", True),
        (shape(frame=99), "frame not in its job", True),
        (shape(points=(5, 5, 5, 9)), "no area", True),
        (shape(kind="polygon", points=(0, 0, 9, 9, 9, 0, 0, 9)), "crosses itself", True),
        (shape(kind="polygon", points=(0, 0, 9, 9, 18, 18)), "no area", True),
        (shape(points=(400, 400, 500, 500)), "outside its image", True),
        (shape(kind="polygon", points=(320, 0, 400, 0, 400, 50)), "outside its image", True),
        (shape(kind="ellipse", points=(400, 100, 440, 80)), "outside its image", True),
        (shape(kind="polyline"), "polyline", True),
        (shape(kind="points"), "points", True),
        (shape(kind="cuboid", points=range(16)), "cuboid", True),
        ({**shape(kind="skeleton"), "points": None}, "skeleton", True),
        (shape(kind="spline"), "unknown type", True),
        (shape(kind="mask", points=(25, 0, 0, 4, 4)), "no area", True),
        (shape(kind="polygon", points=(300, 0, 400, 0, 400, 100, 310, 50, 300, 100)), "cut to its image", False),
    ],
)
def test_what_is_left_out_is_counted_in_few_words(bad: dict[str, Any], counted: str, dropped: bool) -> None:
    images, result = read(bad)
    (notice,) = [notice.as_notice() for notice in result.skipped]
    assert (notice.reason, notice.dropped) == (counted, dropped)
    assert sum(len(image.annotations) for image in images) == (0 if dropped else 1)


def test_a_concave_polygon_is_cut_by_geometry() -> None:
    images, _ = read(shape(kind="polygon", points=(220, 100, 520, 100, 520, 200, 270, 150, 220, 200)))
    (annotation,) = images[0].annotations
    assert annotation.shape == Polygon(((220, 100), (320, 100), (320, 160), (270, 150), (220, 200)))
    back_inside = (220, 100, 380, 100, 380, 200, 320, 150, 220, 200)
    images, _ = read(shape(kind="polygon", points=back_inside))
    assert images[0].annotations[0].shape == Polygon(((220, 100), (320, 100), (320, 150), (220, 200)))


def test_a_polygon_cut_in_two_by_the_edge_stays_one_object() -> None:
    u = (280, 100, 400, 100, 400, 200, 280, 200, 280, 180, 380, 180, 380, 120, 280, 120)
    images, result = read(shape(kind="polygon", points=u))
    (annotation,) = images[0].annotations
    assert isinstance(annotation.shape, MultiPolygon)
    assert annotation.shape.area == 40 * 20 * 2
    assert [notice.as_notice().reason for notice in result.skipped] == ["cut to its image"]


@pytest.mark.parametrize("degrees", [0, 30, 90, 200])
def test_an_ellipse_is_a_polygon_of_its_area_turned_clockwise(degrees: float) -> None:
    got = only(shape(kind="ellipse", points=(150, 120, 230, 90), rotation=degrees)).shape
    assert isinstance(got, Polygon)
    assert got.area == pytest.approx(math.pi * 80 * 30, rel=0.01)
    tip = 150 + 80 * math.cos(math.radians(degrees)), 120 + 80 * math.sin(math.radians(degrees))
    assert min(math.dist(tip, corner) for corner in got.points) < 1e-6
    # CVAT's own export draws ellipses as pixels; so does Pillow, which turns the other way around.
    drawn = Image.new("1", (320, 240))
    ImageDraw.Draw(drawn).ellipse((70, 90, 230, 150), fill=1)
    expected = np.asarray(drawn.rotate(-degrees, center=(150, 120)))
    polygon = Image.new("1", (320, 240))
    ImageDraw.Draw(polygon).polygon(got.points, fill=1)
    both = expected & np.asarray(polygon)
    assert both.sum() / (expected | np.asarray(polygon)).sum() > 0.95


def test_occluded_and_group_become_reserved_attributes() -> None:
    assert dict(only(shape(occluded=True, group=3)).attributes) == {"@occluded": "true", "@group": "3"}
    assert dict(only(shape(occluded=False, group=0)).attributes) == {}
    assert dict(only(tags=[{"id": 1, "label_id": 8, "frame": 2, "group": 7}]).attributes) == {"@group": "7"}
    moving = track(key(0, (0, 0, 9, 9), occluded=True), key(2, (0, 0, 9, 9)), group=5)
    images, _ = read(tracks=[moving], frames=3)
    hidden = {"@occluded": "true", "@group": "5"}
    assert [dict(image.annotations[0].attributes) for image in images] == [hidden, hidden, {"@group": "5"}]


def test_an_answer_of_another_form_is_read_as_far_as_it_goes() -> None:
    result = reader()
    images = list(result.images({"shapes": [None, 3], "tags": None, "tracks": "x"}, range(3), range(3)))
    assert [image.annotations for image in images] == [(), (), ()]


# Masks


def mask(rows: list[str], left: int = 0, top: int = 0) -> list[float]:
    """CVAT's points of a mask that is drawn with # in a box."""
    bits = [character == "#" for row in rows for character in row]
    runs, value, count = [], False, 0
    for bit in bits:
        if bit != value:
            runs.append(count)
            value, count = bit, 0
        count += 1
    runs.append(count)
    return [*runs, left, top, left + len(rows[0]) - 1, top + len(rows) - 1]


def test_a_masks_outline_goes_around_its_pixels() -> None:
    got = mask_to_shape(mask(["##.", "###"], left=10, top=20))
    assert isinstance(got, Polygon)
    assert set(got.points) == {(10, 20), (12, 20), (12, 21), (13, 21), (13, 22), (10, 22)}
    assert got.area == 5


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=6).filter(lambda b: any(map(any, b)))
)
def test_connected_mask_becomes_a_polygon_of_the_same_area(rows: list[list[bool]]) -> None:
    width = max(map(len, rows))
    points = mask(["".join("#" if bit else "." for bit in row).ljust(width, ".") for row in rows])
    bits, _, _ = points_to_bits(points)
    assert int(bits.sum()) == sum(map(sum, rows)) == mask_to_shape(points).area
    if isinstance(mask_to_shape(points), Mask):
        assert parts(bits) != 1 or parts(~np.pad(bits, 1)) != 1 or touches(bits)
        assert mask_to_shape(mask_to_points(mask_to_shape(points))) == mask_to_shape(points)
    else:
        assert parts(bits) == 1


def parts(bits: np.ndarray) -> int:
    """Patches of set pixels that hang together by their edges."""
    left, count = {tuple(item) for item in np.argwhere(bits).tolist()}, 0
    while left:
        count += 1
        reached = [left.pop()]
        while reached:
            y, x = reached.pop()
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    reached.append(near)
    return count


def touches(bits: np.ndarray) -> bool:
    """Whether two pixels meet at a corner alone: the outline would meet itself there."""
    a, b, c, d = bits[:-1, :-1], bits[:-1, 1:], bits[1:, :-1], bits[1:, 1:]
    return bool(((a & d & ~b & ~c) | (b & c & ~a & ~d)).any())


@pytest.mark.parametrize(
    ("rows", "runs"),
    [
        (["#.#"], ((0, 0, 1), (0, 2, 3))),
        (["###", "#.#", "###"], ((0, 0, 3), (1, 0, 1), (1, 2, 3), (2, 0, 3))),
        (["#.", ".#"], ((0, 0, 1), (1, 1, 2))),
        (["...", ".#.", "#.#"], ((1, 1, 2), (2, 0, 1), (2, 2, 3))),
    ],
    ids=["two parts", "a hole", "parts that touch at a corner", "a box that is too large"],
)
def test_a_mask_that_is_no_one_outline_keeps_its_pixels(rows: list[str], runs: Any) -> None:
    images, result = read(shape(kind="mask", points=mask(rows)))
    (annotation,) = images[0].annotations
    assert annotation.shape == Mask(runs)
    assert result.skipped == []


def test_an_empty_mask_is_left_out() -> None:
    images, result = read(shape(kind="mask", points=mask(["..."])))
    assert images[0].annotations == ()
    assert "empty" in str(result.skipped[0])


def test_a_mask_whose_runs_do_not_fit_is_refused() -> None:
    with pytest.raises(InvalidShape, match="do not fit"):
        mask_to_shape([1, 99, 0, 0, 2, 2])


def test_oversized_mask_is_refused_without_allocating_it() -> None:
    with pytest.raises(InvalidShape, match="a mask in a box of 1000000001 x 1000000001 pixels"):
        mask_to_shape([1, 1, 0, 0, 1e9, 1e9])


def test_a_mask_beyond_its_image_is_cut_by_pixels() -> None:
    images, result = read(shape(kind="mask", points=mask(["#.#.#", "#####"], left=317, top=0)))
    (annotation,) = images[0].annotations
    assert annotation.shape.area == 5
    assert annotation.shape.inside(images[0].size)
    assert [notice.as_notice().reason for notice in result.skipped] == ["cut to its image"]


# Tracks


def track(*keys: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 2, "label_id": 5, "frame": 0, "attributes": [], "shapes": list(keys), **more}


def key(frame: int, points: Any, **more: Any) -> dict[str, Any]:
    return {"type": "rectangle", "frame": frame, "points": list(points), "outside": False, "attributes": [], **more}


def test_track_is_interpolated_between_key_frames() -> None:
    moving = track(key(0, (0, 0, 10, 10)), key(2, (20, 0, 30, 10)))
    images, result = read(tracks=[moving], frames=5)
    assert [image.annotations[0].shape for image in images] == [
        Box(0, 0, 10, 10),
        Box(10, 0, 20, 10),
        Box(20, 0, 30, 10),
        Box(20, 0, 30, 10),
        Box(20, 0, 30, 10),
    ]
    assert result.skipped == []


def test_a_track_ends_with_the_job_in_which_it_was_drawn() -> None:
    """Old servers omit the end of a track when they merge all jobs of a task."""
    result = reader(6)
    result.jobs = [range(0, 3), range(3, 6)]
    drawn = {"shapes": [], "tags": [], "tracks": [track(key(1, (0, 0, 10, 10))), track(key(4, (5, 5, 9, 9)))]}
    images = list(result.images(drawn, range(6), range(6)))
    assert [len(image.annotations) for image in images] == [0, 1, 1, 0, 1, 1]
    assert result.skipped == []


def test_track_over_shared_images_ends_with_the_later_job() -> None:
    result = reader(6)
    result.jobs = [range(0, 4), range(3, 6)]
    drawn = {"shapes": [], "tags": [], "tracks": [track(key(0, (0, 0, 10, 10)), key(3, (0, 0, 10, 10)))]}
    assert [len(image.annotations) for image in result.images(drawn, range(6), range(6))] == [1] * 6


def test_of_two_key_frames_on_one_image_the_later_one_holds() -> None:
    ended = track(key(0, (0, 0, 9, 9)), key(2, (0, 0, 9, 9)), key(2, (0, 0, 9, 9), outside=True))
    images, _ = read(tracks=[ended], frames=4)
    assert [len(image.annotations) for image in images] == [1, 1, 0, 0]


def test_key_frame_without_frame_number_is_reported() -> None:
    images, result = read(tracks=[track({**key(0, (0, 0, 9, 9)), "frame": None}, key(2, (0, 0, 9, 9)))])
    assert [len(image.annotations) for image in images] == [0, 0, 1]
    assert [notice.frame for notice in result.skipped] == [-1]


def test_outside_object_is_not_visible_until_it_returns() -> None:
    moving = track(key(0, (0, 0, 10, 10)), key(1, (0, 0, 10, 10), outside=True), key(3, (5, 5, 9, 9)))
    images, _ = read(tracks=[moving], frames=4)
    assert [len(image.annotations) for image in images] == [1, 0, 0, 1]


def test_an_object_moves_until_it_leaves() -> None:
    leaving = track(key(0, (0, 0, 10, 10)), key(2, (20, 0, 30, 10), outside=True))
    images, _ = read(tracks=[leaving], frames=4)
    assert [[annotation.shape for annotation in image.annotations] for image in images] == [
        [Box(0, 0, 10, 10)],
        [Box(10, 0, 20, 10)],
        [],
        [],
    ]


def test_a_track_turns_on_the_shorter_way() -> None:
    turning = track(key(0, (0, 0, 10, 4), rotation=350), key(2, (0, 0, 10, 4), rotation=10))
    (_, middle, _) = shapes_of(turning, 2)
    assert middle["rotation"] == 0


def test_outline_with_other_corner_count_is_not_interpolated() -> None:
    first = {**key(0, (0, 0, 9, 0, 5, 8)), "type": "polygon"}
    second = {**key(2, (0, 0, 9, 0, 9, 9, 0, 9)), "type": "polygon"}
    shapes = list(shapes_of(track(first, second), 2))
    assert [len(item["points"]) for item in shapes] == [6, 6, 8]


def test_attributes_of_a_key_frame_hold_until_the_next_one() -> None:
    moving = track(
        key(0, (0, 0, 9, 9)),
        key(1, (0, 0, 9, 9), attributes=[{"spec_id": 3, "value": "tree"}]),
        attributes=[{"spec_id": 4, "value": "AB 1"}, {"spec_id": 3, "value": "none"}],
    )
    images, _ = read(tracks=[moving], frames=3)
    assert [dict(image.annotations[0].attributes) for image in images] == [
        {"occluded_by": "none", "plate": "AB 1"},
        {"occluded_by": "tree", "plate": "AB 1"},
        {"occluded_by": "tree", "plate": "AB 1"},
    ]


def test_a_malformed_key_frame_is_left_out_by_itself() -> None:
    images, result = read(tracks=[track(key(0, (0, 0, 10)), key(1, (0, 0, 9, 9)))], frames=2)
    assert [len(image.annotations) for image in images] == [0, 1]
    assert "track 2" in str(result.skipped[0])


# The other way


def test_labels_that_are_put_in_are_read_back_the_same() -> None:
    payload = (
        Annotation("car", Box(1, 2.5, 11, 12), 0.5, {"plate": "AB 1"}),
        Annotation("car", Polygon(((1, 1), (9, 1), (5, 8)))),
        Annotation("car", Mask(((4, 2, 9), (6, 0, 3), (6, 7, 9)))),
        Annotation("car", Box(1, 2, 3, 4), attributes={"@group": "3", "@occluded": "true"}),
        Annotation("night", WholeImage()),
    )
    shapes, tags = to_cvat_shapes(LabeledImage("0.jpg", Size(320, 240), payload), 0, LABELS, scores=True)
    numbered = [{**shape, "id": number} for number, shape in enumerate(shapes)]
    images, result = read(*numbered, tags=tags)
    assert images[0].annotations == payload
    assert result.skipped == []
    assert all("score" not in label for label in to_cvat_shapes(images[0], 0, LABELS, scores=False)[0])


def test_object_of_several_polygons_is_refused() -> None:
    parts = MultiPolygon((Polygon(((0, 0), (9, 0), (5, 8))), Polygon(((20, 0), (29, 0), (25, 8)))))
    with pytest.raises(InvalidShape, match="no shape of several polygons"):
        to_cvat_shapes(LabeledImage("0.jpg", Size(320, 240), (Annotation("car", parts),)), 0, LABELS, scores=True)


def test_a_shape_without_points_is_malformed() -> None:
    with pytest.raises(Malformed):
        shape_from({"type": "rectangle"})
