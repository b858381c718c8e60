"""Checks images as they arrive, in the background, so that sealing has little left to do when the last one is there.

What passes is remembered by the name of its file, which is never given to other bytes, and counts as long as the file
is untouched. Whatever does not pass is checked by sealing itself, which gives the reasons.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path

from .blobs.store import Blob
from .image_checks import CheckedImage, FileState, ImageChecks
from .images import ImageFacts, NotAnImage

log = logging.getLogger("labelwright.service.sealing")

_THREADS = 6
"""More than processors: most of the time they wait for the disk to keep what was written."""
_MOST_WAITING = 2_000
"""Files; what comes beyond is left to sealing."""
_MOST_REMEMBERED = 100_000
"""Images, of some 330 bytes each; the oldest are forgotten."""


class EarlyChecks:
    """Used from any thread, between `start` and `stop`. `path`: where the file of a blob is."""

    def __init__(self, checks: ImageChecks, path: Callable[[str], Path]) -> None:
        self._checks, self._path = checks, path
        self._waiting = OrderedDict[str, tuple[str, Blob]]()
        self._running = set[str]()
        self._passed = OrderedDict[str, str]()
        lock = threading.Lock()
        self._arrival, self._end = threading.Condition(lock), threading.Condition(lock)
        self._stopping = False
        self._threads = [threading.Thread(target=self._run, name="early check", daemon=True) for _ in range(_THREADS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stops after the images that are being decoded; the rest is left to sealing."""
        with self._arrival:
            self._stopping = True
            self._arrival.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def add(self, dropbox: str, blobs: Sequence[Blob]) -> None:
        """Blobs that were just stored."""
        with self._arrival:
            for blob in blobs:
                if len(self._waiting) < _MOST_WAITING:
                    self._waiting[blob.file] = (dropbox, blob)
            self._arrival.notify(len(blobs))

    def take(self, blob: Blob) -> CheckedImage | None:
        """The outcome for a blob that passed, once; None when it must be checked. Waits while it is being checked."""
        with self._end:
            self._waiting.pop(blob.file, None)
            while blob.file in self._running:
                self._end.wait()
            passed = self._passed.pop(blob.file, None)
        if passed is None:
            return None
        checked = _unpacked(passed)
        try:
            untouched = FileState.of(self._path(blob.file).stat()) == checked.state
        except FileNotFoundError:
            return None
        return checked if untouched else None

    def _run(self) -> None:
        while True:
            with self._arrival:
                while not self._waiting and not self._stopping:
                    self._arrival.wait()
                if self._stopping:
                    return
                file, (dropbox, blob) = self._waiting.popitem(last=False)
                self._running.add(file)
            passed = self._check(dropbox, blob)
            with self._end:
                self._running.remove(file)
                if passed is not None:
                    self._passed[file] = passed
                    if len(self._passed) > _MOST_REMEMBERED:
                        self._passed.popitem(last=False)
                self._end.notify_all()

    def _check(self, dropbox: str, blob: Blob) -> str | None:
        """What is remembered of an image that passes."""
        if self._checks.notes.deaths(dropbox, blob.name):
            return None  # sealing decodes it while no other image is being decoded
        try:
            return _packed(self._checks.check(dropbox, blob))
        except (NotAnImage, FileNotFoundError):
            return None
        except Exception:
            log.exception("an image could not be checked when it arrived; it will be when its set is sealed")
            return None


def _packed(checked: CheckedImage) -> str:
    """The values alone, which take less memory."""
    return json.dumps((astuple(checked.facts), checked.md5, astuple(checked.state)), separators=(",", ":"))


def _unpacked(text: str) -> CheckedImage:
    facts, md5, state = json.loads(text)
    return CheckedImage(ImageFacts(*facts), md5, FileState(*state))
