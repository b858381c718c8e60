"""Checks a file of a dropbox: its bytes are read, compared with what was uploaded, and decoded."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from dataclasses import dataclass

from .blobs.store import Blob
from .config import ServiceConfig
from .decoding_notes import DecodingNotes
from .images import ImageFacts, NotAnImage, inspect_image
from .imaging.decoding import Memory
from .storage.protocol import Storage

_AT_ONCE = 4 * 1024**2
"""Bytes of files that are read once and kept for decoding: threads that read piece by piece hinder each other."""

NOT_AS_UPLOADED = "the bytes kept are not those that were uploaded: upload the file again"


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells that a file on this machine was written to since."""

    device: int
    inode: int
    size: int
    modified: int
    """Nanoseconds."""

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """A file that passed."""

    facts: ImageFacts
    md5: str
    """In base64."""
    state: FileState
    """As it was when its bytes were read."""


class ImageChecks:
    """Thread-safe. Every store gets the same checks."""

    def __init__(self, config: ServiceConfig, storage: Storage, memory: Memory) -> None:
        self._limits = config.limits
        self._storage = storage
        self._memory = memory
        self.notes = DecodingNotes(config.data_dir / "decoding")

    def check(self, dropbox: str, blob: Blob, *, take_damaged: bool = False, deaths: int = 0) -> CheckedImage:
        """Returns the facts of an image whose bytes are on the disk to stay. Raises NotAnImage, FileNotFoundError.

        `take_damaged`: take images that lost a part of their data. `deaths`: how often a process ended while it decoded
        this file.
        """
        with self._storage.local(dropbox, blob) as path:
            content = None
            with path.open("rb", buffering=0) as file:
                state = FileState.of(os.fstat(file.fileno()))
                if blob.size <= _AT_ONCE:
                    content = file.readall()
                    hashed = hashlib.md5(content, usedforsecurity=False)
                else:
                    hashed = hashlib.file_digest(file, "md5")
                size, md5 = file.tell(), b64encode(hashed.digest()).decode()
            if size != blob.size or (blob.md5 and blob.md5 != md5):
                raise NotAnImage(NOT_AS_UPLOADED)
            with self.notes.file(dropbox, blob.name, deaths):
                facts = inspect_image(path, self._limits.image_pixels, self._memory, take_damaged, content)
        return CheckedImage(facts, md5, state)
