"""From a server into a folder: page after page, many media at a time, each written whole or not at all.

What was saved is not fetched again: a backup that was interrupted, or is repeated, goes on. What was said of each image
is asked for every time.
"""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.duplicates import is_annotated
from labelwright.platforms.geti.models import GetiMedium, GetiProject, GetiScene, Unit
from labelwright.platforms.geti.parameters import archived_parameters, read_or_note, why_not_read
from labelwright.platforms.geti.session import NAME

from .archive import (
    ArchivedMedium,
    ArchivedProject,
    Backup,
    BackupRefused,
    SaidScene,
    archived_tasks,
    said,
    said_labels,
)
from .compare import Report, compare_files, compare_projects, compare_scenes, not_saved
from .folder import (
    COMPLETE,
    MEDIA,
    PROJECT,
    HashingFile,
    OwnBackup,
    hash_of,
    line_of,
    read_lines,
    write_json,
    write_page,
    write_project,
)
from .sdk_layout import is_sdk_folder

_PAGE = 200
"""So few that a task which meets an outage has little to do again."""
_FRESH = 3600.0
"""Seconds for which what a broken try of a page learnt is used by the next one."""
_ENDINGS = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"BM", ".bmp"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
    (b"\x1aE\xdf\xa3", ".mkv"),
)
_KNOWN = (".jpg", ".png", ".bmp", ".tif", ".webp", ".mp4", ".mov", ".avi", ".mkv")
"""What `_ending` answers."""
_SC_JPEGS = "Sonoma Creek gives JPEGs re-encoded by the server: the files are those, not the bytes that were uploaded"
_LONGEST = 160
"""Bytes of a file's name that come from a medium's: beside them an id and an ending fit into 255."""
_OTHER = re.compile(r"[^\w.() +-]")


def begin(client: GetiClient, project: str, folder: Path) -> list[tuple[str, str]]:
    """Write down the project. Answers what is to be saved: pairs of dataset and `image` or `video`.

    Raises BackupRefused when the folder holds something else.
    """
    found = client.project(project)
    source = {
        "host": client.session.host,
        "project": found.id,
        "dialect": client.dialect.name,
        "version": client.version,
    }
    _refuse_another(folder, source)
    (folder / COMPLETE).unlink(missing_ok=True)
    parameters = archived_parameters(client, found)
    not_read = dict(parameters.not_read)
    kinds: list[tuple[str, str]] = []
    for dataset, name in found.datasets:
        kinds.append((dataset, "image"))
        if has_videos(client, found, dataset, name, not_read):
            kinds.append((dataset, "video"))
    write_project(
        folder,
        ArchivedProject(
            name=found.name,
            tasks=archived_tasks(found),
            datasets=tuple(name for _, name in found.datasets),
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
    """Whether the server lists videos of a dataset; noted as not read where it does not know them."""
    what = videos_of(name)
    read_or_note(not_read, what, lambda: client.media_after(project, "", 1, kind="video", dataset=dataset))
    return what not in not_read


def videos_of(dataset_name: str) -> str:
    """What the videos of a dataset are called where they could not be read."""
    return f"videos of dataset '{dataset_name}'"


def save_page(
    client: GetiClient, project: str, folder: Path, dataset: str, kind: str, number: int, cursor: str, threads: int = 8
) -> tuple[int, str]:
    """Save a page of media as page `number` of the backup. Answers how many, and the next page's cursor ("": none)."""
    found = client.project(project)
    names = dict(found.datasets)
    media, following = client.media_after(found, cursor, page_size(client), kind=kind, dataset=dataset)

    begun = _Begun(folder / MEDIA / f".{number:05d}.begun")
    known = begun.known()

    def save(medium: GetiMedium) -> ArchivedMedium:
        if medium.id in known:
            return known[medium.id]
        saved = _saved(client, found, medium, dataset, names.get(dataset, dataset), folder)
        begun.note(saved)
        return saved

    write_page(folder, f"{number:05d}", for_each(save, media, threads))
    begun.forget()
    return len(media), following


class _Begun:
    """What was saved of a page that is not whole yet: a try that met an outage is not begun anew. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def known(self) -> dict[str, ArchivedMedium]:
        """By the source's id; nothing of a try that is long ago, since more may have been said meanwhile."""
        if not self.path.exists():
            return {}
        if time.time() - self.path.stat().st_mtime > _FRESH:
            self.forget()
            return {}
        return {one.id: one for one in read_lines(self.path)}

    def note(self, saved: ArchivedMedium) -> None:
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line_of(saved))

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


def page_size(client: GetiClient) -> int:
    """Media in an answer where a whole project is walked through: never so many that they weigh on the memory."""
    return min(client.page_size or client.dialect.page, _PAGE)


def end(folder: Path, pages: int) -> dict[str, int]:
    """Nothing is missing: pages of an earlier, longer backup go, and the counts are written. Answers them."""
    for path in (folder / MEDIA).glob("*.jsonl"):
        if int(path.stem) > pages:
            path.unlink()
    counts = {"images": 0, "videos": 0, "scenes": 0, "annotations": 0, "bytes": 0}
    for one in OwnBackup(folder, whole=False).media():
        counts[f"{one.type}s"] += 1
        counts["scenes"] += len(one.scenes)
        counts["annotations"] += sum(len(scene.annotations) for scene in one.scenes)
        counts["bytes"] += one.bytes
    write_json(folder / COMPLETE, counts)
    return counts


def compare_saved_page(client: GetiClient, project: str, folder: Path, page: str, threads: int = 8) -> Report:
    """Every file and every annotation of a page beside what the source has now."""
    backup, found = OwnBackup(folder), client.project(project)
    unit, ids = backup.project().unit, {name: identity for identity, name in found.datasets}

    def compare(one: ArchivedMedium) -> Report:
        dataset = ids.get(one.dataset, "")
        medium = GetiMedium(one.id, one.name, one.type, one.width, one.height, "", {})
        try:
            report = compare_files(client, found, medium, dataset, one, folder / one.file)
            if one.not_read:
                report.differences.append(annotations_not_saved(one))
            else:
                report.merge(compare_scenes(one, unit, scenes_of(client, found, medium, dataset), client.unit))
        except NotFound:
            return Report([f"{one.type} '{one.name}' ({one.id}) is gone from the server since it was saved"])
        return report

    report = Report()
    for one in for_each(compare, backup.page(page), threads):
        report.merge(one)
    return report


def compare_saved_project(client: GetiClient, project: str, folder: Path) -> Report:
    """Kind, labels, configuration, and that the source has just these media under their names."""
    backup, found = OwnBackup(folder), client.project(project)
    now = archived_parameters(client, found)
    archived, unknown = backup.project(), dict[str, str]()
    report = compare_projects(archived, found, now, archived_tasks(found))
    saved = {one.id: (one.type, one.name, one.width, one.height) for one in backup.media()}
    if client.unit is Unit.FRACTIONS and any(one.file.endswith(".jpg") for one in backup.media()):
        report.notes.append(_SC_JPEGS)
    for dataset, name in found.datasets:
        for kind in ("image", "video"):
            if kind == "video" and (
                videos_of(name) in archived.not_read or not has_videos(client, found, dataset, name, unknown)
            ):
                continue
            for medium in client.media(found, kind, dataset, page_size(client)):
                wanted = saved.pop(medium.id, None)
                here = (kind, medium.name, medium.width, medium.height)
                if wanted is None:
                    report.differences.append(f"{kind} '{medium.name}' ({medium.id}) came since the backup began")
                elif here != wanted:
                    report.differences.append(f"{medium.id} is {here}, not {wanted}")
    report.differences += [f"{kind} '{name}' is gone from the server" for kind, name, *_ in saved.values()]
    report.not_compared += [f"{what} {why}" for what, why in unknown.items()]
    return report


def annotations_not_saved(one: ArchivedMedium) -> str:
    """How it is told that a backup lacks what was said of a medium."""
    return f"the annotations of {one.type} '{one.name}' ({one.id}) are not in the backup: {one.not_read}"


def what_is_not_saved(backup: Backup, most: int = 50) -> list[str]:
    """What of the project is not in its backup since it could not be read, in words; at most so many media."""
    own = backup.media() if isinstance(backup, OwnBackup) else ()
    media = [annotations_not_saved(one) for one in own if one.not_read]
    more = [f"the annotations of {len(media) - most} more"] if len(media) > most else []
    return [*not_saved(backup.project()), *media[:most], *more]


def _refuse_another(folder: Path, source: dict[str, str]) -> None:
    if not folder.exists():
        return
    if not (folder / PROJECT).exists():
        if any(folder.iterdir()):
            raise BackupRefused(folder, "there are other files in it", "Name an empty folder, or a new one.")
        return
    if is_sdk_folder(folder):
        raise BackupRefused(folder, "geti-sdk wrote this folder", "Name an empty folder, or a new one.")
    before = OwnBackup(folder, whole=False).project().source
    if (before.get("host"), before.get("project")) != (source["host"], source["project"]):
        told = f"it holds project {before.get('project')} of {before.get('host')}"
        raise BackupRefused(folder, told, "Name another folder.")


def _saved(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str, dataset_name: str, folder: Path
) -> ArchivedMedium:
    path, digest, length = _fetched(client, project, medium, dataset, dataset_name, folder)
    scenes, not_read = _scenes_or_why_not(client, project, medium, dataset)
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


def _fetched(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str, dataset_name: str, folder: Path
) -> tuple[Path, str, int]:
    """The file, its hash and its length; downloaded unless it is there."""
    place = folder / f"{medium.type}s" / safe(dataset_name)
    there = _there(place, medium)
    if there is not None:
        return there, *hash_of(there)
    return _downloaded(client, project, medium, dataset, place)


def download(client: GetiClient, project: GetiProject, medium: GetiMedium, folder: Path) -> Path:
    """An image or a video of the first dataset into a folder, as `<name>_<id>.<what it is>`, unless it is there."""
    return _there(folder, medium) or _downloaded(client, project, medium, "", folder)[0]


def _there(place: Path, medium: GetiMedium) -> Path | None:
    stem = f"{safe(medium.name)}_{medium.id}"
    return next((path for ending in _KNOWN if (path := place / f"{stem}{ending}").exists()), None)


def _downloaded(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str, place: Path
) -> tuple[Path, str, int]:
    place.mkdir(parents=True, exist_ok=True)
    stem = f"{safe(medium.name)}_{medium.id}"
    part = place / f".{stem}.part"
    with part.open("wb") as file:
        into = HashingFile(file)
        client.download(project, medium, into, dataset=dataset)
    if not into.bytes:
        raise PlatformUnavailable(NAME, f"download {medium.type} {medium.id}", message="the answer is empty")
    path = place / f"{stem}{_ending(into.head, medium)}"
    part.replace(path)
    return path, into.sha256, into.bytes


def scenes_of(client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str) -> tuple[SaidScene, ...]:
    """All annotations of an image, or of a video's frames. Scenes without any are left out."""
    labels = said_labels(project)
    if medium.type == "video":
        found = client.video_scenes(project, medium, dataset=dataset)
    else:
        one = _scene_of(client, project, medium, dataset)
        found = [one] if one is not None else []
    return tuple(said(scene, labels) for scene in found if scene.annotations)


def _scenes_or_why_not(
    client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str
) -> tuple[tuple[SaidScene, ...], str]:
    """The annotations, and why there are none though the server says that the medium is annotated."""
    nothing = "could not be read: the server calls it annotated and gives no annotations"
    try:
        if medium.type == "video":
            scenes = scenes_of(client, project, medium, dataset)
            return scenes, nothing if not scenes and is_annotated(medium) else ""
        scene = _scene_of(client, project, medium, dataset)
        if scene is None:
            return (), nothing if is_annotated(medium) else ""
        return (said(scene, said_labels(project)),) if scene.annotations else (), ""
    except AccessDenied:
        raise
    except PlatformRefused as refused:
        return (), why_not_read(refused)


def _scene_of(client: GetiClient, project: GetiProject, medium: GetiMedium, dataset: str) -> GetiScene | None:
    try:
        return client.scene(project, medium, dataset=dataset)
    except AccessDenied:
        raise
    except PlatformRefused:
        # What SC answers for an image that nobody annotated was never recorded.
        if is_annotated(medium):
            raise
        return None


def safe(name: str) -> str:
    """A name as files can have it. The true one is in the page."""
    plain = _OTHER.sub("_", name).strip(". ")[:80]
    return plain.encode()[:_LONGEST].decode(errors="ignore") or "_"


def _ending(head: bytes, medium: GetiMedium) -> str:
    """By what the bytes are: the format that was uploaded is not promised to come back."""
    for start, ending in _ENDINGS:
        if head.startswith(start):
            return ending
    if head[:4] == b"RIFF":
        return ".webp" if head[8:12] == b"WEBP" else ".avi"
    if head[4:8] == b"ftyp":
        return ".mov" if head[8:12] == b"qt  " else ".mp4"
    return ".mp4" if medium.type == "video" else ".jpg"
