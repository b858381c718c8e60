"""A delivery in the container: its files, where they lie, and what of them is registered."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from labelwright.datasets.names import title_of
from labelwright.stores.protocol import HASHED_AT_ONCE, StoredFile, UnsafeDataset, paths_of

from .names import asset_name, blob_path

_TABLE = re.compile(r"_(detection|segmentation|classification)(?:_(train|validation|test))?_mltable/MLTable$")
_TASKS = ("detection", "segmentation", "classification")
_LINES = "labels.jsonl"


@dataclass(frozen=True, slots=True)
class Asset:
    """One thing to register: its name's ending, what it is for each engine, and where it lies in the container."""

    ending: str
    kind: str
    path: str
    referenced: tuple[str, ...] = ()


def assets_in(engine: str, asset: str, content_hash: str, files: Sequence[StoredFile]) -> list[Asset]:
    """What is registered of a delivery of labels; the first is the dataset itself. Raises UnsafeDataset."""
    csv = csv_in(files)
    if engine == "sdk_v1":
        if not csv:
            raise UnsafeDataset(f"'{asset}' has no CSV of labels, which SDK v1 registers: export the format csv")
        return [Asset("", "tabular", delivery_path(asset, content_hash, csv[0]))]
    # AutoML refuses a table without lines: a small campaign may have no image for one of the parts.
    empty = {one.name for one in files if not one.size}
    tables = {
        (found[1], found[2]): one.name.removesuffix("MLTable")
        for one in files
        if (found := _TABLE.search(one.name)) is not None and f"{one.name.removesuffix('MLTable')}{_LINES}" not in empty
    }
    if not tables:
        raise UnsafeDataset(f"'{asset}' has no MLTable, which SDK v2 registers: export the format mltable")
    first = next(task for task in _TASKS if (task, None) in tables)
    assets = []
    for (task, part), folder in sorted(tables.items(), key=lambda one: (one[0][0] != first, one[0][1] or "")):
        message = [*([] if task == first else [task]), *([part] if part else [])]
        ending = "".join(f"_{word}" for word in message)
        assets.append(Asset(ending, "mltable", delivery_path(asset, content_hash, folder), (f"./{_LINES}",)))
    return assets + [Asset("_csv", "uri_file", delivery_path(asset, content_hash, one)) for one in csv]


def measured(files: Path) -> tuple[list[StoredFile], list[bytes]]:
    """Every file with its SHA-256, and its MD5, read once."""

    def one(path: Path) -> tuple[StoredFile, bytes]:
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
        return StoredFile(path.relative_to(files).as_posix(), size, sha256.hexdigest()), md5.digest()

    with ThreadPoolExecutor(HASHED_AT_ONCE, thread_name_prefix="hash") as pool:
        both = list(pool.map(one, paths_of(files)))
    return [file for file, _ in both], [md5 for _, md5 in both]


def csv_in(files: Sequence[StoredFile]) -> list[str]:
    return [one.name for one in files if one.name.endswith("_labels.csv") and "/" not in one.name]


def asset_of(name: str) -> str:
    """A dataset's name, such as `<title as a file name>_images`, as the workspace has it."""
    stem, _, dataset = name.rpartition("_")
    return asset_name(title_of(stem), f"_{dataset}")


def delivery_path(asset: str, content_hash: str, file: str) -> str:
    return f"deliveries/{asset}/{content_hash}/{blob_path(file)}"
