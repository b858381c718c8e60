"""The label schema, and the annotations of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from .geometry import Box, MultiPolygon, Polygon, Size, WholeImage
from .image_states import ImageState
from .masks import Mask
from .provenance import UNKNOWN, Origin, Provenance, checked_seconds, in_utc

Shape = Box | Polygon | MultiPolygon | Mask | WholeImage


class Geometry(StrEnum):
    """How objects of a label are drawn."""

    BOX = "box"
    POLYGON = "polygon"
    IMAGE = "image"
    ANY = "any"

    def takes(self, shape: Shape) -> bool:
        return self is Geometry.ANY or isinstance(shape, _SHAPES[self])


_SHAPES: dict[Geometry, tuple[type, ...]] = {
    Geometry.BOX: (Box,),
    Geometry.POLYGON: (Polygon, MultiPolygon, Mask),
    Geometry.IMAGE: (WholeImage,),
}


RESERVED = "@"
"""Prefix of attributes that are in no schema, since platforms have them for every object."""

OCCLUDED, GROUP = f"{RESERVED}occluded", f"{RESERVED}group"
"""Attributes of objects that a labeler marked as occluded ("true"), or that belong together (the group's id)."""


class InvalidSchema(ValueError):
    """A label schema that contradicts itself: the message names the label."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A further question about an object: one of `values` when there are any, else free text."""

    name: str
    values: tuple[str, ...] = ()
    default: str | None = None
    required: bool = False
    """Whether labelers must fill it in before they submit."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InvalidSchema("an attribute needs a name")
        if self.name.startswith(RESERVED):
            raise InvalidSchema(
                f"attribute '{self.name}': names that begin with {RESERVED} are kept for what platforms say of every "
                f"object, such as {OCCLUDED}: give it another name"
            )
        if self.default is not None and self.values and self.default not in self.values:
            raise InvalidSchema(f"attribute '{self.name}': default '{self.default}' is not one of its values")


@dataclass(frozen=True, slots=True)
class Label:
    """A class of objects. `translations` maps a language code (BCP 47) to the name shown to labelers."""

    name: str
    geometry: Geometry = Geometry.BOX
    parent: str | None = None
    attributes: tuple[Attribute, ...] = ()
    color: str | None = None
    translations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InvalidSchema("a label needs a name")
        if self.name != self.name.strip():
            raise InvalidSchema(f"label '{self.name}' begins or ends with a blank")


@dataclass(frozen=True, slots=True)
class LabelSchema:
    """The labels of a campaign in their order; their positions (from 1) are the category ids of COCO."""

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        names = [label.name for label in self.labels]
        if not names:
            raise InvalidSchema("a label schema needs at least one label")
        for name in names:
            if names.count(name) > 1:
                raise InvalidSchema(f"label '{name}' is listed twice")
        for label in self.labels:
            self._refuse_orphans_and_circles(label, set(names))

    def _refuse_orphans_and_circles(self, label: Label, names: set[str]) -> None:
        parents = {label.name: label.parent for label in self.labels}
        ancestors, parent = {label.name}, label.parent
        while parent is not None:
            if parent not in names:
                raise InvalidSchema(f"label '{label.name}': its parent '{parent}' is not in the schema")
            if parent in ancestors:
                raise InvalidSchema(f"label '{label.name}' is its own ancestor")
            ancestors.add(parent)
            parent = parents[parent]

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, name: object) -> bool:
        return any(label.name == name for label in self.labels)

    def __getitem__(self, name: str) -> Label:
        for label in self.labels:
            if label.name == name:
                return label
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One object in an image. `confidence` is a fraction; people who label by hand give 1.

    Two annotations are equal when the same was labeled, whoever did it: `provenance` is not compared.
    """

    label: str
    shape: Shape
    confidence: float = 1.0
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    provenance: Provenance = field(default=UNKNOWN, compare=False)

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError("an annotation needs a label")
        if not 0 <= self.confidence <= 1:  # also false for NaN
            raise ValueError(f"confidence is a fraction from 0 to 1, not {self.confidence}")

    @property
    def labeler(self) -> str | None:
        return self.provenance.labeler

    @property
    def labeled_at(self) -> datetime | None:
        """When it was changed last, or else created."""
        return self.provenance.labeled_at

    @property
    def origin(self) -> Origin | None:
        return self.provenance.origin


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one labeler says about an image. Without annotations: that there is nothing in it."""

    labeler: str | None
    annotations: tuple[Annotation, ...] = ()
    labeled_at: datetime | None = None
    seconds: float | None = None
    """Time that the labeler spent on the image."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labeled_at", in_utc(self.labeled_at))
        object.__setattr__(self, "seconds", checked_seconds(self.seconds))


@dataclass(frozen=True, slots=True)
class LabeledImage:
    """A labeled image and its annotations. Without annotations it is a negative example.

    An image that nobody looked at yet has no LabeledImage: the difference is never lost.
    """

    name: str
    size: Size | None
    """None where the platform does not know it, as of an image without annotations: the manifest has it."""
    annotations: Sequence[Annotation] = ()
    """A tuple, or `Boxes`."""
    remote_id: str = ""
    """The platform's id of the image."""
    state: ImageState = ImageState.LABELED
    """LABELED or EMPTY, as the annotations say; ACCEPTED or REJECTED where the platform has a review that said so."""
    opinions: tuple[Opinion, ...] = ()
    """Where the platform reports more than one; `annotations` is the answer that datasets take."""

    def __post_init__(self) -> None:
        if self.state is ImageState.LABELED or self.state is ImageState.EMPTY:
            object.__setattr__(self, "state", ImageState.LABELED if self.annotations else ImageState.EMPTY)
        elif self.state not in REVIEWED:
            raise ValueError(f"an image that is {self.state.value} has no labels")


REVIEWED = (ImageState.ACCEPTED, ImageState.REJECTED)
"""States of labeled images that only a review gives."""
