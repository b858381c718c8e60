"""Lineage: datasets of the ledger, and the campaigns, labels and datasets of an image."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelwright.datasets.names import file_stem
from labelwright.domain import ImageState, State, VideoFrame
from labelwright.domain.errors import CannotRun, UnknownDataset
from labelwright.domain.spreadsheets import large_cells, undefuse
from labelwright.ledger import Ledger
from labelwright.settings import Settings

from .dataset_places import is_local, place_elsewhere

MIN_DIGITS = 6
"""Digits of a SHA-256 that a search needs at least."""


def list_datasets(ledger: Ledger, title: str | None = None) -> list[dict[str, Any]]:
    """Every registered version, newest campaign first: name, version, campaign, platform, store, location, host."""
    datasets = []
    for record in ledger.campaigns.all():
        if title is not None and record.title != title:
            continue
        for dataset in ledger.campaigns.datasets(record.title):
            store = "local" if is_local(dataset["location"]) else "azure_ml"
            facts = {"platform": record.spec["platform"], "store": store, "images": record.images}
            datasets.append(
                {key: value for key, value in dataset.items() if key != "campaign"} | {"campaign": record.title}
            )
            datasets[-1] |= facts
    return datasets


def find_dataset(ledger: Ledger, name: str, version: str | None) -> dict[str, Any]:
    """A registered version of a dataset; by default the newest, which is the one exported last. Raises CannotRun."""
    versions = [dataset for dataset in list_datasets(ledger) if dataset["name"] == name]
    matching = [
        dataset for dataset in versions if (version is None and dataset["newest"]) or dataset["version"] == version
    ]
    if not matching:
        hint = f"; it has {', '.join(dataset['version'] for dataset in versions)}" if versions else ""
        wanted_version = f"version {version} of '{name}'" if version else f"dataset '{name}'"
        raise UnknownDataset(f"there is no {wanted_version}{hint}: see labelwright datasets list")
    dataset = max(matching, key=lambda dataset: dataset["exported_at"])
    newest = next(
        version["version"] for version in versions if version["newest"] and version["campaign"] == dataset["campaign"]
    )
    return dataset | {"newest_version": newest}


def lineage(ledger: Ledger, settings: Settings, sha256: str) -> dict[str, Any]:
    """Campaigns, labels and datasets of the images whose SHA-256 begins with these digits. Raises CannotRun."""
    digits = sha256.strip().lower()
    if len(digits) < MIN_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise CannotRun(f"give at least {MIN_DIGITS} of the 64 hexadecimal digits of the image's SHA-256")
    images: list[dict[str, Any]] = []
    for title, entry in ledger.manifests.with_sha256(digits):
        record = ledger.campaigns.get(title)
        names = frozenset({entry.image.name, entry.source_name or entry.image.name})  # files have the source's
        excluded = _excluded(ledger, settings, title, names)
        datasets = [dataset for dataset in ledger.campaigns.datasets(title) if _holds(dataset, names)]
        if excluded and record.state is State.EXPORTED:
            datasets = [dataset for dataset in datasets if not dataset["newest"]]
        images.append(
            {
                "sha256": entry.image.sha256,
                "name": entry.image.name,
                "size": f"{entry.image.size.width} x {entry.image.size.height}",
                "location": entry.location,
                **_place_in_video(entry.frame),
                "campaign": title,
                "state": record.state.value,
                "platform": record.spec["platform"],
                "platform_campaign_id": record.remote_id,
                "platform_image_set_id": record.image_set,
                "platform_image_id": entry.remote_id,
                "labeler": record.spec["labeler"],
                "excluded": excluded,
                "labels": None if excluded else _labels(ledger, settings, title, names),
                "datasets": [
                    {key: dataset[key] for key in ("name", "version", "newest", "location", "host")}
                    | {"elsewhere": place_elsewhere(dataset, settings)}
                    for dataset in datasets
                ],
            }
        )
    if not images:
        raise UnknownDataset(f"no campaign of this ledger has an image whose SHA-256 begins with {digits}")
    return {"sha256": digits, "found": images}


def _place_in_video(frame: VideoFrame | None) -> dict[str, Any]:
    return {} if frame is None else {"video": frame.video, "frame": frame.number, "time_seconds": frame.seconds}


def _excluded(ledger: Ledger, settings: Settings, title: str, names: frozenset[str]) -> str:
    """Why the image is in no dataset (skipped, rejected or deleted); empty when it is in one."""
    states = (ImageState.SKIPPED, ImageState.REJECTED, ImageState.GONE)
    listed = ledger.image_states.images(title)
    excluded = [(image, state.value, reason) for state in states for image, reason in listed.get(state.value, ())]
    path = settings.campaign_folder(file_stem(title)) / "excluded.csv"
    if path.is_file():  # the ledger stores only the first thousand of each state
        with path.open(encoding="utf-8", newline="") as file:
            excluded += [
                (undefuse(row["image"]), row["state"], undefuse(row["reason"])) for row in csv.DictReader(file)
            ]
    return next((f"{state}: {reason}" if reason else state for image, state, reason in excluded if image in names), "")


def _holds(dataset: Mapping[str, Any], names: frozenset[str]) -> bool:
    """Whether the image is in a version: false when a readable receipt lists it as excluded or not delivered."""
    try:
        receipt = json.loads((Path(dataset["location"]) / "receipt.json").read_text(encoding="utf-8"))
        listed = [*receipt["excluded"]["images"], *receipt.get("delivery", {}).get("listed", ())]
        return all(image["image"] not in names for image in listed)
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _labels(ledger: Ledger, settings: Settings, title: str, names: frozenset[str]) -> dict[str, int] | None:
    """Objects by label in the newest version; None when there is none, or none that this machine can read."""
    stem = file_stem(title)
    paths = [settings.campaign_folder(stem) / "delivery" / "labels" / f"{stem}_labels.csv"]
    for dataset in ledger.campaigns.datasets(title):
        if dataset["newest"] and dataset["name"] == f"{stem}_labels" and is_local(dataset["location"]):
            if place_elsewhere(dataset, settings):
                return None  # what this machine delivered before may be another version
            paths.insert(0, Path(dataset["location"]) / f"{stem}_labels.csv")
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    with large_cells(), path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return dict(Counter(row["label"] for row in rows if row["file_name"] in names and row["label"]))
