"""Compares the files of a delivery in the container with its receipt, and restores them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labelwright.network.concurrency import bounded_map
from labelwright.stores.protocol import RECEIPT, ReceiptDamaged, StoredFile, hash_of_files

from .blobs import Blobs
from .deliveries import delivery_path, measured


def receipt_text(
    asset: str, content_hash: str, receipt: Mapping[str, Any], files: Sequence[StoredFile], md5s: Sequence[bytes]
) -> str:
    content = {
        **receipt,
        "name": asset,
        "content_hash": content_hash,
        "registered_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [asdict(file) | {"md5": md5.hex()} for file, md5 in zip(files, md5s, strict=True)],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"


def sha256_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_receipt(text: str) -> dict[str, Any]:
    """Raises ReceiptDamaged."""
    try:
        receipt: dict[str, Any] = json.loads(text)
        receipt["content_hash"].encode()
        for file in receipt["files"]:
            (file["name"] + file["sha256"] + file["md5"]).encode()
            int(file["size"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReceiptDamaged(f"{RECEIPT} is damaged: it cannot be read as a receipt") from None
    return receipt


def delivery_faults(
    blobs: Blobs, owner: str, content_hash: str, *, receipt_sha256: str = "", deep: bool = False, threads: int = 4
) -> tuple[list[str], dict[str, Any]]:
    """Returns the differences between a delivery and its receipt, and the receipt (empty when it cannot be read).

    Sizes and MD5s come from one listing; `deep` reads every file.
    """
    stored = {file.name: file for file in blobs.listed(delivery_path(owner, content_hash, ""))}
    path = delivery_path(owner, content_hash, RECEIPT)
    text = blobs.read_text(path)
    stored.pop(path, None)
    faults, receipt = _receipt_faults(path, text, content_hash, receipt_sha256)
    if not receipt:
        if deep and hash_of_files(_hashed(blobs, owner, content_hash, sorted(stored), threads)) != content_hash:
            faults.append("the files are not those that were registered; without a receipt it is unknown which")
        return faults, {}
    sound = []
    for file in receipt["files"]:
        name = delivery_path(owner, content_hash, file["name"])
        blob = stored.pop(name, None)
        if blob is None:
            faults.append(f"{file['name']} is gone")
        elif (blob.bytes, blob.md5_hex) != (file["size"], file["md5"]):
            faults.append(f"{file['name']} has other bytes than when it was registered")
        else:
            sound.append((name, file))
    if deep:
        digests = bounded_map(blobs.sha256_of, [name for name, _ in sound], threads=threads, name="read")
        faults += [
            f"{file['name']} has other bytes than when it was registered"
            for (_, file), digest in zip(sound, digests, strict=True)
            if digest != file["sha256"]
        ]
    faults += [f"{name} was added: delete it" for name in sorted(stored)]
    return faults, receipt


def restore_files(
    blobs: Blobs, owner: str, content_hash: str, files: Path, receipt: Mapping[str, Any], receipt_sha256: str
) -> list[str]:
    """Writes missing or changed files of a registered delivery again. Returns their names.

    Returns an empty list when the content of `files` is not that of the delivery.
    """
    stored_files, md5s = measured(files)
    if hash_of_files(stored_files) != content_hash:
        return []
    blobs_by_path = {file.name: file for file in blobs.listed(delivery_path(owner, content_hash, ""))}
    repaired = []
    for file, md5 in zip(stored_files, md5s, strict=True):
        path = delivery_path(owner, content_hash, file.name)
        blob = blobs_by_path.get(path)
        if blob is None or (blob.bytes, blob.md5_hex) != (file.size, md5.hex()):
            with (files / file.name).open("rb") as stream:
                blobs.overwrite(path, stream, file.size, md5)
            repaired.append(file.name)
    path = delivery_path(owner, content_hash, RECEIPT)
    existing = blobs.read_text_with_etag(path)
    if _receipt_faults(path, existing[0] if existing else None, content_hash, receipt_sha256)[0]:
        text = receipt_text(owner, content_hash, {**receipt, "written_again": True}, stored_files, md5s)
        if blobs.write_text(path, text, existing[1] if existing else None):
            repaired.append(RECEIPT)
    return repaired


def _receipt_faults(
    path: str, text: str | None, content_hash: str, receipt_sha256: str
) -> tuple[list[str], dict[str, Any]]:
    if text is None:
        return [f"{path} is gone"], {}
    try:
        receipt = read_receipt(text)
    except ReceiptDamaged as damage:
        return [str(damage)], {}
    if receipt_sha256 and sha256_of_text(text) != receipt_sha256:
        return [f"{RECEIPT} has other bytes than when it was registered"], receipt
    hashed = [StoredFile(file["name"], file["size"], file["sha256"]) for file in receipt["files"]]
    if hash_of_files(hashed) != content_hash:
        return [f"{RECEIPT} contradicts itself: its content hash is not that of its list of files"], receipt
    return [], receipt


def _hashed(blobs: Blobs, owner: str, content_hash: str, names: Sequence[str], threads: int) -> list[StoredFile]:
    """Names (relative to the delivery) and SHA-256 of blobs; sizes are 0."""
    start = delivery_path(owner, content_hash, "")
    digests = bounded_map(blobs.sha256_of, names, threads=threads, name="read")
    return [StoredFile(name.removeprefix(start), 0, digest) for name, digest in zip(names, digests, strict=True)]
