"""Checks campaign files without a connection: every fault of every file at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from labelwright.domain.paths import is_file, is_folder, shown_path
from labelwright.platforms.registry import PLATFORMS

from .spec import CampaignSpec, load_spec
from .unsupported import Unsupported, reasons_to_refuse
from .yaml_loader import SpecError


@dataclass(frozen=True, slots=True)
class FileFault:
    """What is wrong in a campaign file."""

    message: str
    code: str
    line: int | None = None


@dataclass(slots=True)
class FileCheck:
    """The result for one campaign file."""

    file: str
    title: str | None = None
    faults: list[FileFault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What is no fault of the file: images that this machine does not have, a deadline that has passed."""

    @property
    def valid(self) -> bool:
        return not self.faults


def check_files(paths: Iterable[Path]) -> list[FileCheck]:
    """Returns a result for each file. A title that two files have is a fault of the later one."""
    results, titles = [], dict[str, str]()
    for path in paths:
        result = _check_file(path)
        results.append(result)
        if result.title is None:
            continue
        first = titles.setdefault(result.title, result.file)
        if first != result.file:
            message = f"{result.file}: title: '{result.title}' is the title of {first}, too: a title is unique"
            result.faults.append(FileFault(message, SpecError.error_code))
    return results


def _check_file(path: Path) -> FileCheck:
    result = FileCheck(str(path))
    try:
        spec = load_spec(path)
    except SpecError as error:
        result.faults += [FileFault(message, error.error_code, line) for message, line in error.faults]
        return result
    result.title = spec.title
    for message in reasons_to_refuse(spec):
        result.faults.append(FileFault(f"{path}: {message}", Unsupported.error_code))
    result.faults += [FileFault(f"{path}: {message}", SpecError.error_code) for message in _option_faults(spec)]
    result.warnings += [f"{path}: {message}" for message in _missing_places(spec)]
    if spec.passed_deadline:
        result.warnings.append(f"{path}: the deadline has passed: {spec.passed_deadline}")
    return result


def _option_faults(spec: CampaignSpec) -> list[str]:
    """What is wrong with the options that only this platform has."""
    try:
        PLATFORMS[spec.platform].options().model_validate(spec.options)
    except ValidationError as error:
        return [
            f"options.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_context=False)
        ]
    return []


def _missing_places(spec: CampaignSpec) -> list[str]:
    images = spec.images
    missing = []
    if images.folder and not is_folder(images.folder):
        missing.append(f"images.folder: there is no folder {shown_path(images.folder)} on this machine")
    if images.manifest and not is_file(images.manifest):
        missing.append(f"images.manifest: there is no file {shown_path(images.manifest)} on this machine")
    missing += [
        f"images.video: there is no file or folder {shown_path(path)} on this machine"
        for path in images.video
        if not is_folder(path) and not is_file(path)
    ]
    return missing
