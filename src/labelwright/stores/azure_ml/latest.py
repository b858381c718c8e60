"""`label_sets/<dataset>.latest.json`: which version of a dataset was exported last, safe with several exporters.

An export first reserves a number (a conditional write), then registers, then writes its version under that number,
unless a higher one stands there. So numbers never repeat, whoever is killed in between, and the highest one counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from labelwright.platforms.errors import PlatformUnavailable
from labelwright.stores.protocol import Newest, next_serial

from .blobs import BLOBS, Blobs

_TRIES = 20


@dataclass(frozen=True, slots=True)
class _Record:
    last_serial: int
    newest: Newest | None
    etag: str | None


def path_of(asset: str) -> str:
    return f"label_sets/{asset}.latest.json"


def read(blobs: Blobs, asset: str) -> Newest | None:
    return _read(blobs, asset).newest


def reserve(blobs: Blobs, asset: str, content_hash: str) -> int:
    """A number for the export: that of the newest version if it has this content, else one that nobody had."""
    for _ in range(_TRIES):
        known = _read(blobs, asset)
        if known.newest is not None and known.newest.content_hash == content_hash:
            return known.newest.serial
        serial = next_serial(known.last_serial)
        if _write(blobs, asset, _Record(serial, known.newest, known.etag)):
            return serial
    raise _busy(asset)


def settle(blobs: Blobs, asset: str, newest: Newest) -> Newest:
    """Make a version the newest, if no later export did so already. Answers the newest one now."""
    for _ in range(_TRIES):
        known = _read(blobs, asset)
        if known.newest is not None and known.newest.serial >= newest.serial:
            return known.newest
        if _write(blobs, asset, _Record(max(known.last_serial, newest.serial), newest, known.etag)):
            return newest
    raise _busy(asset)


def _read(blobs: Blobs, asset: str) -> _Record:
    """A record that cannot be read counts as none, and is written over."""
    found = blobs.text_and_etag(path_of(asset))
    if found is None:
        return _Record(0, None, None)
    text, etag = found
    try:
        told: dict[str, Any] = json.loads(text)
        newest = told.get("newest")
        version = None
        if newest is not None:
            version = Newest(str(newest["version"]), str(newest["content_hash"]), int(newest["serial"]))
        return _Record(int(told["last_serial"]), version, etag)
    except (ValueError, KeyError, TypeError, AttributeError):
        return _Record(0, None, etag)


def _write(blobs: Blobs, asset: str, record: _Record) -> bool:
    newest = record.newest
    told = {
        "dataset": asset,
        "newest": None
        if newest is None
        else {"version": newest.version, "content_hash": newest.content_hash, "serial": newest.serial},
        "last_serial": record.last_serial,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return blobs.write_text(path_of(asset), json.dumps(told, indent=2) + "\n", record.etag)


def _busy(asset: str) -> PlatformUnavailable:
    message = f"{path_of(asset)} is written by others all the time"
    return PlatformUnavailable(
        BLOBS, "say which version is the newest", status=409, message=message, advice="Try again."
    )
