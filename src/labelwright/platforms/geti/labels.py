"""Between the domain's labels and Geti's: which project a label schema needs, and what a scene says in domain terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from urllib.parse import unquote

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
    GetiAnnotation,
    GetiLabel,
    GetiMedium,
    GetiProject,
    GetiScene,
    GetiShape,
    GetiTask,
    Unit,
    whole_image,
)
from .projects import CannotBe, NewLabel, NewTask
from .session import NAME

_DIGITS = 6
"""Of a pixel: fractions come with rounding of their own."""
_BOX, _OUTLINE, _IMAGE = {Geometry.BOX}, {Geometry.POLYGON}, {Geometry.IMAGE}


def kind_for(labels: LabelSchema) -> str:
    """The kind of project that a schema asks for, by its geometries. Raises CannotBe."""
    wanted = {label.geometry for label in labels}
    found = {
        frozenset(_BOX): "detection",
        frozenset(_OUTLINE): "segmentation",
        frozenset(_IMAGE): "classification",
        frozenset(_BOX | _OUTLINE): "detection -> segmentation",
        frozenset({Geometry.ANY}): "instance_segmentation",
    }.get(frozenset(wanted))
    if found is None:
        named = ", ".join(sorted(wanted))
        raise CannotBe(f"no kind of project takes labels of the geometries {named} together: name one in `kind`")
    return found


def tasks_for(labels: LabelSchema, kind: str) -> list[NewTask]:
    """The tasks of a project of this kind. In a chain, boxes belong to the first task, the rest to the second.

    Raises CannotBe.
    """
    types = kind.split(" -> ")
    if len(types) == 1:
        return [NewTask(types[0], tuple(_new(label, labels) for label in labels))]
    if types[1] in GLOBAL_TASKS and any(label.geometry is Geometry.IMAGE for label in labels):
        raise CannotBe(f"{kind}: the second task's labels are said of boxes, so give them the geometry any")
    first = [label for label in labels if label.geometry is Geometry.BOX]
    second = [label for label in labels if label.geometry is not Geometry.BOX]
    if not first or not second:
        raise CannotBe(f"{kind} needs labels of the geometry box for its first task, and others for its second")
    return [NewTask(types[0], _of(first)), NewTask(types[1], _of(second))]


def _of(labels: Sequence[Label]) -> tuple[NewLabel, ...]:
    schema = LabelSchema(tuple(labels))
    return tuple(_new(label, schema) for label in schema)


def _new(label: Label, schema: LabelSchema) -> NewLabel:
    """Children of one parent make a group: of them one holds at a time."""
    hierarchy = any(one.parent for one in schema)
    group = (f"{label.parent} label group" if label.parent else "top label group") if hierarchy else ""
    return NewLabel(label.name, label.color or "", group, label.parent or "")


# Names: a server keeps a file's name without its ending, so ours goes whole before another ending.

_UNSAFE = {"%": "%25", "/": "%2F", "\\": "%5C", '"': "%22"}


def sent_name(name: str, suffix: str) -> str:
    """The file name under which an image is sent, so that `own_name` of what the server makes of it is its name."""
    return "".join(_UNSAFE.get(character, character) for character in name) + suffix


def own_name(name: str) -> str:
    return unquote(name, errors="replace")


# Scenes


def labeled_from(
    project: GetiProject, medium: GetiMedium, scene: GetiScene | None, notices: ShapeNotices
) -> LabeledImage:
    """What was said of an image. The empty label says: looked at, nothing there.

    Annotations that cannot be kept are left out and noted.
    """
    size = Size(medium.width, medium.height)
    annotations = tuple(_annotations(project, scene, size, medium, notices)) if scene is not None else ()
    return LabeledImage(own_name(medium.name), size, annotations, medium.id)


def _annotations(
    project: GetiProject, scene: GetiScene, size: Size, medium: GetiMedium, notices: ShapeNotices
) -> Iterator[Annotation]:
    image = own_name(medium.name)
    for number, one in enumerate(scene.annotations):
        place = f"annotation {number} of image '{medium.name}' ({medium.id})"
        for identity, probability in one.labels:
            found = project.label(identity)
            if found is None:
                notices.leave_out(image, "label not in the project", f"{place}: label {identity} is not in the project")
                continue
            task, label = found
            if label.is_empty:
                continue
            read = partial(_annotation, one.shape, scene.unit, size, project, task, label, probability)
            kept = notices.keep(image, f"{place}, '{label.name}'", size, read)
            if kept is not None:
                yield kept


def _annotation(
    shape: GetiShape,
    unit: Unit,
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
    found = _shape(shape, unit, size, task, first=task.id == project.trained[0].id)
    return Annotation(label.name, found, min(max(probability, 0.0), 1.0))


def _shape(shape: GetiShape, unit: Unit, size: Size, task: GetiTask, *, first: bool) -> Shape:
    """As the task means it: the whole image for what classifies images, outlines for what segments."""
    if first and task.type in GLOBAL_TASKS and _is_whole(shape, unit, size):
        return WholeImage()
    found = domain_shape(shape, unit, size)
    if isinstance(found, Box) and task.type in ("segmentation", "rotated_detection"):
        left, top, right, bottom = found.corners
        return Polygon(((left, top), (right, top), (right, bottom), (left, bottom)))
    return found


def _is_whole(shape: GetiShape, unit: Unit, size: Size) -> bool:
    """One pixel in a thousand is rounding."""
    if shape.type != "RECTANGLE":
        return False
    numbers = shape.to(Unit.FRACTIONS, unit, size.width, size.height).numbers
    edges = (numbers["x"], numbers["y"], 1 - numbers["width"], 1 - numbers["height"])
    return all(abs(edge) < 0.001 for edge in edges)


def domain_shape(shape: GetiShape, unit: Unit, size: Size) -> Shape:
    """In pixels, as it was drawn: it may reach beyond the image. Ellipses and rotated rectangles become polygons.

    Raises InvalidShape.
    """
    pixels = shape.to(Unit.PIXELS, unit, size.width, size.height)
    digits = _DIGITS if unit is Unit.FRACTIONS else 9
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


def geti_shape(shape: Shape, unit: Unit, size: Size) -> GetiShape:
    """A shape of the domain (pixels) as a server of this unit takes it, cut at the image's edges."""
    if isinstance(shape, WholeImage):
        return whole_image(unit, size.width, size.height)
    inside = shape.clamp(size)
    if isinstance(inside, Box):
        numbers = {"x": inside.xmin, "y": inside.ymin, "width": inside.width, "height": inside.height}
        made = GetiShape("RECTANGLE", numbers)
    elif isinstance(inside, Mask | MultiPolygon):
        told = "an object of several parts or with holes is no shape of Geti's"
        raise PlatformRefused(NAME, "annotate an image", message=told, advice="Give each part an outline of its own.")
    else:
        made = GetiShape("POLYGON", points=inside.points)
    return made.to(unit, Unit.PIXELS, size.width, size.height)


def annotations_for(project: GetiProject, image: LabeledImage, unit: Unit) -> list[GetiAnnotation]:
    """What was said of an image, as the server takes it. Nothing on it: the first task's empty label, which stands for
    the tasks behind it too.

    A label of a task that classifies is put to the object of the same shape: 2.x refuses it alone. Raises
    PlatformRefused for a label that the project has not, and for "nothing" where it has no empty label.
    """
    found = [(one, *_label_of(project, image, one.label)) for one in image.annotations]
    found.sort(key=lambda item: item[1].type in GLOBAL_TASKS)
    labels: dict[tuple[Shape, int], list[tuple[str, float]]] = {}
    shapes: dict[tuple[Shape, int], GetiShape] = {}
    for number, (one, task, label) in enumerate(found):
        same = (place for place in shapes if place[0] == one.shape) if task.type in GLOBAL_TASKS else iter(())
        place = next(same, (one.shape, number))
        shapes.setdefault(place, _upright(geti_shape(one.shape, unit, image.size), task))
        labels.setdefault(place, []).append((label, one.confidence))
    if shapes:
        return [GetiAnnotation(shape, tuple(labels[place])) for place, shape in shapes.items()]
    empty = project.trained[0].empty_label
    if empty is None:
        told = f"image '{image.name}': a {project.kind} project has no label for 'nothing here'"
        raise PlatformRefused(NAME, "annotate an image", message=told, advice="Give it one of the labels.")
    return [GetiAnnotation(whole_image(unit, image.size.width, image.size.height), ((empty.id, 1.0),))]


def _label_of(project: GetiProject, image: LabeledImage, label: str) -> tuple[GetiTask, str]:
    found = task_of(project, label)
    if found is None:
        told = f"image '{image.name}': the project has no label '{label}'"
        raise PlatformRefused(NAME, "annotate an image", message=told)
    return found


def _upright(shape: GetiShape, task: GetiTask) -> GetiShape:
    """A box for a task of turned boxes is one that is not turned: plain rectangles land elsewhere there (2.11)."""
    if shape.type != "RECTANGLE" or task.type != "rotated_detection":
        return shape
    x, y, width, height = (shape.numbers[name] for name in ("x", "y", "width", "height"))
    middle = {"x": x + width / 2, "y": y + height / 2}
    return GetiShape("ROTATED_RECTANGLE", {**middle, "width": width, "height": height, "angle": 0.0})


def task_of(project: GetiProject, label: str) -> tuple[GetiTask, str] | None:
    """The task that has a label of this name, and the label's id."""
    for task in project.trained:
        for one in task.labels:
            if one.name == label and not one.is_empty:
                return task, one.id
    return None
