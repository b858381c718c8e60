"""What is said about a dataset beside its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelwright.domain import LeftOutCounts

from .records import Stock
from .statistics import Statistics

_LISTED = 1000


def dataset_receipt(
    *,
    campaign: Mapping[str, Any],
    platform: str,
    stock: Stock,
    statistics: Statistics,
    code_version: str,
    images_manifest: Path | None = None,
    left_out: LeftOutCounts | None = None,
) -> dict[str, Any]:
    """A receipt for a store: campaign, platform, image hashes, label counts, code version. The store adds the time.

    Up to 1,000 images are listed with their SHA-256; of more, the count and the name and SHA-256 of the manifest file
    that lists them, or a SHA-256 over all hashes in their order when there is no such file. `left_out` are shapes and
    images of the campaign that are not in the dataset, by reason.
    """
    listed: dict[str, str] = {}
    count, together = 0, hashlib.sha256()
    for image in stock:
        count += 1
        together.update(image.sha256.encode() + b"\n")
        if count <= _LISTED:
            listed[image.name] = image.sha256
    images: dict[str, Any] = {"count": count, "sha256_of_hashes": together.hexdigest()}
    if count <= _LISTED:
        images["sha256"] = listed
    if images_manifest is not None:
        with images_manifest.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        images["manifest"] = {"file": images_manifest.name, "sha256": digest}
    return {
        "campaign": dict(campaign),
        "platform": platform,
        "images": images,
        "labels": statistics.to_dict(),
        "left_out": (left_out or LeftOutCounts()).to_dict(),
        "code_version": code_version,
    }
