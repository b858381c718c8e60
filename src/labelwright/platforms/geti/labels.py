"""Converts labels and annotations between the domain and Geti, and chooses the kind of project for a label schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import unquote

from labelwright.domain import (
    UNKNOWN,
    Annotation,
    Box,
    Geometry,
    InvalidSchema,
    InvalidShape,
    Label,
    LabeledImage,
    LabelSchema,
    Mask,
    MultiPolygon,
    Polygon,
    Shape,
    Size,
    WholeImage,
)
from labelwright.domain.geometry import ellipse, rotated
from labelwright.domain.planar import distinct
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.shape_notices import ShapeNotices

from .models import (
    GLOBAL_TASKS,
    SHAPES,
    CoordinateUnit,
    GetiAnnotation,
    GetiLabel,
    GetiMedium,
    GetiProject,
    GetiScene,
    GetiShape,
    GetiTask,
    whole_image,
)
from .projects import InvalidProject, NewLabel, NewTask, check, normal_kind
from .session import NAME

_DIGITS = 6
"""Of a pixel: fractions come with rounding of their own."""
_BOX, _OUTLINE, _IMAGE = {Geometry.BOX}, {Geometry.POLYGON}, {Geometry.IMAGE}


def kind_for(labels: LabelSchema) -> str:
    """The kind of project for a schema, by its geometries. Raises InvalidProject."""
    geometries = {label.geometry for label in labels}
    kind = {
        frozenset(_BOX): "detection",
        frozenset(_OUTLINE): "segmentation",
        frozenset(_IMAGE): "classification",
        frozenset(_BOX | _OUTLINE): "detection -> segmentation",
        frozenset({Geometry.ANY}): "instance_segmentation",
    }.get(frozenset(geometries))
    if kind is None:
        names = ", ".join(sorted(geometries))
        raise InvalidProject(f"no kind of project takes labels of the geometries {names} together: name one in `kind`")
    return kind


def tasks_for(labels: LabelSchema, kind: str) -> list[NewTask]:
    """The tasks of a project of this kind. In a chain, boxes belong to the first task, the rest to the second.

    Raises InvalidProject.
    """
    types = kind.split(" -> ")
    if len(types) == 1:
        return [NewTask(types[0], tuple(_new(label, labels) for label in labels))]
    if types[1] in GLOBAL_TASKS and any(label.geometry is Geometry.IMAGE for label in labels):
        raise InvalidProject(f"{kind}: the second task's labels apply to boxes, so give them the geometry any")
    boxes = [label for label in labels if label.geometry is Geometry.BOX]
    others = [label for label in labels if label.geometry is not Geometry.BOX]
    if not boxes or not others:
        raise InvalidProject(f"{kind} needs labels of the geometry box for its first task, and others for its second")
    return [NewTask(types[0], _of(boxes)), NewTask(types[1], _of(others))]


def check_labels(labels: LabelSchema, options: Mapping[str, Any]) -> None:
    """Raises PlatformRefused for labels that no project can be created with."""
    try:
        kind = options.get("kind")
        check(tasks_for(labels, normal_kind(kind) if kind else kind_for(labels)))
    except (InvalidProject, InvalidSchema) as error:
        raise PlatformRefused(NAME, "create the campaign", message=str(error)) from None


def _of(labels: Sequence[Label]) -> tuple[NewLabel, ...]:
    schema = LabelSchema(tuple(labels))
    return tuple(_new(label, schema) for label in schema)


def _new(label: Label, schema: LabelSchema) -> NewLabel:
    """Children of one parent form a group: an object has at most one of them."""
    hierarchy = any(other_label.parent for other_label in schema)
    group = (f"{label.parent} label group" if label.parent else "top label group") if hierarchy else ""
    return NewLabel(label.name, label.color or "", group, label.parent or "")


# Names. A server keeps a file's name without its suffix, so a suffix is added to the image's whole name.

_UNSAFE = {"%": "%25", "/": "%2F", "\\": "%5C", '"': "%22"}


def upload_name(name: str, suffix: str) -> str:
    """The file name under which an image is uploaded. `image_name` of the server's name gives the name back."""
    return "".join(_UNSAFE.get(character, character) for character in name) + suffix


def image_name(name: str) -> str:
    return unquote(name, errors="replace")


# Scenes


def labeled_image_from(
    project: GetiProject, medium: GetiMedium, scene: GetiScene | None, notices: ShapeNotices
) -> LabeledImage:
    """An image with its annotations in domain terms. The empty label becomes no annotation.

    Annotations that the domain cannot represent are left out and added to `notices`.
    """
    size = Size(medium.width, medium.height)
    annotations = tuple(_annotations(project, scene, size, medium, notices)) if scene is not None else ()
    return LabeledImage(image_name(medium.name), size, annotations, medium.id)


def _annotations(
    project: GetiProject, scene: GetiScene, size: Size, medium: GetiMedium, notices: ShapeNotices
) -> Iterator[Annotation]:
    image = image_name(medium.name)
    for number, annotation in enumerate(scene.annotations):
        place = f"annotation {number} of image '{medium.name}' ({medium.id})"
        provenances = annotation.provenances or (UNKNOWN,) * len(annotation.labels)
        for (identity, probability), provenance in zip(annotation.labels, provenances, strict=True):
            match = project.label(identity)
            if match is None:
                notices.leave_out(image, "label not in the project", f"{place}: label {identity} is not in the project")
                continue
            task, label = match
            if label.is_empty:
                continue
            read = partial(_annotation, annotation.shape, scene.unit, size, project, task, label, probability)
            domain_annotation = notices.keep(image, f"{place}, '{label.name}'", size, read)
            if domain_annotation is not None:
                yield replace(domain_annotation, provenance=provenance)


def _annotation(
    shape: GetiShape,
    unit: CoordinateUnit,
    size: Size,
    project: GetiProject,
    task: GetiTask,
    label: GetiLabel,
    probability: float,
) -> Annotation:
    """Raises InvalidShape, PlatformRefused for a shape that could not be read."""
    if shape.fault is not None:
        if shape.type not in SHAPES:
            raise InvalidShape(f"a {shape.type or 'shape without a type'} is no shape of a dataset", "unknown type")
        raise shape.fault
    domain_geometry = _shape(shape, unit, size, task, first=task.id == project.trained[0].id)
    return Annotation(label.name, domain_geometry, min(max(probability, 0.0), 1.0))


def _shape(shape: GetiShape, unit: CoordinateUnit, size: Size, task: GetiTask, *, first: bool) -> Shape:
    """The shape in the task's geometry: the image for classification, outlines for segmentation."""
    if first and task.type in GLOBAL_TASKS and _is_whole(shape, unit, size):
        return WholeImage()
    converted = domain_shape(shape, unit, size)
    if isinstance(converted, Box) and task.type in ("segmentation", "rotated_detection"):
        left, top, right, bottom = converted.corners
        return Polygon(((left, top), (right, top), (right, bottom), (left, bottom)))
    return converted


def _is_whole(shape: GetiShape, unit: CoordinateUnit, size: Size) -> bool:
    """Whether it covers the image, within a thousandth of its size for rounding."""
    if shape.type != "RECTANGLE":
        return False
    numbers = shape.to(CoordinateUnit.FRACTIONS, unit, size.width, size.height).numbers
    edges = (numbers["x"], numbers["y"], 1 - numbers["width"], 1 - numbers["height"])
    return all(abs(edge) < 0.001 for edge in edges)


def domain_shape(shape: GetiShape, unit: CoordinateUnit, size: Size) -> Shape:
    """The shape in pixels, as drawn: it may reach beyond the image. Ellipses and rotated rectangles become polygons.

    Raises InvalidShape.
    """
    pixels = shape.to(CoordinateUnit.PIXELS, unit, size.width, size.height)
    digits = _DIGITS if unit is CoordinateUnit.FRACTIONS else 9
    numbers = pixels.numbers
    if shape.type == "POLYGON":
        return Polygon(tuple(distinct((round(x, digits), round(y, digits)) for x, y in pixels.points)))
    if shape.type == "RECTANGLE":
        left, top = numbers["x"], numbers["y"]
        corners = (left, top, left + numbers["width"], top + numbers["height"])
        return Box(*(round(value, digits) for value in corners))
    if shape.type == "ELLIPSE":
        across, down = numbers["width"] / 2, numbers["height"] / 2
        return ellipse((numbers["x"] + across, numbers["y"] + down), across, down)
    if shape.type == "ROTATED_RECTANGLE":
        x, y, across, down = numbers["x"], numbers["y"], numbers["width"] / 2, numbers["height"] / 2
        return rotated(Box(x - across, y - down, x + across, y + down), numbers["angle"])
    raise InvalidShape(f"a {shape.type} is no shape of a dataset", shape.type.lower())


def geti_shape(shape: Shape, unit: CoordinateUnit, size: Size) -> GetiShape:
    """A domain shape (pixels) in the server's unit, cut at the image's edges. Raises PlatformRefused for masks."""
    if isinstance(shape, WholeImage):
        return whole_image(unit, size.width, size.height)
    inside = shape.clamp(size)
    if isinstance(inside, Box):
        numbers = {"x": inside.xmin, "y": inside.ymin, "width": inside.width, "height": inside.height}
        converted = GetiShape("RECTANGLE", numbers)
    elif isinstance(inside, Mask | MultiPolygon):
        message = "Geti has no shape for an object of several parts or with holes"
        raise PlatformRefused(
            NAME, "annotate an image", message=message, advice="Give each part an outline of its own."
        )
    else:
        converted = GetiShape("POLYGON", points=inside.points)
    return converted.to(unit, CoordinateUnit.PIXELS, size.width, size.height)


def annotations_for(project: GetiProject, image: LabeledImage, unit: CoordinateUnit) -> list[GetiAnnotation]:
    """An image's annotations as the server accepts them. Without annotations: the first task's empty label, which
    counts for later tasks too.

    A label of a classification task is added to the annotation of the same shape, because 2.x refuses it alone.
    Raises PlatformRefused for a label that the project lacks, and for an empty image where it has no empty label.
    """
    if image.size is None:
        message = f"image '{image.name}': its size is unknown"
        raise PlatformRefused(NAME, "annotate an image", message=message, advice="Name its width and height.")
    entries = [(annotation, *_label_of(project, image, annotation.label)) for annotation in image.annotations]
    entries.sort(key=lambda item: item[1].type in GLOBAL_TASKS)
    labels: dict[tuple[Shape, int], list[tuple[str, float]]] = {}
    shapes: dict[tuple[Shape, int], GetiShape] = {}
    for number, (annotation, task, label) in enumerate(entries):
        key = (annotation.shape, number)
        if task.type in GLOBAL_TASKS:
            key = next((existing for existing in shapes if existing[0] == annotation.shape), key)
        shapes.setdefault(key, _rotated_shape(geti_shape(annotation.shape, unit, image.size), task))
        labels.setdefault(key, []).append((label, annotation.confidence))
    if shapes:
        return [GetiAnnotation(shape, tuple(labels[key])) for key, shape in shapes.items()]
    empty = project.trained[0].empty_label
    if empty is None:
        message = f"image '{image.name}': a {project.kind} project has no label for 'nothing here'"
        raise PlatformRefused(NAME, "annotate an image", message=message, advice="Give it one of the labels.")
    return [GetiAnnotation(whole_image(unit, image.size.width, image.size.height), ((empty.id, 1.0),))]


def _label_of(project: GetiProject, image: LabeledImage, label: str) -> tuple[GetiTask, str]:
    match = task_of(project, label)
    if match is None:
        message = f"image '{image.name}': the project has no label '{label}'"
        raise PlatformRefused(NAME, "annotate an image", message=message)
    return match


def _rotated_shape(shape: GetiShape, task: GetiTask) -> GetiShape:
    """A rectangle for a rotated_detection task as one with angle 0: 2.11 puts plain rectangles elsewhere."""
    if shape.type != "RECTANGLE" or task.type != "rotated_detection":
        return shape
    x, y, width, height = (shape.numbers[name] for name in ("x", "y", "width", "height"))
    middle = {"x": x + width / 2, "y": y + height / 2}
    return GetiShape("ROTATED_RECTANGLE", {**middle, "width": width, "height": height, "angle": 0.0})


def task_of(project: GetiProject, label: str) -> tuple[GetiTask, str] | None:
    """The task with a label of this name, and the label's id."""
    for task in project.trained:
        for candidate in task.labels:
            if candidate.name == label and not candidate.is_empty:
                return task, candidate.id
    return None
