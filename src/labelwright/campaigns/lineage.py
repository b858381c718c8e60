"""Lineage: datasets of the ledger, and the campaigns, labels and datasets of an image."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from labelwright.datasets.names import file_stem
from labelwright.domain import ImageState, State
from labelwright.domain.errors import CannotRun
from labelwright.domain.spreadsheets import undefuse
from labelwright.ledger import Ledger
from labelwright.settings import Settings

MIN_DIGITS = 6
"""Digits of a SHA-256 that a search needs at least."""


def list_datasets(ledger: Ledger, title: str | None = None) -> list[dict[str, Any]]:
    """Every registered version, newest campaign first: name, version, campaign, platform, store, location."""
    datasets = []
    for record in ledger.campaigns.all():
        if title is not None and record.title != title:
            continue
        for dataset in ledger.campaigns.datasets(record.title):
            store = "azure_ml" if dataset["location"].startswith("azureml://") else "local"
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
        raise CannotRun(f"there is no {wanted_version}{hint}: see labelwright datasets list")
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
        excluded = _excluded(ledger, settings, title, entry.image.name)
        datasets = [dataset for dataset in ledger.campaigns.datasets(title) if _holds(dataset, entry.image.name)]
        if excluded and record.state is State.EXPORTED:
            datasets = [dataset for dataset in datasets if not dataset["newest"]]
        images.append(
            {
                "sha256": entry.image.sha256,
                "name": entry.image.name,
                "size": f"{entry.image.size.width} x {entry.image.size.height}",
                "location": entry.location,
                "campaign": title,
                "state": record.state.value,
                "platform": record.spec["platform"],
                "platform_campaign_id": record.remote_id,
                "platform_image_set_id": record.image_set,
                "platform_image_id": entry.remote_id,
                "labeler": record.spec["labeler"],
                "excluded": excluded,
                "labels": None if excluded else _labels(settings, title, entry.image.name),
                "datasets": [
                    {key: dataset[key] for key in ("name", "version", "newest", "location")} for dataset in datasets
                ],
            }
        )
    if not images:
        raise CannotRun(f"no campaign of this ledger has an image whose SHA-256 begins with {digits}")
    return {"sha256": digits, "found": images}


def _excluded(ledger: Ledger, settings: Settings, title: str, name: str) -> str:
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
    return next((f"{state}: {reason}" if reason else state for image, state, reason in excluded if image == name), "")


def _holds(dataset: Mapping[str, Any], name: str) -> bool:
    """Whether the image is in a version: false when a readable receipt lists it as excluded or not delivered."""
    try:
        receipt = json.loads((Path(dataset["location"]) / "receipt.json").read_text(encoding="utf-8"))
        listed = [*receipt["excluded"]["images"], *receipt.get("delivery", {}).get("listed", ())]
        return all(image["image"] != name for image in listed)
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _labels(settings: Settings, title: str, name: str) -> dict[str, int] | None:
    """Objects by label in the newest delivery; None when this machine has no delivery."""
    stem = file_stem(title)
    path = settings.campaign_folder(stem) / "delivery" / "labels" / f"{stem}_labels.csv"
    if not path.is_file():
        return None
    return dict(Counter(row["label"] for row in _rows(path) if row["file_name"] == name and row["label"]))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {**row, "file_name": undefuse(row["file_name"]), "label": undefuse(row["label"])}
