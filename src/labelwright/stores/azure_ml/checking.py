"""The files of a delivery in the container, compared with their receipt, and put back where they can be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labelwright.stores.protocol import RECEIPT, ReceiptDamaged, StoredFile, hash_of_files

from .blobs import Blobs
from .deliveries import delivery_path, measured


def receipt_text(
    asset: str, content_hash: str, receipt: Mapping[str, Any], files: Sequence[StoredFile], md5s: Sequence[bytes]
) -> str:
    told = {
        **receipt,
        "name": asset,
        "content_hash": content_hash,
        "registered_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [asdict(one) | {"md5": md5.hex()} for one, md5 in zip(files, md5s, strict=True)],
    }
    return json.dumps(told, indent=2, ensure_ascii=False, default=str) + "\n"


def sha256_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_receipt(text: str) -> dict[str, Any]:
    """Raises ReceiptDamaged."""
    try:
        told: dict[str, Any] = json.loads(text)
        told["content_hash"].encode()
        for one in told["files"]:
            (one["name"] + one["sha256"] + one["md5"]).encode()
            int(one["size"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReceiptDamaged(f"{RECEIPT} is damaged: it cannot be read as a receipt") from None
    return told


def wrong_files(
    blobs: Blobs, owner: str, content_hash: str, *, receipt_sha256: str = "", deep: bool = False, threads: int = 4
) -> tuple[list[str], dict[str, Any]]:
    """What is not as the receipt of a delivery says, and the receipt (empty when it cannot be read).

    One listing tells sizes and MD5s; `deep` reads every file.
    """
    there = {one.name: one for one in blobs.listed(delivery_path(owner, content_hash, ""))}
    path = delivery_path(owner, content_hash, RECEIPT)
    text = blobs.read_text(path)
    there.pop(path, None)
    wrong, told = _receipt_faults(path, text, content_hash, receipt_sha256)
    if not told:
        if deep and hash_of_files(_hashed(blobs, owner, content_hash, sorted(there), threads)) != content_hash:
            wrong.append("the files are not those that were registered; which of them cannot be told")
        return wrong, {}
    sound = []
    for one in told["files"]:
        name = delivery_path(owner, content_hash, one["name"])
        blob = there.pop(name, None)
        if blob is None:
            wrong.append(f"{one['name']} is gone")
        elif (blob.bytes, blob.md5_hex) != (one["size"], one["md5"]):
            wrong.append(f"{one['name']} has other bytes than when it was registered")
        else:
            sound.append((name, one))
    if deep:
        with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
            digests = list(pool.map(blobs.sha256_of, [name for name, _ in sound]))
        wrong += [
            f"{one['name']} has other bytes than when it was registered"
            for (_, one), digest in zip(sound, digests, strict=True)
            if digest != one["sha256"]
        ]
    wrong += [f"{name} was added: delete it" for name in sorted(there)]
    return wrong, told


def put_back(
    blobs: Blobs, owner: str, content_hash: str, files: Path, receipt: Mapping[str, Any], receipt_sha256: str
) -> list[str]:
    """Write the files of a registered delivery that are gone or changed again. Nothing, if `files` are others."""
    found, md5s = measured(files)
    if hash_of_files(found) != content_hash:
        return []
    there = {one.name: one for one in blobs.listed(delivery_path(owner, content_hash, ""))}
    repaired = []
    for one, md5 in zip(found, md5s, strict=True):
        path = delivery_path(owner, content_hash, one.name)
        blob = there.get(path)
        if blob is None or (blob.bytes, blob.md5_hex) != (one.size, md5.hex()):
            with (files / one.name).open("rb") as stream:
                blobs.put_over(path, stream, one.size, md5)
            repaired.append(one.name)
    path = delivery_path(owner, content_hash, RECEIPT)
    held = blobs.text_and_etag(path)
    if _receipt_faults(path, held[0] if held else None, content_hash, receipt_sha256)[0]:
        text = receipt_text(owner, content_hash, {**receipt, "written_again": True}, found, md5s)
        if blobs.write_text(path, text, held[1] if held else None):
            repaired.append(RECEIPT)
    return repaired


def _receipt_faults(
    path: str, text: str | None, content_hash: str, receipt_sha256: str
) -> tuple[list[str], dict[str, Any]]:
    if text is None:
        return [f"{path} is gone"], {}
    try:
        told = read_receipt(text)
    except ReceiptDamaged as damage:
        return [str(damage)], {}
    if receipt_sha256 and sha256_of_text(text) != receipt_sha256:
        return [f"{RECEIPT} has other bytes than when it was registered"], told
    hashed = [StoredFile(one["name"], one["size"], one["sha256"]) for one in told["files"]]
    if hash_of_files(hashed) != content_hash:
        return [f"{RECEIPT} contradicts itself: its content hash is not that of its list of files"], told
    return [], told


def _hashed(blobs: Blobs, owner: str, content_hash: str, names: Sequence[str], threads: int) -> list[StoredFile]:
    """Names of blobs without what a file's own name may have had to be escaped for."""
    start = delivery_path(owner, content_hash, "")
    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
        digests = list(pool.map(blobs.sha256_of, names))
    return [StoredFile(name.removeprefix(start), 0, digest) for name, digest in zip(names, digests, strict=True)]
