"""What a campaign asks of Scale: the body that its tasks share, made of the labels, and kept in the batch's metadata.

Tasks are sent in other processes, days after the campaign was ordered, and know of it only the batch's name: what they
have to say is read from the batch itself. Sources: Scale's reference of image annotation, label nesting and annotation
attributes.
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
"""In a batch's metadata: what it asks; whether it was activated; whether failed tasks were replaced or left out."""

ANNOTATION, CATEGORIES = "imageannotation", "categorization"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """What the tasks of one batch have in common."""

    type: str
    """Scale's type of task."""
    project: str
    body: Json
    """Geometries or categories, instruction, attributes, callback_url: everything but the image."""

    def as_text(self) -> str:
        """Always the same for the same order."""
        told = {"type": self.type, "project": self.project, "body": self.body}
        return json.dumps(told, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Shapes:
    """How objects are drawn, as far as the labels do not say it themselves."""

    rotated_boxes: bool = False
    smallest: int | None = None
    """Width and height in pixels below which nothing has to be labeled."""
    most_corners: int | None = None
    several_categories: bool = False


def order_from(order: CampaignOrder, project: str, shapes: Shapes, *, rapid: bool, callback_url: str = "") -> TaskOrder:
    """The tasks of a campaign. Raises PlatformRefused for labels that no single type of task can ask for."""
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


def order_in(metadata: object) -> TaskOrder | None:
    """The order that a batch's metadata holds; None when the batch is not one of ours."""
    text = metadata.get(KEY) if isinstance(metadata, Mapping) else None
    try:
        told = json.loads(text) if isinstance(text, str) else text
        return TaskOrder(told["type"], told["project"], dict(told["body"])) if isinstance(told, Mapping) else None
    except (ValueError, KeyError, TypeError):
        return None


def _geometries(schema: LabelSchema, shapes: Shapes) -> Json:
    asked: Json = {}
    boxes = _choices(schema, Geometry.BOX)
    if boxes:
        asked["box"] = {"objects_to_annotate": boxes}
        if shapes.rotated_boxes:
            asked["box"]["can_rotate"] = True
        if shapes.smallest is not None:
            asked["box"] |= {"min_width": shapes.smallest, "min_height": shapes.smallest}
    polygons = _choices(schema, Geometry.POLYGON)
    if polygons:
        asked["polygon"] = {"objects_to_annotate": polygons}
        if shapes.most_corners is not None:
            asked["polygon"] |= {"min_vertices": 3, "max_vertices": shapes.most_corners}
    return asked


def _choices(schema: LabelSchema, geometry: Geometry) -> list[Any]:
    """The labels of one geometry as a tree. At Scale only the leaves can be chosen: the others lead to them."""
    meant = [label for label in schema if label.geometry in (geometry, Geometry.ANY)]
    names = {label.name for label in meant}

    def choice(label: Label) -> Any:
        below = [choice(one) for one in meant if one.parent == label.name]
        return {"choice": label.name, "subchoices": below} if below else label.name

    return [choice(label) for label in meant if label.parent not in names]


def _attributes(schema: LabelSchema) -> Json:
    """One question for each attribute's name; it is put to the labels that have it."""
    asked: Json = {}
    for label in schema:
        for attribute in label.attributes:
            question: Json = {"description": attribute.name}
            if attribute.values:
                question |= {"type": "category", "choices": list(attribute.values)}
            else:
                question["type"] = "text"
            question = asked.setdefault(attribute.name, question)
            conditions = question.setdefault("conditions", {"label_condition": {"label": []}})
            conditions["label_condition"]["label"].append(label.name)
            known = question.get("choices", [])
            known += [value for value in attribute.values if value not in known]
    for question in asked.values():
        if question["conditions"]["label_condition"]["label"] == list(schema.names):
            del question["conditions"]  # every label has it
    return asked
