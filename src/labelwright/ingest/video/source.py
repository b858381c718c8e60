"""Frames of videos as a source of images."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import BinaryIO

from labelwright.domain import Reject, VideoFrame
from labelwright.domain.image_limits import MOST_PIXELS
from labelwright.domain.paths import in_home
from labelwright.ingest.sources.local import CannotRead, FilesSource, FolderSource, SourceError, SourceFile, same_name

from .cache import FrameCache, sha256_of
from .decoding import FrameChoice, NotReadable, require_pyav

_LONGEST_NAME = 1000
"""Characters of a video's name: its frames have the number behind it, and 1,024 at most."""


class VideoSource:
    """The chosen frames of videos, which are listed or in folders. A frame is named `clip/000150.png` by its number.

    `clip` is the video's name without its ending; with it where several videos differ in nothing else. Frames are
    extracted once, into the cache. All frames of a video are a group.
    """

    def __init__(
        self,
        paths: Iterable[str],
        choice: FrameChoice,
        cache: Path,
        *,
        include: Iterable[str] = ("**/*",),
        exclude: Iterable[str] = (),
        max_pixels: int = MOST_PIXELS,
    ) -> None:
        self._paths = tuple(in_home(path) for path in paths)
        self._choice, self._cache, self._max_pixels = choice, FrameCache(cache), max_pixels
        self._include, self._exclude = tuple(include), tuple(exclude)
        self._lock = Lock()
        self._by_key: dict[str, str] | None = None
        """Paths of the videos by what the keys of their frames begin with, once frames are missing."""

    def videos(self) -> Iterator[SourceFile | Reject]:
        """The files that may be videos; nothing is decoded. Raises SourceError."""
        if not self._paths:
            raise SourceError("The list of videos is empty. Name at least one video, or a folder of videos.")
        require_pyav()
        folders = [path for path in self._paths if path.is_dir()]
        for folder in folders:
            yield from FolderSource(folder, self._include, self._exclude).find()
        if len(folders) < len(self._paths):
            yield from FilesSource(path for path in self._paths if path not in folders).find()

    def find(self) -> Iterator[SourceFile | Reject]:
        found = list(self.videos())
        names = {video.name for video in found if isinstance(video, SourceFile)}
        stems = Counter(map(_stem, names))
        taken: dict[str, str] = {}
        for video in found:
            if isinstance(video, Reject):
                yield video
                continue
            name = _stem(video.name) if stems[_stem(video.name)] == 1 else video.name
            if len(name) > _LONGEST_NAME:
                yield Reject(video.source_name or video.name, f"has a name of more than {_LONGEST_NAME} characters")
                continue
            earlier = taken.setdefault(name, video.location)
            if earlier == video.location:
                yield from self._frames_of(video, name)
            elif os.path.realpath(earlier) != os.path.realpath(video.location):
                yield Reject(video.name, same_name(earlier, video.location))

    def _frames_of(self, video: SourceFile, name: str) -> Iterator[SourceFile | Reject]:
        shown = video.source_name or video.name
        try:
            extracted = self._cache.frames_of(video.location, self._choice, self._max_pixels)
        except (NotReadable, OSError) as error:
            reason = str(error) if isinstance(error, NotReadable) else f"cannot be read ({error.strerror})"
            yield Reject(shown, reason)
            return
        for frame in extracted.frames:
            yield SourceFile(
                f"{name}/{frame.path.name}",
                str(frame.path),
                frame.bytes,
                group=name,
                version=extracted.key,
                frame=VideoFrame(shown, frame.number, frame.seconds),
            )
        if extracted.damage:
            yield Reject(shown, f"{extracted.damage}; of those, {len(extracted.frames):,} are taken")

    def open(self, location: str) -> BinaryIO:
        """A frame; extracted again when it is missing. Raises CannotRead when its video has changed, or is gone."""
        return self.file(location).open("rb")

    def file(self, location: str) -> Path:
        """The file of a frame on this machine; see `open`."""
        found = self._cache.find(location)
        if found is None:
            raise CannotRead("is no frame of a video")
        key, path = found
        if not path.is_file():
            self._extract_again(key)
        if not path.is_file():
            raise CannotRead(
                "is not among the frames of its video as this version of PyAV reads it: install the version that was "
                "there at the launch"
            )
        return path

    def _extract_again(self, key: str) -> None:
        with self._lock:
            if self._by_key is None:
                self._by_key = self._index()
            video = self._by_key.get(key.partition("-")[0])
            if video is None or not key.endswith(f"-{self._choice}"):
                raise CannotRead(
                    f"its frame is no longer in '{self._cache.folder}', and its video has changed or is gone: put the "
                    "original video back"
                )
            try:
                self._cache.frames_of(video, self._choice, self._max_pixels)
            except NotReadable as error:
                raise CannotRead(f"its video {error}") from None
            except SourceError as error:
                raise CannotRead(str(error)) from None

    def _index(self) -> dict[str, str]:
        by_key: dict[str, str] = {}
        try:
            for video in self.videos():
                if isinstance(video, SourceFile):
                    with suppress(OSError):
                        by_key.setdefault(sha256_of(video.location)[:32], video.location)
        except SourceError as error:
            raise CannotRead(str(error)) from None
        return by_key


def _stem(name: str) -> str:
    """The name without its ending; the whole name where a dot or blank, which blob stores drop, would be the last."""
    stem = str(PurePosixPath(name).with_suffix(""))
    return name if stem.endswith((".", " ")) else stem
