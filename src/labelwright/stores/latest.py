"""`latest.json` and the link `latest` in a local dataset's folder: the version that was exported last."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from labelwright.network.guards import before_change

from .protocol import Newest, next_serial

RECORD, LINK = "latest.json", "latest"


def read(home: Path) -> Newest | None:
    """None when there is no readable record."""
    try:
        payload = json.loads((home / RECORD).read_bytes())
        return Newest(int(payload["version"]), str(payload["content_hash"]), int(payload["serial"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def point_to(home: Path, version: int, content_hash: str) -> int:
    """Records a version as the newest. Returns its serial number. The caller holds the folder's lock. Idempotent.

    The record is replaced atomically; after a crash the next export corrects the link.
    """
    newest = read(home)
    if newest is None or (newest.version, newest.content_hash) != (version, content_hash):
        newest = Newest(version, content_hash, next_serial(newest.serial if newest else 0))
        payload = {
            "version": version,
            "folder": f"v{version}",
            "content_hash": content_hash,
            "serial": newest.serial,
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        incoming = home / f".incoming-{os.getpid()}"
        with incoming.open("w", encoding="utf-8") as file:
            json.dump(payload, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        before_change()
        incoming.replace(home / RECORD)
    _link(home, f"v{version}")
    return newest.serial


def faults(home: Path) -> list[str]:
    """Faults of record and link, as sentences; none in a folder from before they existed."""
    newest, target = read(home), link_target(home)
    if newest is None:
        if (home / RECORD).exists():
            return [f"{home / RECORD} is damaged: it does not name the newest version"]
        return [f"{home / RECORD} is gone, the link beside it leads to {target}"] if target is not None else []
    if target is not None and target != f"v{newest.version}":
        return [f"the link {home / LINK} leads to {target}, the newest version is in v{newest.version}"]
    return []


def link_target(home: Path) -> str | None:
    """The folder that the link leads to; None where there is no link (some file systems have none)."""
    try:
        return os.readlink(home / LINK)  # noqa: PTH115 - Path.readlink gives a Path
    except OSError:
        return None


def _link(home: Path, folder: str) -> None:
    if link_target(home) == folder or ((home / LINK).is_dir() and not (home / LINK).is_symlink()):
        return
    before_change()
    incoming = home / f".incoming-{os.getpid()}"
    with suppress(OSError):  # a file share without links: the record is enough
        incoming.symlink_to(folder)
        incoming.replace(home / LINK)
