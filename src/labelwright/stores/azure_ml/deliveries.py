"""Paths of a delivery in the container, and the data assets that are registered for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labelwright.datasets.names import title_of
from labelwright.network.concurrency import bounded_map
from labelwright.stores.protocol import HASHED_AT_ONCE, StoredFile, UnsafeDataset, paths_of

from .names import asset_name, blob_path

_TABLE = re.compile(r"_(detection|segmentation|classification)(?:_(train|validation|test))?_mltable/MLTable$")
_TASKS = ("detection", "segmentation", "classification")
_LINES = "labels.jsonl"


@dataclass(frozen=True, slots=True)
class Asset:
    """A data asset to register: suffix of its name, asset type, path in the container, files that it refers to."""

    ending: str
    kind: str
    path: str
    referenced: tuple[str, ...] = ()


def assets_in(engine: str, asset: str, content_hash: str, files: Sequence[StoredFile]) -> list[Asset]:
    """The assets of a delivery of labels; the first is the dataset itself. Raises UnsafeDataset."""
    csv = csv_in(files)
    if engine == "sdk_v1":
        if not csv:
            raise UnsafeDataset(f"'{asset}' has no labels CSV, which SDK v1 registers: add csv to export.formats")
        return [Asset("", "tabular", delivery_path(asset, content_hash, csv[0]))]
    # AutoML refuses an empty table: a small campaign may have no image for one of the splits.
    empty = {file.name for file in files if not file.size}
    tables = {
        (match[1], match[2]): file.name.removesuffix("MLTable")
        for file in files
        if (match := _TABLE.search(file.name)) is not None
        and f"{file.name.removesuffix('MLTable')}{_LINES}" not in empty
    }
    if not tables:
        raise UnsafeDataset(f"'{asset}' has no MLTable, which SDK v2 registers: add mltable to export.formats")
    first = next(task for task in _TASKS if (task, None) in tables)
    assets = []
    for (task, part), folder in sorted(tables.items(), key=lambda item: (item[0][0] != first, item[0][1] or "")):
        suffixes = [*([] if task == first else [task]), *([part] if part else [])]
        ending = "".join(f"_{suffix}" for suffix in suffixes)
        assets.append(Asset(ending, "mltable", delivery_path(asset, content_hash, folder), (f"./{_LINES}",)))
    return assets + [Asset("_csv", "uri_file", delivery_path(asset, content_hash, name)) for name in csv]


def measured(files: Path) -> tuple[list[StoredFile], list[bytes]]:
    """Every file with its SHA-256, and the MD5s in the same order. Reads each file once."""

    def measure(path: Path) -> tuple[StoredFile, bytes]:
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
        return StoredFile(path.relative_to(files).as_posix(), size, sha256.hexdigest()), md5.digest()

    results = list(bounded_map(measure, paths_of(files), threads=HASHED_AT_ONCE, name="hash"))
    return [file for file, _ in results], [md5 for _, md5 in results]


def csv_in(files: Sequence[StoredFile]) -> list[str]:
    return [file.name for file in files if file.name.endswith("_labels.csv") and "/" not in file.name]


def asset_of(name: str) -> str:
    """The asset name in the workspace of a dataset such as `<title as a file name>_images`."""
    stem, _, dataset = name.rpartition("_")
    return asset_name(title_of(stem), f"_{dataset}")


def delivery_path(asset: str, content_hash: str, file: str) -> str:
    return f"deliveries/{asset}/{content_hash}/{blob_path(file)}"
