"""Validates labels before they are registered: strict, without corrections, and with a list of all findings.

A shape outside its image is a finding even when it is only half a pixel: adapters clamp shapes, since they know how
their platform rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from labelwright.domain import Geometry, LabelSchema

from .spool.batch import Batch, Delivered, StockedImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 20
"""Examples that are kept for each kind of finding; the others are only counted."""

_ADVICE = {
    "missing": (
        "images without labels, neither skipped nor deleted on the platform",
        "wait until the platform has them labeled, then read the labels again",
    ),
    "unknown": ("labeled images that the campaign does not have", "find out who put them into the campaign"),
    "nothing": (
        "reason why nothing is left to deliver",
        "put images back on the platform and have them labeled, or cancel the campaign: labelwright cancel CAMPAIGN",
    ),
    "both": (
        "images both labeled and excluded",
        "read the labels again; if this happens again, look at the image on the platform",
    ),
    "repeated": ("images delivered more than once", "empty the spool and read all pages again"),
    "manifest": ("images listed twice in the manifest", "correct the manifest: names and positions must be unique"),
    "size": ("images of another size than the manifest's", "compare the image on the platform with the file (EXIF?)"),
    "outside": ("shapes outside their image", "correct them on the platform, or clamp them in its adapter"),
    "label": ("labels that the schema does not have", "add them to the schema, or correct them on the platform"),
    "geometry": ("labels whose shape the schema does not allow", "correct them, or allow more in the label's geometry"),
    "count": (
        "counts that differ from the platform's",
        "read the labels again; if they still differ, ask the platform",
    ),
}


@dataclass(slots=True)
class Finding:
    """Everything of one kind that is wrong: how often, and the first few examples."""

    kind: str
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        problem, next_step = _ADVICE[self.kind]
        lines = [f"{self.count} x {problem}. Next: {next_step}.", *(f"    {example}" for example in self.examples)]
        if self.count > len(self.examples):
            lines.append(f"    ... and {self.count - len(self.examples)} more")
        return "\n".join(lines)


class ValidationFailed(ValueError):
    """The labels must not be registered. `findings` has an entry for each kind, the message lists all of them."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("nothing was registered:\n" + "\n".join(f"  {finding}" for finding in self.findings))


@dataclass(frozen=True, slots=True)
class ValidationPassed:
    """Counts of valid labels."""

    images: int
    annotations: int
    excluded: int = 0
    """Images of the campaign that are in no dataset, each with its reason."""


class LabelValidator:
    """Checks every batch that is added; `close` raises ValidationFailed or returns the counts."""

    def __init__(self, schema: LabelSchema) -> None:
        self._allowed = {label.name: label.geometry for label in schema.labels}
        self._findings: dict[str, Finding] = {}
        self._names: set[int] = set()
        self._positions: set[int] = set()
        self.images = 0
        self.annotations = 0
        self.excluded = 0

    def note(self, kind: str, example: str) -> None:
        finding = self._findings.setdefault(kind, Finding(kind))
        finding.count += 1
        if len(finding.examples) < SHOWN:
            finding.examples.append(example)

    def add(self, batch: Batch) -> None:
        self.images += len(batch.images)
        self.annotations += batch.objects + sum(map(len, batch.tags.values()))
        self.excluded += len(batch.excluded)
        for image in batch.missing:
            self.note("missing", image.name)
        self._check_manifest(batch.images + batch.missing + batch.excluded)
        sizes = [(image.size.width, image.size.height) for image in batch.images]
        if sizes != batch.sizes:
            self._note_sizes(batch)
        self._check_corners(batch, np.array(sizes, dtype=np.float64).reshape(-1, 2))
        self._check_labels(batch)

    def close(
        self, labels: Delivered, *, expected_done: int | None = None, expected_objects: int | None = None
    ) -> ValidationPassed:
        for name in labels.unknown():
            self.note("unknown", name)
        for name in labels.repeated():
            self.note("repeated", name)
        excluded = labels.excluded()
        for name in labels.both():
            self.note("both", f"{name}: {excluded[name].state.value}, and it has labels")
        if self.excluded and not self.images:
            states = Counter(image.state.value for image in excluded.values())
            counts = ", ".join(f"{count} {state}" for state, count in states.items())
            self.note("nothing", f"no image of the campaign can be delivered: {counts}")
        for unit, read, expected in (
            ("images", self.images + self.excluded, expected_done),
            ("annotations", self.annotations, expected_objects),
        ):
            if expected is not None and read != expected:
                self.note("count", f"{read} {unit} were read, the platform counts {expected}")
        if self._findings:
            raise ValidationFailed(self._findings[kind] for kind in _ADVICE if kind in self._findings)
        return ValidationPassed(self.images, self.annotations, self.excluded)

    def _check_manifest(self, images: list[StockedImage]) -> None:
        """Notes names and positions that occur twice. Names are kept as hashes, which take little memory."""
        names = {hash(image.name) for image in images}
        positions = {image.position for image in images}
        repeated = len(names) < len(images) or len(positions) < len(images)
        if repeated or not (self._names.isdisjoint(names) and self._positions.isdisjoint(positions)):
            for image in images:
                if hash(image.name) in self._names or image.position in self._positions:
                    self.note("manifest", f"{image.name}, position {image.position}")
                self._names.add(hash(image.name))
                self._positions.add(image.position)
        self._names |= names
        self._positions |= positions

    def _note_sizes(self, batch: Batch) -> None:
        for image, (width, height) in zip(batch.images, batch.sizes, strict=True):
            if (width, height) != (image.size.width, image.size.height):
                expected = f"{image.size.width} x {image.size.height}"
                self.note("size", f"{image.name}: {width} x {height} on the platform, {expected} in the manifest")

    def _check_corners(self, batch: Batch, sizes: NDArray[np.float64]) -> None:
        if not batch.objects:
            return
        limits = np.repeat(sizes, batch.counts, axis=0)
        corners = batch.corners
        # Written so that NaN, which every comparison denies, counts as outside.
        inside = (corners[:, :2] >= 0).all(axis=1) & (corners[:, 2:] <= limits).all(axis=1)
        self._note_objects("outside", batch, np.flatnonzero(~inside), lambda index: f"{corners[index].tolist()}")

    def _check_labels(self, batch: Batch) -> None:
        geometries = [self._allowed.get(name) for name in batch.names]
        unknown = np.array([geometry is None for geometry in geometries], dtype=bool)
        self._note_objects("label", batch, np.flatnonzero(unknown[batch.codes]), lambda index: "")
        outlined = np.zeros(batch.objects, dtype=bool)
        outlined[[index for index, drawing in batch.drawings.items() if drawing.outlined]] = True
        for drawn, objects in ((Geometry.BOX, ~outlined), (Geometry.POLYGON, outlined)):
            refused = np.array([geometry not in (None, Geometry.ANY, drawn) for geometry in geometries], dtype=bool)
            indices = np.flatnonzero(refused[batch.codes] & objects)
            self._note_objects("geometry", batch, indices, partial(self._geometry_conflict, batch, drawn))
        for index, tags in batch.tags.items():
            for tag in tags:
                geometry = self._allowed.get(tag.label)
                text = f"{batch.images[index].name}: {tag.label} of the whole image"
                if geometry is None:
                    self.note("label", text)
                elif geometry not in (Geometry.IMAGE, Geometry.ANY):
                    self.note("geometry", f"{text}, the schema says {geometry.value}")

    def _geometry_conflict(self, batch: Batch, drawn: Geometry, index: int) -> str:
        return f"is a {drawn.value}, the schema says {self._allowed[batch.label(index)].value}"

    def _note_objects(self, kind: str, batch: Batch, indices: Iterable[int], describe: Callable[[int], str]) -> None:
        remaining = {int(index) for index in indices}
        if not remaining:
            return
        for image_index, index in batch.owners():
            if index in remaining:
                image = batch.images[image_index]
                size = f"{image.size.width} x {image.size.height}"
                self.note(kind, f"{image.name} ({size}): {batch.label(index)} {describe(index)}".rstrip())


def validate_labels(
    labels: Delivered,
    schema: LabelSchema,
    *,
    expected_done: int | None = None,
    expected_objects: int | None = None,
) -> ValidationPassed:
    """Returns the counts of valid labels, or raises ValidationFailed with all findings.

    Every image of the manifest is there once or excluded with a reason (never both), and no other one; each is of the
    size that the manifest says; every shape lies in its image; every label is in the schema and drawn as it allows; the
    counts are the platform's: `expected_done` images, those that are excluded counted too, and `expected_objects`
    annotations of any kind (None: the platform does not say). Labels of no image at all are refused.
    """
    validator = LabelValidator(schema)
    for batch in labels.batches():
        validator.add(batch)
    return validator.close(labels, expected_done=expected_done, expected_objects=expected_objects)
