"""Frames of videos as PNG files in a folder, extracted once for each video and choice of frames.

`<video's SHA-256, 32 digits>-every-15/` holds `000150.png` and so on, and `frames.json`, which lists them. A folder
appears under its name when it is complete: a process that is killed leaves one that the next extraction removes. The
folders may be deleted while nothing runs; they are then made again, with the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelwright.ingest.sources.local import SourceError
from labelwright.security.private_files import private_folder

from .decoding import ChosenFrame, DamageFound, FrameChoice, NotReadable, Video

logger = logging.getLogger(__name__)

_RECORD = "frames.json"
_VERSION = 1
"""Of the record, and of the way in which frames become files."""
_COMPRESSION = 4
"""Of PNG: 6, the default, takes twice as long for 4 % less."""
_PLACE = re.compile(r"(?P<key>[0-9a-f]{32}-(?:every|per-second)-[0-9.e+-]+)/(?P<file>[0-9]{6,}\.png)")


@dataclass(frozen=True, slots=True)
class FrameFile:
    """A frame in the cache."""

    path: Path
    number: int
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class VideoFrames:
    """The chosen frames of a video."""

    key: str
    """Of the video's content and the choice."""
    frames: tuple[FrameFile, ...]
    damage: str
    """What is wrong with the video, although these frames could be read; empty when nothing is."""


class FrameCache:
    """The extracted frames below a folder. Safe for several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def frames_of(self, video: str, choice: FrameChoice, max_pixels: int) -> VideoFrames:
        """The frames of a video, which is decoded unless they are there.

        Raises NotReadable, OSError (the video cannot be opened), SourceError (no space, no PyAV).
        """
        before = _stamp(video)
        key = f"{sha256_of(video)[:32]}-{choice}"
        return self._read(key) or self._extract(key, before, video, choice, max_pixels)

    def find(self, location: str) -> tuple[str, Path] | None:
        """The key of a frame's folder, and its file here; None for a path that is no frame of a cache.

        location: the frame's path, perhaps in the cache of another machine.
        """
        path = Path(location)
        match = _PLACE.fullmatch(f"{path.parent.name}/{path.name}")
        return (match["key"], self.folder / match["key"] / match["file"]) if match is not None else None

    def _read(self, key: str) -> VideoFrames | None:
        """The frames of a complete folder, None when there is none."""
        folder = self.folder / key
        try:
            record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
            frames = tuple(
                FrameFile(folder / _file_name(number), number, at, size) for number, at, size in record["frames"]
            )
            with os.scandir(folder) as entries:
                sizes = {entry.name: entry.stat().st_size for entry in entries}
            complete = record["version"] == _VERSION and all(sizes.get(file.path.name) == file.bytes for file in frames)
            return VideoFrames(key, frames, str(record["damage"])) if complete else None
        except (OSError, ValueError, KeyError, TypeError):  # none, or damaged from outside
            return None

    def _extract(
        self, key: str, before: tuple[int, int], video: str, choice: FrameChoice, max_pixels: int
    ) -> VideoFrames:
        with self._locked(key) as unfinished:
            if (found := self._read(key)) is not None:  # another one made it meanwhile
                return found
            logger.info("extracting frames of %s into %s", video, self.folder)
            try:
                self._write(unfinished, Video(video, choice, max_pixels))
            except DamageFound:
                self._write(unfinished, Video(video, choice, max_pixels, threads=False))
            if _stamp(video) != before:
                raise NotReadable("was written to while it was read: try again when it is complete")
            shutil.rmtree(self.folder / key, ignore_errors=True)  # one that was damaged
            unfinished.rename(self.folder / key)
            found = self._read(key)
        if found is None:
            raise SourceError(
                f"The frames in '{self.folder / key}' were changed while they were written. Run it again."
            )
        return found

    def _write(self, folder: Path, video: Video) -> None:
        """Writes frames and record into a folder, which is made anew."""
        shutil.rmtree(folder, ignore_errors=True)
        written: list[tuple[int, float, int]] = []
        frames = video.frames()
        try:
            folder.mkdir(parents=True)
            for frame in _without_os_errors(frames):
                written.append((frame.number, frame.seconds, _save(frame, folder / _file_name(frame.number))))
            record: dict[str, Any] = {"version": _VERSION, "damage": video.damage, "frames": written}
            (folder / _RECORD).write_text(json.dumps(record), encoding="utf-8")
        except _FromVideo as error:
            raise error.reason from None
        except OSError as error:
            megabytes = sum(size for _, _, size in written) / 1e6
            raise SourceError(
                f"The frames of a video cannot be written into '{self.folder}' ({error.strerror}), after "
                f"{len(written):,} frames ({megabytes:,.1f} MB). Make space there, or take fewer frames."
            ) from None

    @contextmanager
    def _locked(self, key: str) -> Iterator[Path]:
        """Holds the lock of a key. Yields the folder for unfinished frames, which is removed at the end."""
        locks = self.folder / ".locks"
        try:
            private_folder(self.folder)
            locks.mkdir(exist_ok=True)
            lock = (locks / key).open("a")
        except OSError as error:
            raise SourceError(
                f"The folder '{self.folder}' for frames of videos cannot be written ({error.strerror}). "
                "Give the user that runs Labelwright write access."
            ) from None
        unfinished = self.folder / f".{key}"
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield unfinished
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)


class _FromVideo(Exception):
    """An OSError from reading the video, not from writing the frames."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _without_os_errors(frames: Iterable[ChosenFrame]) -> Iterator[ChosenFrame]:
    try:
        yield from frames
    except OSError as error:
        raise _FromVideo(error) from None


def _save(frame: ChosenFrame, path: Path) -> int:
    """Writes a PNG file: no time, no other marks. Returns its size in bytes."""
    from PIL import Image

    Image.fromarray(frame.pixels).save(path, "PNG", compress_level=_COMPRESSION)
    return path.stat().st_size


def _stamp(path: str) -> tuple[int, int]:
    """Changes when the file does."""
    status = os.stat(path)  # noqa: PTH116
    return status.st_size, status.st_mtime_ns


def _file_name(number: int) -> str:
    return f"{number:06d}.png"


def sha256_of(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").hexdigest()
