"""Conversion of labels and annotations between the domain and Geti."""

from datetime import UTC, datetime
from math import pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelwright.domain import (
    Annotation,
    Box,
    Geometry,
    InvalidShape,
    Label,
    LabeledImage,
    LabelSchema,
    Mask,
    MultiPolygon,
    Origin,
    Polygon,
    Provenance,
    Size,
    WholeImage,
)
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.geti.labels import (
    annotations_for,
    domain_shape,
    geti_shape,
    image_name,
    kind_for,
    labeled_image_from,
    tasks_for,
    upload_name,
)
from labelwright.platforms.geti.models import (
    CoordinateUnit,
    GetiAnnotation,
    GetiLabel,
    GetiMedium,
    GetiProject,
    GetiScene,
    GetiShape,
    GetiTask,
    scene_from,
)
from labelwright.platforms.geti.projects import InvalidProject
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.shape_notices import ShapeNotices

SIZE = Size(640, 480)
WHOLE = GetiShape("RECTANGLE", {"x": 0, "y": 0, "width": 640, "height": 480})


def schema(**geometries: str) -> LabelSchema:
    return LabelSchema(tuple(Label(name, Geometry(geometry)) for name, geometry in geometries.items()))


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (schema(a="box"), "detection"),
        (schema(a="polygon"), "segmentation"),
        (schema(a="image", b="image"), "classification"),
        (schema(a="box", b="polygon"), "detection -> segmentation"),
        (schema(a="any"), "instance_segmentation"),
    ],
)
def test_geometries_decide_the_kind_of_project(labels, kind):
    assert kind_for(labels) == kind
    assert len(tasks_for(labels, kind)) == len(kind.split(" -> "))


@pytest.mark.parametrize("labels", [schema(a="image", b="polygon"), schema(a="box", b="image")])
def test_unsupported_combination_of_geometries_is_refused(labels):
    with pytest.raises(InvalidProject, match="name one in `kind`"):
        kind_for(labels)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (schema(a="box"), "detection -> segmentation"),
        (schema(a="polygon"), "detection -> segmentation"),
        (schema(a="box", b="image"), "detection -> classification"),
    ],
)
def test_chain_needs_labels_for_both_tasks(labels, kind):
    with pytest.raises(InvalidProject):
        tasks_for(labels, kind)


def test_children_of_one_parent_form_a_group():
    labels = LabelSchema((Label("dog"), Label("poodle", parent="dog"), Label("cat")))
    (task,) = tasks_for(labels, "classification")
    assert [(label.name, label.parent, label.group) for label in task.labels] == [
        ("dog", "", "top label group"),
        ("poodle", "dog", "dog label group"),
        ("cat", "", "top label group"),
    ]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50))
def test_name_survives_the_loss_of_the_suffix(name):
    sent = upload_name(name, ".jpg")
    assert "/" not in sent
    assert '"' not in sent
    assert image_name(sent.rpartition(".")[0]) == name


coordinate = st.integers(0, 4000).map(lambda value: value / 8)


@given(coordinate, coordinate, st.sampled_from(list(CoordinateUnit)))
def test_box_survives_conversion(x, y, unit):
    box = Box(x * 0.9, y * 0.7, x * 0.9 + 16, y * 0.7 + 16)
    back = domain_shape(geti_shape(box, unit, SIZE), unit, SIZE)
    assert back.corners == pytest.approx(box.corners, abs=1e-6)


@pytest.mark.parametrize("unit", list(CoordinateUnit))
def test_every_shape_converts_to_pixels(unit):
    ellipse = GetiShape("ELLIPSE", {"x": 100, "y": 100, "width": 60, "height": 40})
    turned = GetiShape("ROTATED_RECTANGLE", {"x": 200, "y": 100, "width": 40, "height": 20, "angle": 90.0})
    boxes = [
        domain_shape(shape.to(unit, CoordinateUnit.PIXELS, 640, 480), unit, SIZE).box.corners
        for shape in (ellipse, turned)
    ]
    assert boxes[0] == pytest.approx((100, 100, 160, 140))
    assert boxes[1] == pytest.approx((190, 80, 210, 120))
    assert geti_shape(WholeImage(), CoordinateUnit.FRACTIONS, SIZE).numbers == {"x": 0, "y": 0, "width": 1, "height": 1}
    assert geti_shape(WholeImage(), CoordinateUnit.PIXELS, SIZE) == WHOLE
    with pytest.raises(InvalidShape):
        domain_shape(GetiShape("KEYPOINT", {"x": 1, "y": 1}), unit, SIZE)


def project_of(kind: str) -> GetiProject:
    tasks = tuple(
        GetiTask(
            f"t{n}",
            f"task {n}",
            kind_of_task,
            (GetiLabel(f"l{n}", f"label {n}"), GetiLabel(f"e{n}", "No", is_empty=True)),
        )
        for n, kind_of_task in enumerate(kind.split(" -> "))
    )
    return GetiProject("p", "project", tasks, (), (("d", "d"),))


def annotations_and_notices(kind: str, shape: GetiShape, *labels: str, beside: GetiShape | None = None):
    """The annotations that are read, and the notices."""
    medium = GetiMedium("i", "a.png", "image", 640, 480, "", {})
    shapes = [shape] if beside is None else [shape, beside]
    scene = GetiScene(
        tuple(GetiAnnotation(shape, tuple((label, 0.5) for label in labels)) for shape in shapes), CoordinateUnit.PIXELS
    )
    notices = ShapeNotices()
    image = labeled_image_from(project_of(kind), medium, scene, notices)
    return image.annotations, notices.checked()


def read(kind: str, shape: GetiShape, *labels: str):
    annotations, notices = annotations_and_notices(kind, shape, *labels)
    assert notices == ()
    return annotations


def test_task_type_decides_the_geometry():
    box = GetiShape("RECTANGLE", {"x": 10, "y": 10, "width": 20, "height": 20})
    assert [annotation.shape for annotation in read("classification", WHOLE, "l0")] == [WholeImage()]
    assert [annotation.shape for annotation in read("detection", WHOLE, "l0")] == [Box(0, 0, 640, 480)]
    assert [annotation.shape for annotation in read("detection -> classification", box, "l0", "l1")] == [
        Box(10, 10, 30, 30)
    ] * 2
    assert isinstance(read("segmentation", box, "l0")[0].shape, Polygon)
    assert read("detection", WHOLE, "e0") == ()


def annotations_sent_for(kind: str, *annotations: Annotation) -> list[tuple[str, list[str]]]:
    converted = annotations_for(project_of(kind), LabeledImage("a.png", SIZE, annotations, "i"), CoordinateUnit.PIXELS)
    return [(annotation.shape.type, [label for label, _ in annotation.labels]) for annotation in converted]


def test_empty_image_gets_the_first_tasks_empty_label():
    assert annotations_sent_for("detection -> segmentation") == [("RECTANGLE", ["e0"])]


def test_image_of_unknown_size_is_not_annotated():
    with pytest.raises(PlatformRefused, match="its size is unknown"):
        annotations_for(project_of("detection"), LabeledImage("a.png", None), CoordinateUnit.PIXELS)


def test_classification_label_joins_the_object_of_its_shape():
    box, other = Box(1, 2, 30, 40), Box(5, 5, 30, 40)
    boxes = Annotation("label 0", box), Annotation("label 0", other)
    kinds = Annotation("label 1", other), Annotation("label 1", box)
    kind = "detection -> classification"
    assert annotations_sent_for(kind, kinds[0], *boxes, kinds[1]) == [("RECTANGLE", ["l0", "l1"])] * 2
    assert annotations_sent_for(kind, boxes[0], boxes[0]) == [("RECTANGLE", ["l0"])] * 2
    whole = Annotation("label 0", WholeImage())
    assert annotations_sent_for("classification", whole) == [("RECTANGLE", ["l0"])]


def test_box_of_rotated_detection_is_sent_by_its_center():
    image = LabeledImage("a.png", SIZE, (Annotation("label 0", Box(10, 20, 30, 60)),), "i")
    (annotation,) = annotations_for(project_of("rotated_detection"), image, CoordinateUnit.PIXELS)
    assert annotation.shape.type == "ROTATED_RECTANGLE"
    assert annotation.shape.numbers == {"x": 20, "y": 40, "width": 20, "height": 40, "angle": 0}
    assert domain_shape(annotation.shape, CoordinateUnit.PIXELS, SIZE).box == Box(10, 20, 30, 60)


@given(st.floats(0, 639), st.floats(0, 479), st.floats(0.001, 1), st.floats(0.001, 1))
def test_rounding_never_puts_a_rectangle_beyond_the_edges(x, y, across, down):
    numbers = {"x": x, "y": y, "width": (640 - x) * across, "height": (480 - y) * down}
    numbers["width"] += 1e-9 * (across == 1)
    inside = GetiShape("RECTANGLE", numbers).inside(640, 480).numbers
    assert inside["x"] + inside["width"] <= 640
    assert inside["y"] + inside["height"] <= 480
    assert inside["width"] == pytest.approx(numbers["width"], abs=1e-6)
    far = GetiShape("RECTANGLE", {"x": 600, "y": 0, "width": 50, "height": 10})
    assert far.inside(640, 480) == far
    edge = GetiShape("POLYGON", points=((640.0000001, 1), (3, 480.0000001), (650, 2)))
    assert edge.inside(640, 480).points == ((640, 1), (3, 480), (650, 2))


def test_unknown_label_is_reported_with_its_image():
    annotations, (notice,) = annotations_and_notices("detection", WHOLE, "stranger", "l0")
    assert len(annotations) == 1
    assert notice.reason == "label not in the project"
    assert "annotation 0 of image 'a.png' (i): label stranger" in notice.detail


@pytest.mark.parametrize(
    ("shape", "reason", "dropped"),
    [
        (GetiShape("POLYGON", points=((0, 0), (10, 10), (10, 0), (0, 10))), "crosses itself", True),
        (GetiShape("POLYGON", points=((700, 0), (800, 10), (800, 0))), "outside its image", True),
        (GetiShape("RECTANGLE", {"x": 5, "y": 5, "width": 0, "height": 9}), "no area", True),
        (GetiShape("KEYPOINT", {"x": 5, "y": 5}), "keypoint", True),
        (GetiShape("SPLINE", fault=PlatformRefused("geti", "read", message="type is 'SPLINE'")), "unknown type", True),
        (GetiShape("RECTANGLE", fault=PlatformRefused("geti", "read", message="x is null")), "malformed", True),
        (GetiShape("RECTANGLE", {"x": -50, "y": 5, "width": 100, "height": 9}), "cut to its image", False),
    ],
)
def test_unsupported_shape_is_left_out_with_a_notice(shape, reason, dropped):
    good = GetiShape("RECTANGLE", {"x": 10, "y": 10, "width": 20, "height": 20})
    annotations, notices = annotations_and_notices("detection", shape, "l0", beside=good)
    assert len(annotations) == (1 if dropped else 2)
    (notice,) = notices
    assert (notice.reason, notice.image, notice.dropped) == (reason, "a.png", dropped)
    assert "annotation 0 of image 'a.png' (i), 'label 0'" in notice.detail


def test_scene_is_read_strictly_or_leniently():
    response = {
        "annotations": [
            {"labels": [{"id": "l0"}], "shape": {"type": "SPLINE", "x": 1}},
            {"labels": [{"id": "l0"}], "shape": {"type": "RECTANGLE", "x": 1, "y": 2, "width": None, "height": 3}},
            {"labels": [{"id": "l0"}], "shape": {"type": "RECTANGLE", "x": 1, "y": 2, "width": 2, "height": 3}},
        ]
    }
    with pytest.raises(PlatformRefused, match="SPLINE"):
        scene_from(Fields("geti", "read", response), CoordinateUnit.PIXELS)
    scene = scene_from(Fields("geti", "read", response), CoordinateUnit.PIXELS, lenient=True)
    notices = ShapeNotices()
    image = labeled_image_from(
        project_of("detection"), GetiMedium("i", "a.png", "image", 640, 480, "", {}), scene, notices
    )
    assert [item.shape for item in image.annotations] == [Box(1, 2, 3, 5)]
    assert [item.reason for item in notices.checked()] == ["unknown type", "malformed"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"id": "N/A", "type": "N/A"}, {}),  # Sonoma Creek, recorded
        ({"user_id": "5f1c", "model_id": None, "model_storage_id": None}, {"labeler": "5f1c", "origin": Origin.PERSON}),
        ({"user_id": "", "model_id": "a0", "model_storage_id": "b1"}, {"origin": Origin.PREDICTION}),
    ],
)
def test_user_model_and_time_of_a_label_are_kept(source, expected):
    shape = {"type": "RECTANGLE", "x": 1, "y": 2, "width": 2, "height": 3}
    labels = [{"id": "l0", "probability": 1.0, "source": source}]
    response = {"annotations": [{"labels": labels, "shape": shape, "modified": "2022-04-11T19:46:00.000000+00:00"}]}
    scene = scene_from(Fields("geti", "read", response), CoordinateUnit.PIXELS)
    medium = GetiMedium("i", "a.png", "image", 640, 480, "", {})
    image = labeled_image_from(project_of("detection"), medium, scene, ShapeNotices())
    changed = datetime(2022, 4, 11, 19, 46, tzinfo=UTC)
    assert [item.provenance for item in image.annotations] == [Provenance(changed_at=changed, **expected)]


@pytest.mark.parametrize("unit", list(CoordinateUnit))
def test_ellipse_and_rotated_box_keep_their_area(unit):
    flat = GetiShape("ELLIPSE", {"x": 100, "y": 100, "width": 60, "height": 40})
    assert domain_shape(flat.to(unit, CoordinateUnit.PIXELS, 640, 480), unit, SIZE).area == pytest.approx(
        pi * 600, rel=0.01
    )
    turned = GetiShape("ROTATED_RECTANGLE", {"x": 640, "y": 100, "width": 40, "height": 20, "angle": 30.0})
    annotations, (notice,) = annotations_and_notices("rotated_detection", turned, "l0")
    assert annotations[0].shape.area == pytest.approx(400)
    assert notice.reason == "cut to its image"


def test_polygon_cut_in_two_by_the_edge_stays_one_object():
    u = ((600, 100), (700, 100), (700, 200), (600, 200), (600, 180), (680, 180), (680, 120), (600, 120))
    (annotation,), _ = annotations_and_notices("segmentation", GetiShape("POLYGON", points=u), "l0")
    assert isinstance(annotation.shape, MultiPolygon)
    assert annotation.shape.area == pytest.approx(40 * 20 * 2)
    with pytest.raises(PlatformRefused, match="several parts"):
        geti_shape(annotation.shape, CoordinateUnit.PIXELS, SIZE)


def test_object_of_several_parts_is_refused():
    with pytest.raises(PlatformRefused, match="no shape for an object of several parts"):
        geti_shape(Mask(((0, 0, 2), (0, 4, 6))), CoordinateUnit.PIXELS, SIZE)
