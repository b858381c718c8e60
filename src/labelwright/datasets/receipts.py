"""The receipt of a dataset: where it comes from and what it holds."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from labelwright.domain import ExcludedImage, LeftOutCounts

from .delivery import Delivery
from .spool.batch import StockedImage
from .statistics import Statistics

_LISTED = 1000

AS_THEY_ARE = "as they are"
"""In `csv_texts`: the CSV files beside the receipt have every text as it is. Older receipts lack it: there, texts that
a spreadsheet would run as a formula begin with an apostrophe."""


def dataset_receipt(
    *,
    campaign: Mapping[str, Any],
    platform: str,
    stock: Iterable[StockedImage],
    statistics: Statistics,
    code_version: str,
    images_manifest: Path | None = None,
    left_out: LeftOutCounts | None = None,
    excluded: Iterable[ExcludedImage] = (),
    delivery: Delivery | None = None,
    not_held: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    conventions: Mapping[str, str] = MappingProxyType({}),
    source_names: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """A receipt for a store: campaign, platform, image hashes, label counts, code version. The store adds the time.

    Up to 1,000 images are listed with their SHA-256; of more, the count and the name and SHA-256 of the manifest file
    that lists them, or a SHA-256 over all hashes in their order when there is no such file. `stock` holds the images of
    the dataset; of those that are excluded the receipt says how many there are in each state, and lists up to 1,000.
    `left_out` are the counts of shapes that are dropped or changed. `delivery` has the images of the campaign that are
    not in the dataset, with the reason of each: the receipt has the counts by reason, and lists up to 1,000. Images are
    listed as the source spells their names: `source_names` has those that differ. `not_held` has what each format
    cannot hold of these labels, `conventions` what readers of a format have to know of its coordinates.
    """
    hashes: dict[str, str] = {}
    count, digest_of_hashes = 0, hashlib.sha256()
    for image in stock:
        count += 1
        digest_of_hashes.update(image.sha256.encode() + b"\n")
        if count <= _LISTED:
            hashes[source_names.get(image.name, image.name)] = image.sha256
    images: dict[str, Any] = {"count": count, "sha256_of_hashes": digest_of_hashes.hexdigest()}
    if count <= _LISTED:
        images["sha256"] = hashes
    if images_manifest is not None:
        with images_manifest.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        images["manifest"] = {"file": images_manifest.name, "sha256": digest}
    decision = {} if delivery is None else {"delivery": delivery.to_dict(_LISTED, source_names)}
    return {
        "campaign": dict(campaign),
        "platform": platform,
        "images": images,
        "excluded": _excluded(excluded, source_names),
        **decision,
        "labels": statistics.to_dict(),
        "csv_texts": AS_THEY_ARE,
        "left_out": (left_out or LeftOutCounts()).to_dict(),
        **({"not_held_by_formats": {name: dict(contents) for name, contents in not_held.items()}} if not_held else {}),
        **({"conventions": dict(conventions)} if conventions else {}),
        "code_version": code_version,
    }


def _excluded(images: Iterable[ExcludedImage], source_names: Mapping[str, str]) -> dict[str, Any]:
    """Images of the campaign that are not in the dataset: counts by state, and the first 1,000 of them."""
    states: Counter[str] = Counter()
    listed: list[dict[str, str]] = []
    for image in images:
        states[image.state.value] += 1
        if len(listed) < _LISTED:
            name = source_names.get(image.name, image.name)
            listed.append({"image": name, "state": image.state.value, "reason": image.detail})
    return {"count": states.total(), "by_state": dict(sorted(states.items())), "images": listed}
