"""The gate before a dataset is registered: it is strict, it mends nothing, and it says everything that it found.

Shapes that a platform gives as much as half a pixel outside their image are the adapter's to clamp, where it is known
how the platform rounds; here outside is outside.
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
"""Findings of one kind that are kept as examples; the others are counted."""

_WHAT_TO_DO = {
    "missing": (
        "images without labels, neither skipped nor deleted on the platform",
        "wait until the platform has them labeled, then read the labels again",
    ),
    "unknown": ("labeled images that the campaign does not have", "find out who put them into the campaign"),
    "nothing": (
        "reason why nothing is left to deliver",
        "put images back on the platform and have them labeled, or give the campaign up: labelwright cancel CAMPAIGN",
    ),
    "both": (
        "images both labeled and excluded",
        "read the labels again; if it stays, look at the image on the platform",
    ),
    "repeated": ("images delivered more than once", "empty the spool and read all pages again"),
    "manifest": ("images that stand in the manifest more than once", "mend the manifest: names and places are unique"),
    "size": ("images of another size than the manifest's", "compare the image on the platform with the file (EXIF?)"),
    "outside": ("shapes outside their image", "correct them on the platform, or clamp them in its adapter"),
    "label": ("labels that the schema does not have", "add them to the schema, or correct them on the platform"),
    "geometry": ("labels drawn in a way that the schema does not allow", "correct them, or widen the label's geometry"),
    "count": (
        "counts that differ from the platform's",
        "read the labels again; if they still differ, ask the platform",
    ),
}


@dataclass(slots=True)
class Finding:
    """Everything of one kind that is wrong: how often, and the first few in words."""

    kind: str
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        what, next_step = _WHAT_TO_DO[self.kind]
        lines = [f"{self.count} x {what}. Next: {next_step}.", *(f"    {one}" for one in self.examples)]
        if self.count > len(self.examples):
            lines.append(f"    ... and {self.count - len(self.examples)} more")
        return "\n".join(lines)


class GateRefused(ValueError):
    """The labels are not fit to be registered. `findings` has them by kind, the message all of them in words."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("nothing was registered:\n" + "\n".join(f"  {finding}" for finding in self.findings))


@dataclass(frozen=True, slots=True)
class GatePassed:
    """What went through."""

    images: int
    annotations: int
    excluded: int = 0
    """Images of the campaign that are in no dataset, each with its reason."""


class Gate:
    """Looks at every batch; `close` raises GateRefused or says what passed."""

    def __init__(self, schema: LabelSchema) -> None:
        self._allowed = {label.name: label.geometry for label in schema.labels}
        self._findings: dict[str, Finding] = {}
        self._names: set[int] = set()
        self._positions: set[int] = set()
        self.images = 0
        self.annotations = 0
        self.excluded = 0

    def note(self, kind: str, what: str) -> None:
        finding = self._findings.setdefault(kind, Finding(kind))
        finding.count += 1
        if len(finding.examples) < SHOWN:
            finding.examples.append(what)

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
    ) -> GatePassed:
        for name in labels.unknown():
            self.note("unknown", name)
        for name in labels.repeated():
            self.note("repeated", name)
        excluded = labels.excluded()
        for name in labels.both():
            self.note("both", f"{name}: {excluded[name].state.value}, and it has labels")
        if self.excluded and not self.images:
            states = Counter(one.state.value for one in excluded.values())
            every = ", ".join(f"{count} {state}" for state, count in states.items())
            self.note("nothing", f"no image of the campaign can be delivered: {every}")
        for what, ours, theirs in (
            ("images", self.images + self.excluded, expected_done),
            ("annotations", self.annotations, expected_objects),
        ):
            if theirs is not None and ours != theirs:
                self.note("count", f"{ours} {what} were read, the platform counts {theirs}")
        if self._findings:
            raise GateRefused(self._findings[kind] for kind in _WHAT_TO_DO if kind in self._findings)
        return GatePassed(self.images, self.annotations, self.excluded)

    def _check_manifest(self, images: list[StockedImage]) -> None:
        """Names by their hashes: 100,000 of them cost little. Two names of one hash are 1 in a billion campaigns."""
        names = {hash(image.name) for image in images}
        positions = {image.position for image in images}
        twice = len(names) < len(images) or len(positions) < len(images)
        if twice or not (self._names.isdisjoint(names) and self._positions.isdisjoint(positions)):
            for image in images:
                if hash(image.name) in self._names or image.position in self._positions:
                    self.note("manifest", f"{image.name}, place {image.position}")
                self._names.add(hash(image.name))
                self._positions.add(image.position)
        self._names |= names
        self._positions |= positions

    def _note_sizes(self, batch: Batch) -> None:
        for image, (width, height) in zip(batch.images, batch.sizes, strict=True):
            if (width, height) != (image.size.width, image.size.height):
                ours = f"{image.size.width} x {image.size.height}"
                self.note("size", f"{image.name}: {width} x {height} on the platform, {ours} in the manifest")

    def _check_corners(self, batch: Batch, sizes: NDArray[np.float64]) -> None:
        if not batch.objects:
            return
        limits = np.repeat(sizes, batch.counts, axis=0)
        corners = batch.corners
        # Written so that NaN, which every comparison denies, counts as outside.
        inside = (corners[:, :2] >= 0).all(axis=1) & (corners[:, 2:] <= limits).all(axis=1)
        self._note_objects("outside", batch, np.flatnonzero(~inside), lambda place: f"{corners[place].tolist()}")

    def _check_labels(self, batch: Batch) -> None:
        geometries = [self._allowed.get(name) for name in batch.names]
        strange = np.array([geometry is None for geometry in geometries], dtype=bool)
        self._note_objects("label", batch, np.flatnonzero(strange[batch.codes]), lambda place: "")
        # Of what remains, what is not a box where the label is one, nor a polygon where it is one.
        outlined = np.zeros(batch.objects, dtype=bool)
        outlined[[place for place, drawing in batch.drawings.items() if drawing.outlined]] = True
        for drawn, those in ((Geometry.BOX, ~outlined), (Geometry.POLYGON, outlined)):
            wrong = np.array([geometry not in (None, Geometry.ANY, drawn) for geometry in geometries], dtype=bool)
            places = np.flatnonzero(wrong[batch.codes] & those)
            self._note_objects("geometry", batch, places, partial(self._wrongly, batch, drawn))
        for number, tags in batch.tags.items():
            for tag in tags:
                geometry = self._allowed.get(tag.label)
                where = f"{batch.images[number].name}: {tag.label} of the whole image"
                if geometry is None:
                    self.note("label", where)
                elif geometry not in (Geometry.IMAGE, Geometry.ANY):
                    self.note("geometry", f"{where}, the schema says {geometry.value}")

    def _wrongly(self, batch: Batch, drawn: Geometry, place: int) -> str:
        return f"is a {drawn.value}, the schema says {self._allowed[batch.label(place)].value}"

    def _note_objects(self, kind: str, batch: Batch, places: Iterable[int], what: Callable[[int], str]) -> None:
        wanted = {int(place) for place in places}
        if not wanted:
            return
        for image, place in batch.owners():
            if place in wanted:
                one = batch.images[image]
                text = f"{one.name} ({one.size.width} x {one.size.height}): {batch.label(place)} {what(place)}"
                self.note(kind, text.rstrip())


def check(
    labels: Delivered,
    schema: LabelSchema,
    *,
    expected_done: int | None = None,
    expected_objects: int | None = None,
) -> GatePassed:
    """Passes the labels, or raises GateRefused with all findings.

    Every image of the manifest is there once or excluded with a reason (never both), and no other one; each is of the
    size that the manifest says; every shape lies in its image; every label is in the schema and drawn as it allows; the
    counts are the platform's: `expected_done` images, those that are excluded counted too, and `expected_objects`
    annotations of any kind (None: the platform does not say). Labels of no image at all are refused.
    """
    gate = Gate(schema)
    for batch in labels.batches():
        gate.add(batch)
    return gate.close(labels, expected_done=expected_done, expected_objects=expected_objects)
