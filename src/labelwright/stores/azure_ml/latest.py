"""`label_sets/<dataset>.latest.json`: the version of a dataset that was exported last. Safe with several exporters.

An export first reserves a serial number (a conditional write), then registers, then writes its version with that
number unless a higher one is recorded. So numbers never repeat, even after a crash, and the highest one is the newest.
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
    """Returns the serial number of the newest version if it has this content, else a new one."""
    for _ in range(_TRIES):
        record = _read(blobs, asset)
        if record.newest is not None and record.newest.content_hash == content_hash:
            return record.newest.serial
        serial = next_serial(record.last_serial)
        if _write(blobs, asset, _Record(serial, record.newest, record.etag)):
            return serial
    raise _busy(asset)


def settle(blobs: Blobs, asset: str, newest: Newest) -> Newest:
    """Records a version as the newest unless a later export did. Returns the newest version."""
    for _ in range(_TRIES):
        record = _read(blobs, asset)
        if record.newest is not None and record.newest.serial >= newest.serial:
            return record.newest
        if _write(blobs, asset, _Record(max(record.last_serial, newest.serial), newest, record.etag)):
            return newest
    raise _busy(asset)


def _read(blobs: Blobs, asset: str) -> _Record:
    """An unreadable record counts as none, and is replaced."""
    content = blobs.read_text_with_etag(path_of(asset))
    if content is None:
        return _Record(0, None, None)
    text, etag = content
    try:
        payload: dict[str, Any] = json.loads(text)
        newest = payload.get("newest")
        version = None
        if newest is not None:
            version = Newest(str(newest["version"]), str(newest["content_hash"]), int(newest["serial"]))
        return _Record(int(payload["last_serial"]), version, etag)
    except (ValueError, KeyError, TypeError, AttributeError):
        return _Record(0, None, etag)


def _write(blobs: Blobs, asset: str, record: _Record) -> bool:
    newest = record.newest
    payload = {
        "dataset": asset,
        "newest": None
        if newest is None
        else {"version": newest.version, "content_hash": newest.content_hash, "serial": newest.serial},
        "last_serial": record.last_serial,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return blobs.write_text(path_of(asset), json.dumps(payload, indent=2) + "\n", record.etag)


def _busy(asset: str) -> PlatformUnavailable:
    message = f"{path_of(asset)} is written by other processes all the time"
    return PlatformUnavailable(BLOBS, "record the newest version", status=409, message=message, advice="Try again.")
