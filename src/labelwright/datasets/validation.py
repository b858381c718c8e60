"""Validates labels before they are registered: strict, without corrections, and with a list of all findings.

Faults of single images (`IMAGE_KINDS`) leave those images out of a delivery that takes what is there; faults of the
whole, such as counts that do not agree, stop every delivery.

A shape outside its image is a finding even when it is only half a pixel: adapters clamp shapes, since they know how
their platform rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from labelwright.domain import Geometry, ImageState, LabelSchema

from .delivery import REASONS, SETTLED, Delivery, ListedImage, Reason, joined_places
from .spool.batch import UNKNOWN_SIZE, Batch, Delivered, StockedImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 20
"""Examples that are kept for each kind of finding; the others are only counted."""

_ADVICE = {
    "missing": (
        "images without labels, neither skipped nor deleted on the platform",
        "wait until the platform has them labeled, then read the labels again",
    ),
    "rejected": (
        "images whose labels a review rejected",
        "have them corrected and accepted on the platform, then read the labels again",
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
    "size": (
        "images of another size than the manifest's",
        "compare the image on the platform with the file (EXIF?); reopening does not change it",
    ),
    "outside": ("shapes outside their image", "correct them on the platform, or clamp them in its adapter"),
    "label": ("labels that the schema does not have", "add them to the schema, or correct them on the platform"),
    "geometry": ("labels whose shape the schema does not allow", "correct them, or allow more in the label's geometry"),
    "count": (
        "counts that differ from the platform's",
        "read the labels again; if they still differ, ask the platform",
    ),
}


IMAGE_KINDS: Mapping[str, tuple[Reason, str]] = MappingProxyType(
    {
        "missing": (Reason.NOT_LABELED, ""),
        "rejected": (Reason.REJECTED, ""),
        "size": (Reason.WRONG_SIZE, ""),
        "outside": (Reason.SHAPE_REFUSED, "outside its image"),
        "label": (Reason.SHAPE_REFUSED, "label not in the schema"),
        "geometry": (Reason.SHAPE_REFUSED, "geometry not allowed"),
    }
)
"""Kinds of findings that concern single images: the reason for which such an image is listed, and what is wrong."""

_NONE: Mapping[str, str] = MappingProxyType({})

Unlabeled = Mapping[str, tuple[ImageState, str]]
"""State on the platform, and where it is there, of images that are not labeled, by name."""


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

    error_code = "LW5010"

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        listed = "".join(f"\n  {finding}" for finding in self.findings)
        super().__init__(f"nothing was registered{':' if listed else ''}{listed}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.findings,)


class NotReady(ValidationFailed):
    """Images of the campaign cannot be delivered, and a delivery of the others was not asked for."""

    error_code = "LW5016"

    def __init__(self, findings: Iterable[Finding], delivery: Delivery, advice: str = "") -> None:
        super().__init__(findings)
        self.delivery, self.advice = delivery, advice
        self.args = (f"{delivery.sentence()}. {self.args[0]}{advice}",)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.findings, self.delivery, self.advice)


@dataclass(frozen=True, slots=True)
class ValidationPassed:
    """Counts of valid labels."""

    images: int
    annotations: int
    excluded: int = 0
    """Images of the campaign that are in no dataset, each with its reason."""


class LabelValidator:
    """Checks every batch that is added; `close` raises ValidationFailed or returns what can be delivered."""

    def __init__(self, schema: LabelSchema) -> None:
        self._allowed = {label.name: label.geometry for label in schema.labels}
        self._findings: dict[str, Finding] = {}
        self._names: set[int] = set()
        self._positions: set[int] = set()
        self._excluded: list[StockedImage] = []
        self._listed: dict[str, tuple[int, Reason, list[str]]] = {}
        self._empty: set[str] = set()
        self._in_rework: set[str] = set()
        self._manifest = 0
        self.images = 0
        self.annotations = 0
        self.excluded = 0

    @property
    def findings(self) -> list[Finding]:
        return [self._findings[kind] for kind in _ADVICE if kind in self._findings]

    def note(self, kind: str, example: str, image: StockedImage | None = None, place: str = "") -> None:
        """Notes a finding; one of a single image lists the image too, with the place."""
        finding = self._findings.setdefault(kind, Finding(kind))
        finding.count += 1
        if len(finding.examples) < SHOWN:
            finding.examples.append(example)
        if image is not None:
            reason, what = IMAGE_KINDS[kind]
            self._list(image, reason, ": ".join(text for text in (what, place) if text))

    def _list(self, image: StockedImage, reason: Reason, place: str) -> None:
        _, _, places = self._listed.setdefault(image.name, (image.position, reason, []))
        places.append(place)

    def add(self, batch: Batch) -> None:
        self.images += len(batch.images)
        self.annotations += batch.objects + sum(map(len, batch.tags.values()))
        self._excluded += batch.excluded
        self._manifest += len(batch.images) + len(batch.missing) + len(batch.excluded)
        if 0 in batch.counts:
            empty = (index for index, count in enumerate(batch.counts) if not count and index not in batch.tags)
            self._empty |= {batch.images[index].name for index in empty}
        for image in batch.missing:
            self.note("missing", image.name, image, f"image {image.remote_id}" if image.remote_id else "")
        for image in batch.rejected:
            self.note("rejected", image.name, image, "its labels were rejected in a review")
            self._in_rework.add(image.name)
        self._check_manifest(batch.images + batch.missing + batch.excluded)
        sizes = [(image.size.width, image.size.height) for image in batch.images]
        if sizes != batch.sizes:
            self._note_sizes(batch)
        self._check_corners(batch, np.array(sizes, dtype=np.float64).reshape(-1, 2))
        self._check_labels(batch)

    def close(
        self,
        labels: Delivered,
        *,
        expected_images: int | None = None,
        expected_done: int | None = None,
        earlier_done: int | None = None,
        expected_objects: int | None = None,
        labeling_open: bool = False,
        unlabeled: Unlabeled = MappingProxyType({}),
        drawn_wrong: Mapping[str, str] = _NONE,
    ) -> Delivery:
        """What can be delivered. Raises ValidationFailed for faults of the whole. See `check_delivery`."""
        self._list_excluded(labels, labeling_open)
        for name in labels.unknown():
            self.note("unknown", name)
        if not labeling_open:
            for name in labels.repeated():
                self.note("repeated", name)
        self._check_counts("images", self.images + self.excluded, expected_done, earlier_done)
        self._check_counts("annotations", self.annotations, expected_objects)
        delivery = self._delivery(labels, unlabeled, drawn_wrong)
        checked = delivery.delivered + len(delivery.listed)
        if expected_images is not None and checked != expected_images:
            self.note("count", f"{checked} images were checked, the campaign's manifest has {expected_images}")
        if self._findings.keys() - IMAGE_KINDS.keys():
            raise ValidationFailed(self.findings)
        return delivery

    def _list_excluded(self, labels: Delivered, labeling_open: bool) -> None:
        """Lists excluded images by their states; one that is labeled too is a fault unless labelers are at work."""
        excluded = labels.excluded()
        for image in self._excluded:
            reason = REASONS.get(excluded[image.name].state, Reason.NOT_LABELED)
            if reason in SETTLED:
                self.excluded += 1
                self._list(image, reason, excluded[image.name].detail)
            else:
                self.note("missing", f"{image.name}: {excluded[image.name].state.value}")
                self._list(image, reason, excluded[image.name].detail)
        if not labeling_open:
            for name in labels.both():
                self.note("both", f"{name}: {excluded[name].state.value}, and it has labels")
        if self.excluded and self.excluded == self._manifest:
            states = Counter(image.state.value for image in excluded.values())
            counts = ", ".join(f"{count} {state}" for state, count in states.items())
            self.note("nothing", f"no image of the campaign can be delivered: {counts}")

    def _check_counts(self, unit: str, read: int, expected: int | None, earlier: int | None = None) -> None:
        if expected is None:
            return
        low, high = sorted((expected, expected if earlier is None else earlier))
        if not low <= read <= high:
            counted = f"{low}" if low == high else f"{low} to {high}"
            self.note("count", f"{read} {unit} were read, the platform counts {counted}")

    def _delivery(self, labels: Delivered, unlabeled: Unlabeled, drawn_wrong: Mapping[str, str]) -> Delivery:
        both, excluded = set(labels.both()), labels.excluded()
        if both or drawn_wrong:
            for image in (image for batch in labels.batches() for image in batch.images):
                if image.name in both:
                    reason = REASONS.get(excluded[image.name].state, Reason.NOT_LABELED)
                    self._listed[image.name] = (image.position, reason, [excluded[image.name].detail])
                elif image.name in drawn_wrong:
                    self._list(image, Reason.SHAPE_REFUSED, drawn_wrong[image.name])
        listed = []
        for name, (_, reason, places) in sorted(self._listed.items(), key=lambda item: (item[1][0], item[0])):
            place, can_change = joined_places([place for place in places if place]), name in self._in_rework
            if reason is Reason.NOT_LABELED and name in unlabeled:
                state, detail = unlabeled[name]
                listed.append(_unlabeled(name, state, detail or place))
            else:
                listed.append(ListedImage(name, reason, place, can_change))
        return Delivery(self._manifest, tuple(listed), len(self._empty - self._listed.keys()))

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
            if (width, height) not in (UNKNOWN_SIZE, (image.size.width, image.size.height)):
                expected = f"{image.size.width} x {image.size.height}"
                place = f"{width} x {height} on the platform, {expected} in the manifest"
                self.note("size", f"{image.name}: {place}", image, place)

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
                geometry, image = self._allowed.get(tag.label), batch.images[index]
                place = f"{tag.label} of the whole image"
                if geometry is None:
                    self.note("label", f"{image.name}: {place}", image, place)
                elif geometry not in (Geometry.IMAGE, Geometry.ANY):
                    place = f"{place}, the schema says {geometry.value}"
                    self.note("geometry", f"{image.name}: {place}", image, place)

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
                place = f"{batch.label(index)} {describe(index)}".rstrip()
                self.note(kind, f"{image.name} ({size}): {place}", image, place)


def _unlabeled(name: str, state: ImageState, place: str) -> ListedImage:
    """An image that is not labeled, in this state on the platform."""
    reason = REASONS.get(state, Reason.NOT_LABELED)
    return ListedImage(name, reason, place, can_change=reason is Reason.REJECTED)


def check_delivery(
    labels: Delivered,
    schema: LabelSchema,
    *,
    accept_partial: bool = False,
    expected_images: int | None = None,
    expected_done: int | None = None,
    earlier_done: int | None = None,
    expected_objects: int | None = None,
    labeling_open: bool = False,
    unlabeled: Unlabeled = MappingProxyType({}),
    drawn_wrong: Mapping[str, str] = _NONE,
) -> Delivery:
    """Decides which images are delivered, and lists every other image of the manifest with its reason.

    Args:
        accept_partial: leave out images that are not labeled or not valid; otherwise they raise NotReady.
        expected_images: the number of images in the campaign's manifest.
        expected_done: images that the platform counts as done, those that are excluded counted too.
        earlier_done: the same before the labels were read, while labelers are at work.
        expected_objects: annotations of any kind that the platform counts.
        labeling_open: labelers are at work, so that an image may come twice, or be skipped after it was read.
        unlabeled: what the platform says of images that are not labeled.
        drawn_wrong: by name, images of which shapes were dropped, see `images_drawn_wrong`.

    Raises ValidationFailed for faults of the whole: an image that the campaign does not have, names that occur twice,
    counts that do not agree, nothing left to deliver.
    """
    validator = LabelValidator(schema)
    for batch in labels.batches():
        validator.add(batch)
    delivery = validator.close(
        labels,
        expected_images=expected_images,
        expected_done=expected_done,
        earlier_done=earlier_done,
        expected_objects=expected_objects,
        labeling_open=labeling_open,
        unlabeled=unlabeled,
        drawn_wrong=drawn_wrong,
    )
    if validator.findings and not accept_partial:
        raise NotReady(validator.findings, delivery)
    return delivery


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
    validator.close(labels, expected_done=expected_done, expected_objects=expected_objects)
    if validator.findings:
        raise ValidationFailed(validator.findings)
    return ValidationPassed(validator.images, validator.annotations, validator.excluded)
