"""Backs up a project into a folder, page by page. Files are written atomically.

Files that are saved are not downloaded again, so an interrupted or repeated backup continues. Annotations are read
every time.
"""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import AccessDenied, PlatformRefused, PlatformUnavailable
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.duplicates import is_annotated
from labelwright.platforms.geti.models import GetiMedium, GetiProject, GetiScene
from labelwright.platforms.geti.session import NAME

from .archive import (
    ArchivedMedium,
    ArchivedProject,
    ArchivedScene,
    BackupRefused,
    archived_labels,
    archived_scene,
    archived_tasks,
)
from .folder import (
    COMPLETE,
    MEDIA,
    PROJECT,
    HashingFile,
    NativeBackup,
    hash_of,
    line_of,
    read_lines,
    write_json,
    write_page,
    write_project,
)
from .parameters import archived_parameters, read_or_note, refusal_reason
from .sdk_layout import is_sdk_folder

_PAGE = 200
"""Small, so that a task that fails has little to repeat."""
_MAX_PARTIAL_AGE = 3600.0
"""Seconds for which the media of an interrupted page are used by the next attempt."""
_SIGNATURES = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"BM", ".bmp"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
    (b"\x1aE\xdf\xa3", ".mkv"),
)
_SUFFIXES = (".jpg", ".png", ".bmp", ".tif", ".webp", ".mp4", ".mov", ".avi", ".mkv")
"""All suffixes that `_suffix` returns."""
_MAX_NAME_BYTES = 160
"""Bytes of a file's name that come from the medium's name; id and suffix still fit into 255."""
_UNSAFE = re.compile(r"[^\w.() +-]")


def begin(client: GetiClient, project: str, folder: Path) -> list[tuple[str, str]]:
    """Writes the project's file. Returns what is to be saved: pairs of dataset id and `image` or `video`.

    Raises BackupRefused when the folder contains something else.
    """
    source_project = client.project(project)
    source = {
        "host": client.session.host,
        "project": source_project.id,
        "dialect": client.api_version.name,
        "version": client.version,
    }
    _check_folder(folder, source)
    (folder / COMPLETE).unlink(missing_ok=True)
    parameters = archived_parameters(client, source_project)
    not_read = dict(parameters.not_read)
    kinds: list[tuple[str, str]] = []
    for dataset, name in source_project.datasets:
        kinds.append((dataset, "image"))
        if has_videos(client, source_project, dataset, name, not_read):
            kinds.append((dataset, "video"))
    write_project(
        folder,
        ArchivedProject(
            name=source_project.name,
            tasks=archived_tasks(source_project),
            datasets=tuple(name for _, name in source_project.datasets),
            unit=client.unit,
            auto_train=parameters.auto_train,
            iterations=parameters.iterations,
            parameters=parameters.others,
            source=source,
            not_read=not_read,
        ),
    )
    return kinds


def has_videos(client: GetiClient, project: GetiProject, dataset: str, name: str, not_read: dict[str, str]) -> bool:
    """Whether the server can list videos of a dataset; a refusal is added to `not_read`."""
    entry = videos_of(name)
    read_or_note(not_read, entry, lambda: client.media_after(project, "", 1, kind="video", dataset=dataset))
    return entry not in not_read


def videos_of(dataset_name: str) -> str:
    """Name of a dataset's videos in `not_read`."""
    return f"videos of dataset '{dataset_name}'"


def save_page(
    client: GetiClient, project: str, folder: Path, dataset: str, kind: str, number: int, cursor: str, threads: int = 8
) -> tuple[int, str]:
    """Saves a page of media as page `number` of the backup.

    Returns the page's number of media, and the next page's cursor ("": there is none).
    """
    source = client.project(project)
    names = dict(source.datasets)
    media, following = client.media_after(source, cursor, page_size(client), kind=kind, dataset=dataset)

    partial_page = _PartialPage(folder / MEDIA / f".{number:05d}.begun")
    already_saved = partial_page.read()

    def save(medium: GetiMedium) -> ArchivedMedium:
        if medium.id in already_saved:
            return already_saved[medium.id]
        saved = _save_medium(client, source, medium, dataset, names.get(dataset, dataset), folder)
        partial_page.add(saved)
        return saved

    write_page(folder, f"{number:05d}", for_each(save, media, threads))
    partial_page.delete()
    return len(media), following


class _PartialPage:
    """Media of a page that is not complete yet, so that an attempt after an outage continues. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def read(self) -> dict[str, ArchivedMedium]:
        """Media by the source's ids; none of an old attempt, because annotations may have changed since."""
        if not self.path.exists():
            return {}
        if time.time() - self.path.stat().st_mtime > _MAX_PARTIAL_AGE:
            self.delete()
            return {}
        return {medium.id: medium for medium in read_lines(self.path)}

    def add(self, saved: ArchivedMedium) -> None:
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line_of(saved))

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)


def page_size(client: GetiClient) -> int:
    """Media per request when a whole project is listed, limited to bound memory."""
    return min(client.page_size or client.api_version.page, _PAGE)


def end(folder: Path, pages: int) -> dict[str, int]:
    """Completes the backup: deletes pages of an earlier, longer one, then writes the counts. Returns the counts."""
    for path in (folder / MEDIA).glob("*.jsonl"):
        if int(path.stem) > pages:
            path.unlink()
    counts = {"images": 0, "videos": 0, "scenes": 0, "annotations": 0, "bytes": 0}
    for medium in NativeBackup(folder, require_complete=False).media():
        counts[f"{medium.type}s"] += 1
        counts["scenes"] += len(medium.scenes)
        counts["annotations"] += sum(len(scene.annotations) for scene in medium.scenes)
        counts["bytes"] += medium.bytes
    write_json(folder / COMPLETE, counts)
    return counts


def _check_folder(folder: Path, source: dict[str, str]) -> None:
    """Raises BackupRefused unless the folder is missing, empty, or a backup of the same project."""
    if not folder.exists():
        return
    if not (folder / PROJECT).exists():
        if any(folder.iterdir()):
            raise BackupRefused(folder, "there are other files in it", "Name an empty folder, or a new one.")
        return
    if is_sdk_folder(folder):
        raise BackupRefused(folder, "geti-sdk wrote this folder", "Name an empty folder, or a new one.")
    previous = NativeBackup(folder, require_complete=False).project().source
    if (previous.get("host"), previous.get("project")) != (source["host"], source["project"]):
        message = f"it is a backup of project {previous.get('project')} of {previous.get('host')}"
        raise BackupRefused(folder, message, "Name another folder.")


def _save_medium(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str, dataset_name: str, folder: Path
) -> ArchivedMedium:
    directory = folder / f"{medium.type}s" / safe(dataset_name)
    existing = _existing_file(directory, medium)
    if existing is not None:
        path, (digest, length) = existing, hash_of(existing)
    else:
        path, digest, length = _download(client, project, medium, dataset, directory)
    scenes, not_read = _scenes_or_reason(client, project, medium, dataset)
    return ArchivedMedium(
        id=medium.id,
        type=medium.type,
        name=medium.name,
        dataset=dataset_name,
        file=path.relative_to(folder).as_posix(),
        sha256=digest,
        bytes=length,
        width=medium.width,
        height=medium.height,
        scenes=scenes,
        not_read=not_read,
    )


def download(client: GetiClient, project: GetiProject, medium: GetiMedium, folder: Path) -> Path:
    """Saves an image or a video of the first dataset in a folder as `<name>_<id>.<format>`, unless it exists."""
    return _existing_file(folder, medium) or _download(client, project, medium, "", folder)[0]


def _existing_file(directory: Path, medium: GetiMedium) -> Path | None:
    stem = f"{safe(medium.name)}_{medium.id}"
    return next((path for suffix in _SUFFIXES if (path := directory / f"{stem}{suffix}").exists()), None)


def _download(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str, directory: Path
) -> tuple[Path, str, int]:
    """Returns the file, its SHA-256 and its length."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = f"{safe(medium.name)}_{medium.id}"
    part = directory / f".{stem}.part"
    with part.open("wb") as file:
        into = HashingFile(file)
        client.download(project, medium, into, dataset=dataset)
    if not into.bytes:
        raise PlatformUnavailable(NAME, f"download {medium.type} {medium.id}", message="the response is empty")
    path = directory / f"{stem}{_suffix(into.head, medium)}"
    part.replace(path)
    return path, into.sha256, into.bytes


def scenes_of(client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str) -> tuple[ArchivedScene, ...]:
    """All annotations of an image, or of a video's frames. Scenes without annotations are left out."""
    labels = archived_labels(project)
    if medium.type == "video":
        scenes = client.video_scenes(project, medium, dataset=dataset)
    else:
        scene = _image_scene(client, project, medium, dataset)
        scenes = [scene] if scene is not None else []
    return tuple(archived_scene(scene, labels) for scene in scenes if scene.annotations)


def _scenes_or_reason(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str
) -> tuple[tuple[ArchivedScene, ...], str]:
    """The annotations, and the reason where they could not be read."""
    missing = "could not be read: the server marks it as annotated and returns no annotations"
    try:
        if medium.type == "video":
            scenes = scenes_of(client, project, medium, dataset)
            return scenes, missing if not scenes and is_annotated(medium) else ""
        scene = _image_scene(client, project, medium, dataset)
        if scene is None:
            return (), missing if is_annotated(medium) else ""
        return (archived_scene(scene, archived_labels(project)),) if scene.annotations else (), ""
    except AccessDenied:
        raise
    except PlatformRefused as refused:
        return (), refusal_reason(refused)


def _image_scene(client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str) -> GetiScene | None:
    try:
        return client.scene(project, medium, dataset=dataset)
    except AccessDenied:
        raise
    except PlatformRefused:
        # SC's response for an image without annotations was never recorded.
        if is_annotated(medium):
            raise
        return None


def safe(name: str) -> str:
    """A name that every file system accepts. The page keeps the original name."""
    shortened = _UNSAFE.sub("_", name).strip(". ")[:80]
    return shortened.encode()[:_MAX_NAME_BYTES].decode(errors="ignore") or "_"


def _suffix(head: bytes, medium: GetiMedium) -> str:
    """Suffix by the content's signature: servers may return another format than the uploaded one."""
    for signature, suffix in _SIGNATURES:
        if head.startswith(signature):
            return suffix
    if head[:4] == b"RIFF":
        return ".webp" if head[8:12] == b"WEBP" else ".avi"
    if head[4:8] == b"ftyp":
        return ".mov" if head[8:12] == b"qt  " else ".mp4"
    return ".mp4" if medium.type == "video" else ".jpg"
