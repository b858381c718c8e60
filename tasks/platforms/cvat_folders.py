"""Finds folders of recordings, their images of a camera, and which of these can be uploaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from labelwright.domain import Image, Reject
from labelwright.domain.paths import in_home, is_folder, path_fault
from labelwright.ingest import FolderSource, SourceError, SourceFile
from labelwright.ingest.checks.decode import check_image
from labelwright.ingest.sources.local import printable
from labelwright.platforms import PlatformRefused
from labelwright.tasks.chaining import task
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import UNCACHED


@dataclass(frozen=True, slots=True)
class Recording:
    """A folder with the images of one recording. `files` are relative to it, ordered by the numbers in their names."""

    name: str
    folder: str
    files: list[str]
    left_out: list[tuple[str, str]]
    """File and reason: no image, or a damaged one, which CVAT would import without an error."""


@task(task_run_name="look for recordings in {path}", **UNCACHED)
def find_recordings(path: str, camera: str = "", at_most: int | None = None) -> list[Recording]:
    """Returns a recording for each folder in `path` with images of the camera. Opens and checks every image.

    camera: a namespace, as "front" or "/rig/front". An image belongs to it if its path in the recording has a folder of
    that name, or its name begins with it. at_most: only that many images of each recording, the first ones.
    Raises PlatformRefused when the folder does not exist or has no such images.
    """
    root = in_home(path)
    if path_fault(path) or not is_folder(root):
        raise PlatformRefused("cvat", "find recordings", message=f"{printable(path)} is no folder")
    recordings = []
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        recording = _recording(folder, camera, at_most)
        log().info("recording %s: %d images, %d left out", folder.name, len(recording.files), len(recording.left_out))
        for name, reason in recording.left_out:
            log().warning("%s/%s is left out: %s", folder.name, name, reason)
        if recording.files:
            recordings.append(recording)
    if not recordings:
        of = f" of camera '{camera}'" if camera else ""
        raise PlatformRefused("cvat", "find recordings", message=f"no folder in {path} holds images{of}")
    return recordings


def _recording(folder: Path, camera: str, at_most: int | None) -> Recording:
    files: list[str] = []
    left_out: list[tuple[str, str]] = []
    for file in sorted(_files(folder, camera), key=lambda file: natural(file.name)):
        if at_most is not None and len(files) >= at_most:
            break
        looked_at = _look(file)
        if isinstance(looked_at, Reject):
            left_out.append((looked_at.name, looked_at.reason))
        else:
            files.append(looked_at.name)
    return Recording(folder.name, str(folder), files, left_out)


def _files(folder: Path, camera: str) -> list[SourceFile | Reject]:
    try:
        return [file for file in FolderSource(folder).find() if of_camera(file.name, camera)]
    except SourceError:  # an empty folder
        return []


def _look(found: SourceFile | Reject) -> Image | Reject:
    if isinstance(found, Reject):
        return found
    with Path(found.location).open("rb") as file:
        return check_image(found, file)


def read_image(folder: str, file: str) -> Image:
    """Returns size and hashes of an image. Raises PlatformRefused for a missing or damaged one."""
    path = Path(folder) / file
    result = _look(SourceFile(file, str(path)))
    if isinstance(result, Reject):
        raise PlatformRefused("cvat", "send an image", message=f"{path}: {result.reason}")
    return result


def of_camera(name: str, camera: str) -> bool:
    """Returns whether an image (its path in the recording) belongs to a camera's namespace; all belong to ""."""
    space = camera.strip("/")
    if not space:
        return True
    if f"/{space}/" in f"/{name}":
        return True
    flat = re.escape(space.replace("/", "_"))
    return re.match(rf"{flat}(?![A-Za-z0-9])", name.rpartition("/")[2]) is not None


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts frame_9 before frame_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]
