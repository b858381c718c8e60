"""Builds the request body that all tasks of a campaign share, from its labels, and stores it in the batch's metadata.

Tasks are created by other processes, perhaps days later, which know only the batch's name: they read the body from the
batch. Sources: Scale's reference of image annotation, label nesting and annotation attributes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labelwright.domain import Geometry, Label, LabelSchema
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.protocol import CampaignOrder

NAME = "scale"
KEY = "labelwright"
ACTIVATED = "labelwright_activated"
SETTLED = "labelwright_settled"
"""Keys of a batch's metadata: task order; whether it was activated; whether failed tasks were replaced or dropped."""

ANNOTATION, CATEGORIES = "imageannotation", "categorization"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """Task type, project and body that the tasks of one batch share."""

    type: str
    """Scale's type of task."""
    project: str
    body: Json
    """Geometries or categories, instruction, attributes, callback_url: everything but the image."""

    def as_text(self) -> str:
        """Serializes the order; equal orders give equal text."""
        payload = {"type": self.type, "project": self.project, "body": self.body}
        return json.dumps(payload, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Shapes:
    """Options for drawing objects that the labels do not define."""

    rotated_boxes: bool = False
    smallest: int | None = None
    """Width and height in pixels children which nothing has to be labeled."""
    most_corners: int | None = None
    several_categories: bool = False


def order_from(order: CampaignOrder, project: str, shapes: Shapes, *, rapid: bool, callback_url: str = "") -> TaskOrder:
    """Builds the task order of a campaign. Raises PlatformRefused for labels that need more than one task type."""
    geometries = {label.geometry for label in order.labels}
    body: Json = {"attachment_type": "image"}
    # Rapid keeps its instructions in the project.
    if order.instructions and not rapid:
        body["instruction"] = order.instructions
    if callback_url:
        body["callback_url"] = callback_url
    if geometries == {Geometry.IMAGE}:
        body["categories"] = list(order.labels.names)
        if shapes.several_categories:
            body["allow_multiple"] = True
        return TaskOrder(CATEGORIES, project, body)
    if Geometry.IMAGE in geometries:
        raise PlatformRefused(
            NAME,
            f"create campaign '{order.title}'",
            message="labels of whole images and labels of objects are two types of task at Scale",
            advice="Make two campaigns of them.",
        )
    body["geometries"] = _geometries(order.labels, shapes)
    attributes = _attributes(order.labels)
    if attributes:
        body["annotation_attributes"] = attributes
    return TaskOrder(ANNOTATION, project, body)


def check_labels(labels: LabelSchema, _options: Mapping[str, Any]) -> None:
    """Raises PlatformRefused for labels that need more than one type of task."""
    order_from(CampaignOrder("", labels, ""), "", Shapes(), rapid=False)


def order_in(metadata: object) -> TaskOrder | None:
    """Returns the task order in a batch's metadata; None for a batch that Labelwright did not create."""
    text = metadata.get(KEY) if isinstance(metadata, Mapping) else None
    try:
        payload = json.loads(text) if isinstance(text, str) else text
        if not isinstance(payload, Mapping):
            return None
        return TaskOrder(payload["type"], payload["project"], dict(payload["body"]))
    except (ValueError, KeyError, TypeError):
        return None


def _geometries(schema: LabelSchema, shapes: Shapes) -> Json:
    geometries: Json = {}
    boxes = _choices(schema, Geometry.BOX)
    if boxes:
        geometries["box"] = {"objects_to_annotate": boxes}
        if shapes.rotated_boxes:
            geometries["box"]["can_rotate"] = True
        if shapes.smallest is not None:
            geometries["box"] |= {"min_width": shapes.smallest, "min_height": shapes.smallest}
    polygons = _choices(schema, Geometry.POLYGON)
    if polygons:
        geometries["polygon"] = {"objects_to_annotate": polygons}
        if shapes.most_corners is not None:
            geometries["polygon"] |= {"min_vertices": 3, "max_vertices": shapes.most_corners}
    return geometries


def _choices(schema: LabelSchema, geometry: Geometry) -> list[Any]:
    """The labels of one geometry as a tree. At Scale only leaves can be chosen: other nodes only group them."""
    labels = [label for label in schema if label.geometry in (geometry, Geometry.ANY)]
    names = {label.name for label in labels}

    def choice(label: Label) -> Any:
        children = [choice(child) for child in labels if child.parent == label.name]
        return {"choice": label.name, "subchoices": children} if children else label.name

    return [choice(label) for label in labels if label.parent not in names]


def _attributes(schema: LabelSchema) -> Json:
    """One question per attribute name, with a condition on the labels that have the attribute."""
    questions: Json = {}
    for label in schema:
        for attribute in label.attributes:
            question: Json = {"description": attribute.name}
            if attribute.values:
                question |= {"type": "category", "choices": list(attribute.values)}
            else:
                question["type"] = "text"
            question = questions.setdefault(attribute.name, question)
            conditions = question.setdefault("conditions", {"label_condition": {"label": []}})
            conditions["label_condition"]["label"].append(label.name)
            choices = question.get("choices", [])
            choices += [value for value in attribute.values if value not in choices]
    for question in questions.values():
        if question["conditions"]["label_condition"]["label"] == list(schema.names):
            del question["conditions"]  # every label has it
    return questions
