"""Compares a backup with a server: projects, annotations and files. Every difference is reported as a sentence."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import CoordinateUnit, GetiLabel, GetiMedium, GetiProject
from labelwright.platforms.geti.reencoding import PixelDifference, pixel_difference

from .archive import (
    ArchivedAnnotation,
    ArchivedLabel,
    ArchivedMedium,
    ArchivedProject,
    ArchivedScene,
    ArchivedTask,
)
from .folder import HashingFile, hash_of
from .parameters import Parameters

_CONVERSION = 1e-3
"""Pixels lost at most by converting fractions to pixels and back."""
_HALF_PIXEL = 0.5 + _CONVERSION
_NUMBERS = ("x", "y", "width", "height", "angle")


@dataclass
class Report:
    """Result of a comparison. A backup equals the server when `differences` is empty."""

    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Deviations that are expected, such as rounded coordinates."""
    not_compared: list[str] = field(default_factory=list)
    """Values that could not be read from the backup or the server, so that nobody knows whether they are equal."""
    reencoded: list[str] = field(default_factory=list)
    """Images that the server re-encoded: other bytes, the same pixels within the loss of encoding."""

    def merge(self, other: Report) -> None:
        self.differences += other.differences
        self.notes += other.notes
        self.not_compared += other.not_compared
        self.reencoded += other.reencoded


def not_saved(project: ArchivedProject) -> list[str]:
    """Settings of a project that are not in its backup, each with the reason."""
    return [f"{name} is not in the backup: {reason}" for name, reason in project.not_read.items()]


# Projects


def compare_projects(
    archived: ArchivedProject, project: GetiProject, current: Parameters, tasks: Sequence[ArchivedTask]
) -> Report:
    """Compares kind, labels and configuration. `tasks` are the server project's, in the archive's form."""
    report = Report()
    if archived.kind != project.kind:
        report.differences.append(f"the kind is '{project.kind}', not '{archived.kind}'")
    for index, (archived_task, task) in enumerate(zip(archived.tasks, tasks, strict=False)):
        _compare_tasks(report, archived_task, task, index)
    report.not_compared += not_saved(archived)
    report.not_compared += [
        f"{name} of the server {reason}" for name, reason in current.not_read.items() if name not in archived.not_read
    ]
    is_known = archived.auto_train is not None and (current.auto_train is not None or not current.not_read)
    if is_known and current.auto_train is not archived.auto_train:
        report.differences.append(f"auto-train is {current.auto_train}, not {archived.auto_train}")
    incomplete = bool(current.not_read)
    _compare_values(report, "iterations of task", archived.iterations, current.iterations, incomplete=incomplete)
    _compare_values(report, "parameter", archived.parameters, current.others, incomplete=incomplete)
    return report


def _compare_values(
    report: Report, kind: str, archived: Mapping[str, Any], current: Mapping[str, Any], *, incomplete: bool
) -> None:
    """Compares values by key. `incomplete`: some of the server's could not be read, so a missing one means nothing."""
    for key, value in archived.items():
        if key in current:
            if current[key] != value:
                report.differences.append(f"{kind} {key} is {current[key]!r}, not {value!r}")
        elif not incomplete:
            report.notes.append(f"{kind} {key} is {value!r} in the backup, and does not exist on the server")


def _compare_tasks(report: Report, archived: ArchivedTask, task: ArchivedTask, index: int) -> None:
    if archived.title and archived.title != task.title:
        report.differences.append(f"task {index} is called '{task.title}', not '{archived.title}'")
    labels = {label.name: label for label in task.labels if not label.is_empty}
    for archived_label in archived.labels:
        if archived_label.is_empty:
            _compare_empty_labels(report, archived_label, task)
            continue
        label = labels.pop(archived_label.name, None)
        if label is None:
            report.differences.append(f"'{task.title}' has no label '{archived_label.name}'")
        else:
            _compare_labels(report, archived_label, label)
    report.differences += [f"'{task.title}' has a label '{name}' that is not in the backup" for name in labels]


def _compare_empty_labels(report: Report, archived: GetiLabel, task: ArchivedTask) -> None:
    """Another name is only a note: it differs between versions."""
    empty = next((label for label in task.labels if label.is_empty), None)
    if empty is None:
        report.differences.append(f"'{task.title}' has no empty label ('{archived.name}' in the backup)")
    elif empty.name != archived.name:
        report.notes.append(f"the empty label of '{task.title}' is called '{empty.name}', not '{archived.name}'")


def _compare_labels(report: Report, archived: GetiLabel, label: GetiLabel) -> None:
    """Properties that are empty in the backup are not compared: the server chose them."""
    for name, saved, current in (
        ("colour", archived.color.lower(), label.color.lower()),
        ("group", archived.group, label.group),
        ("hotkey", archived.hotkey, label.hotkey),
        ("parent", archived.parent_id or "", label.parent_id or ""),
    ):
        if saved and saved != current:
            report.differences.append(f"the {name} of label '{archived.name}' is '{current}', not '{saved}'")


# Annotations


@dataclass(frozen=True, slots=True)
class _PixelAnnotation:
    """An annotation in pixels, in a form that does not depend on the server's names of empty and anomalous labels."""

    type: str
    labels: tuple[tuple[int, str, bool, float], ...]
    """Index of the task, name, whether it is the empty label, probability."""
    numbers: tuple[float, ...]

    def sort_key(self) -> tuple[Any, ...]:
        return self.type, self.labels, tuple(round(number, 2) for number in self.numbers)

    def distance(self, other: _PixelAnnotation) -> float | None:
        """Largest difference of two coordinates; None for other types, labels or numbers of points."""
        if (self.type, self.labels, len(self.numbers)) != (other.type, other.labels, len(other.numbers)):
            return None
        return max((abs(a - b) for a, b in zip(self.numbers, other.numbers, strict=True)), default=0.0)

    def describe(self) -> str:
        labels = ", ".join(f"{name or 'the empty label'} {probability:g}" for _, name, _, probability in self.labels)
        numbers = ", ".join(f"{number:.6g}" for number in self.numbers[:8])
        return f"{self.type} of {labels} at ({numbers}{', ...' if len(self.numbers) > 8 else ''})"


def compare_scenes(
    medium: ArchivedMedium, archived_unit: CoordinateUnit, scenes: Iterable[ArchivedScene], unit: CoordinateUnit
) -> Report:
    """Compares the annotations of a medium in the backup with the server's.

    Coordinates must be equal in the same unit, and equal within a thousandth of a pixel in different ones. Coordinates
    that the server rounded are a note: 2.x stores fractions of pixels and returns whole ones.
    """
    saved = {scene.frame: scene for scene in medium.scenes if scene.annotations}
    current = {scene.frame: scene for scene in scenes if scene.annotations}
    tolerance = 0.0 if archived_unit is unit else _CONVERSION
    report = Report()
    roundings: list[float] = []

    def is_same(annotation: _PixelAnnotation, candidate: _PixelAnnotation) -> bool:
        distance = annotation.distance(candidate)
        return distance is not None and distance <= tolerance

    def is_rounded(annotation: _PixelAnnotation, candidate: _PixelAnnotation) -> bool:
        distance = _rounding(annotation, candidate)
        if distance is not None:
            roundings.append(distance)
        return distance is not None

    for frame in sorted(saved.keys() | current.keys(), key=lambda frame: -1 if frame is None else frame):
        subject = _describe_medium(medium) + (f", frame {frame}" if frame is not None else "")
        missing = _pixel_annotations(saved.get(frame), archived_unit, medium)
        surplus = _pixel_annotations(current.get(frame), unit, medium)
        missing, surplus = _remove_matches(missing, surplus, is_same)
        if unit is CoordinateUnit.PIXELS:
            missing, surplus = _remove_matches(missing, surplus, is_rounded)
        report.differences += [f"{subject} lacks {annotation.describe()}" for annotation in missing]
        report.differences += [
            f"{subject} has {annotation.describe()}, which is not in the backup" for annotation in surplus
        ]
    if roundings:
        detail = f"{len(roundings)} annotations are rounded by the server, by up to {max(roundings):.2g} pixels"
        report.notes.append(f"{_describe_medium(medium)}: {detail}")
    return report


def _describe_medium(medium: ArchivedMedium) -> str:
    return f"{medium.type} '{medium.name}' ({medium.id})"


def _pixel_annotations(
    scene: ArchivedScene | None, unit: CoordinateUnit, medium: ArchivedMedium
) -> list[_PixelAnnotation]:
    annotations = scene.annotations if scene is not None else ()
    converted = [_pixel_annotation(annotation, unit, medium) for annotation in annotations]
    return sorted(converted, key=_PixelAnnotation.sort_key)


def _pixel_annotation(annotation: ArchivedAnnotation, unit: CoordinateUnit, medium: ArchivedMedium) -> _PixelAnnotation:
    shape = annotation.shape.to(CoordinateUnit.PIXELS, unit, medium.width, medium.height)
    labels = sorted(
        (label.task, _comparable_name(label), label.empty, round(probability, 6))
        for label, probability in annotation.labels
    )
    numbers = [float(shape.numbers[name]) for name in _NUMBERS if name in shape.numbers]
    coordinates = [float(coordinate) for point in shape.points for coordinate in point]
    return _PixelAnnotation(shape.type, tuple(labels), (*numbers, *coordinates))


def _comparable_name(label: ArchivedLabel) -> str:
    """The label's name, without the names of empty and anomalous labels, which differ between versions."""
    if label.empty:
        return ""
    return label.name if label.anomalous is None else str(label.anomalous)


def _remove_matches(
    left: Sequence[_PixelAnnotation],
    right: Sequence[_PixelAnnotation],
    matches: Callable[[_PixelAnnotation, _PixelAnnotation], bool],
) -> tuple[list[_PixelAnnotation], list[_PixelAnnotation]]:
    """The annotations of both lists that match none of the other. Each matches one at most."""
    unmatched, remaining = [], list(right)
    for annotation in left:
        index = next((index for index, candidate in enumerate(remaining) if matches(annotation, candidate)), None)
        if index is None:
            unmatched.append(annotation)
        else:
            remaining.pop(index)
    return unmatched, remaining


def _rounding(annotation: _PixelAnnotation, candidate: _PixelAnnotation) -> float | None:
    """Distance of a candidate that is the annotation in whole pixels (rotated: in four digits), else None."""
    distance = annotation.distance(candidate)
    if distance is None:
        return None
    if annotation.type == "ROTATED_RECTANGLE":
        return distance if distance <= _CONVERSION else None
    is_whole = all(number.is_integer() for number in candidate.numbers)
    return distance if is_whole and distance <= _HALF_PIXEL else None


# Files


def compare_files(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str, archived: ArchivedMedium, path: Path
) -> Report:
    """Compares a file of the backup with the server's by hash, and by pixels where the server re-encoded an image."""
    subject = _describe_medium(archived)
    if not path.is_file():
        return Report([f"{subject}: {archived.file} is missing"])
    if hash_of(path)[0] != archived.sha256:
        return Report([f"{subject}: {archived.file} was changed after it was saved"])
    into = HashingFile(io.BytesIO() if archived.type == "image" else _DiscardedFile())
    client.download(project, medium, into, dataset=dataset)
    if into.sha256 == archived.sha256:
        return Report()
    difference = pixel_difference(path, into.content()) if archived.type == "image" else None
    if difference is not None and difference.is_reencoding:
        return Report(reencoded=[f"{subject}: re-encoded by the server, {_describe_loss(difference)}"])
    detail = f"another hash ({into.sha256[:12]}, not {archived.sha256[:12]})"
    if difference is not None:
        pixels = f"{difference.most} of 255 levels, {difference.mean:.1f} on average"
        detail += f", and its pixels differ by up to {pixels}"
    return Report([f"{subject}: the server's file has {detail}"])


def _describe_loss(difference: PixelDifference) -> str:
    if not difference.most:
        return "pixels are the same"
    return f"pixels differ by {difference.most} of 255 levels at most"


def same_file(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str, archived: ArchivedMedium, path: Path
) -> bool:
    return not compare_files(client, project, medium, dataset, archived, path).differences


class _DiscardedFile:
    """For content of which only the hash is needed."""

    def write(self, part: bytes) -> int:
        return len(part)
