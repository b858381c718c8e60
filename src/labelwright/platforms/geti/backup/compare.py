"""A backup beside a server: what differs, in words. Nothing that differs stays untold."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import GetiMedium, GetiProject, Unit
from labelwright.platforms.geti.parameters import Parameters
from labelwright.platforms.geti.pictures import pixel_difference

from .archive import ArchivedMedium, ArchivedProject, ArchivedTask, SaidAnnotation, SaidLabel, SaidScene
from .folder import HashingFile, hash_of

_A_THOUSANDTH = 1e-3
"""Of a pixel: what going from fractions to pixels and back may cost."""
_HALF = 0.5 + _A_THOUSANDTH
_NUMBERS = ("x", "y", "width", "height", "angle")


@dataclass
class Report:
    """What differs between a backup and a server, and what is worth knowing though nothing differs."""

    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    """What could not be read, of the backup or of the server: nobody knows whether it is the same."""
    reencoded: list[str] = field(default_factory=list)
    """Images that the server gives in another encoding, with the same pixels but for what encoding loses."""

    def merge(self, other: Report) -> None:
        self.differences += other.differences
        self.notes += other.notes
        self.not_compared += other.not_compared
        self.reencoded += other.reencoded


def not_saved(project: ArchivedProject) -> list[str]:
    """What of a project is not in its backup, each with the reason."""
    return [f"{what} is not in the backup: {why}" for what, why in project.not_read.items()]


def compare_projects(
    wanted: ArchivedProject, project: GetiProject, now: Parameters, tasks: Sequence[ArchivedTask]
) -> Report:
    """The project's kind, labels and configuration. `tasks` are those of the project, in the archive's terms."""
    report = Report()
    if wanted.kind != project.kind:
        report.differences.append(f"the kind is '{project.kind}', not '{wanted.kind}'")
    for place, (ours, theirs) in enumerate(zip(wanted.tasks, tasks, strict=False)):
        _compare_labels(report, ours, theirs, place)
    report.not_compared += not_saved(wanted)
    report.not_compared += [
        f"{what} of the server {why}" for what, why in now.not_read.items() if what not in wanted.not_read
    ]
    auto_train_known = wanted.auto_train is not None and (now.auto_train is not None or not now.not_read)
    if auto_train_known and now.auto_train is not wanted.auto_train:
        report.differences.append(f"auto-train is {now.auto_train}, not {wanted.auto_train}")
    for what, ours_, theirs_ in (
        ("iterations of task", wanted.iterations, now.iterations),
        ("parameter", wanted.parameters, now.others),
    ):
        for key, value in ours_.items():
            if key not in theirs_ and now.not_read:
                continue  # not compared, as said above
            if key not in theirs_:
                report.notes.append(f"{what} {key} is {value!r} in the backup, and does not exist here")
            elif theirs_[key] != value:
                report.differences.append(f"{what} {key} is {theirs_[key]!r}, not {value!r}")
    return report


def _compare_labels(report: Report, ours: ArchivedTask, theirs: ArchivedTask, place: int) -> None:
    if ours.title and ours.title != theirs.title:
        report.differences.append(f"task {place} is called '{theirs.title}', not '{ours.title}'")
    there = {one.name: one for one in theirs.labels if not one.is_empty}
    for one in ours.labels:
        if one.is_empty:
            empty = next((label for label in theirs.labels if label.is_empty), None)
            if empty is None:
                report.differences.append(f"'{theirs.title}' has no empty label ('{one.name}' in the backup)")
            elif empty.name != one.name:
                report.notes.append(f"the empty label of '{theirs.title}' is called '{empty.name}', not '{one.name}'")
            continue
        found = there.pop(one.name, None)
        if found is None:
            report.differences.append(f"'{theirs.title}' has no label '{one.name}'")
            continue
        for what, was, now in (
            ("colour", one.color.lower(), found.color.lower()),
            ("group", one.group, found.group),
            ("hotkey", one.hotkey, found.hotkey),
            ("parent", one.parent_id or "", found.parent_id or ""),
        ):
            if was and was != now:
                report.differences.append(f"the {what} of label '{one.name}' is '{now}', not '{was}'")
    report.differences += [f"'{theirs.title}' has a label '{name}' that the backup has not" for name in there]


def compare_scenes(medium: ArchivedMedium, wanted_unit: Unit, scenes: Iterable[SaidScene], unit: Unit) -> Report:
    """What differs between what was said of a medium in the backup and on a server.

    Coordinates that the server rounded are a note: 2.x keeps fractions and tells whole pixels.
    """
    ours = {scene.frame: scene for scene in medium.scenes if scene.annotations}
    theirs = {scene.frame: scene for scene in scenes if scene.annotations}
    report = Report()
    rounded: list[float] = []
    for frame in sorted(ours.keys() | theirs.keys(), key=lambda frame: -1 if frame is None else frame):
        where = _where(medium) + (f", frame {frame}" if frame is not None else "")
        left = sorted(_plain(ours[frame], wanted_unit, medium), key=_order) if frame in ours else []
        right = sorted(_plain(theirs[frame], unit, medium), key=_order) if frame in theirs else []
        missing = _unpaired(left, right, lambda one, other: _same(one, other, wanted_unit is unit))
        if unit is Unit.PIXELS:
            missing = _unpaired(missing, right, lambda one, other: _rounded(one, other, rounded))
        report.differences += [f"{where} lacks {_told(one)}" for one in missing]
        report.differences += [f"{where} has {_told(other)}, which the backup has not" for other in right]
    if rounded:
        told = f"{len(rounded)} annotations are told rounded, up to {max(rounded):.2g} pixels beside the backup"
        report.notes.append(f"{_where(medium)}: {told}")
    return report


def _where(medium: ArchivedMedium) -> str:
    return f"{medium.type} '{medium.name}' ({medium.id})"


_Plain = tuple[str, tuple[tuple[int, str, bool, float], ...], tuple[float, ...]]


def _plain(scene: SaidScene, unit: Unit, medium: ArchivedMedium) -> list[_Plain]:
    return [_plain_one(one, unit, medium) for one in scene.annotations]


def _plain_one(one: SaidAnnotation, unit: Unit, medium: ArchivedMedium) -> _Plain:
    """Kind, labels and numbers in pixels. Empty and anomalous labels are the same by whatever name."""
    shape = one.shape.to(Unit.PIXELS, unit, medium.width, medium.height)
    labels = tuple(
        sorted((label.task, _name(label), label.empty, round(probability, 6)) for label, probability in one.labels)
    )
    numbers = [float(shape.numbers[name]) for name in _NUMBERS if name in shape.numbers]
    return shape.type, labels, (*numbers, *(float(value) for point in shape.points for value in point))


def _name(label: SaidLabel) -> str:
    if label.empty:
        return ""
    return label.name if label.anomalous is None else str(label.anomalous)


def _order(one: _Plain) -> tuple[Any, ...]:
    return one[0], one[1], tuple(round(value, 2) for value in one[2])


def _same(one: _Plain, other: _Plain, exact: bool) -> bool:
    if one[:2] != other[:2] or len(one[2]) != len(other[2]):
        return False
    allowed = 0.0 if exact else _A_THOUSANDTH
    return all(abs(left - right) <= allowed for left, right in zip(one[2], other[2], strict=True))


def _unpaired(left: list[_Plain], right: list[_Plain], same: Callable[[_Plain, _Plain], bool]) -> list[_Plain]:
    """What has no counterpart; counterparts are taken out of `right`."""
    missing = []
    for one in left:
        found = next((place for place, other in enumerate(right) if same(one, other)), None)
        if found is None:
            missing.append(one)
        else:
            right.pop(found)
    return missing


def _rounded(one: _Plain, other: _Plain, by: list[float]) -> bool:
    """Whether the other is this one in whole pixels, or to four digits where it is turned. Notes by how much."""
    if one[:2] != other[:2] or len(one[2]) != len(other[2]):
        return False
    turned = one[0] == "ROTATED_RECTANGLE"
    off = max((abs(left - right) for left, right in zip(one[2], other[2], strict=True)), default=0.0)
    if off > (_A_THOUSANDTH if turned else _HALF) or not (turned or all(value.is_integer() for value in other[2])):
        return False
    by.append(off)
    return True


def _told(one: _Plain) -> str:
    labels = ", ".join(f"{name or 'the empty label'} {probability:g}" for _, name, _, probability in one[1])
    numbers = ", ".join(f"{value:.6g}" for value in one[2][:8]) + (", ..." if len(one[2]) > 8 else "")
    return f"{one[0]} of {labels} at ({numbers})"


def compare_files(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str, wanted: ArchivedMedium, path: Path
) -> Report:
    """The file of the backup beside what the server gives now: by hash, and by pixels within the tolerance of
    geti_pictures where the server re-encoded an image."""
    where = _where(wanted)
    if not path.is_file():
        return Report([f"{where}: {wanted.file} is not there"])
    if hash_of(path)[0] != wanted.sha256:
        return Report([f"{where}: {wanted.file} was changed after it was saved"])
    into = HashingFile(io.BytesIO() if wanted.type == "image" else _Nowhere())
    client.download(project, medium, into, dataset=dataset)
    if into.sha256 == wanted.sha256:
        return Report()
    found = pixel_difference(path, into.content()) if wanted.type == "image" else None
    if found is not None and found.is_reencoding:
        told = f"pixels differ by {found.most} of 255 levels at most" if found.most else "pixels are the same"
        return Report(reencoded=[f"{where}: re-encoded by the server, {told}"])
    told = f"another hash ({into.sha256[:12]}, not {wanted.sha256[:12]})"
    if found is not None:
        told += f", and its pixels differ by up to {found.most} of 255 levels, {found.mean:.1f} on average"
    return Report([f"{where}: the server's file has {told}"])


def same_file(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str, wanted: ArchivedMedium, path: Path
) -> bool:
    return not compare_files(client, project, medium, dataset, wanted, path).differences


class _Nowhere:
    """For bytes of which only the hash is wanted."""

    def write(self, part: bytes) -> int:
        return len(part)
