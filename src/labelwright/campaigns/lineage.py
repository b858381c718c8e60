"""From an image to its labels, campaign, platform and datasets, and from a label back to its image."""

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

SHORTEST = 6
"""Digits of a SHA-256 that are looked for."""


def known_datasets(ledger: Ledger, title: str | None = None) -> list[dict[str, Any]]:
    """Every registered version, the newest campaign first: name, version, campaign, platform, store, and where."""
    found = []
    for record in ledger.campaigns.all():
        if title is not None and record.title != title:
            continue
        for one in ledger.campaigns.datasets(record.title):
            store = "azure_ml" if one["location"].startswith("azureml://") else "local"
            facts = {"platform": record.spec["platform"], "store": store, "images": record.images}
            found.append({key: value for key, value in one.items() if key != "campaign"} | {"campaign": record.title})
            found[-1] |= facts
    return found


def the_dataset(ledger: Ledger, name: str, version: str | None) -> dict[str, Any]:
    """A registered version by its dataset's name; without a version the newest, which is the one exported last."""
    there = [one for one in known_datasets(ledger) if one["name"] == name]
    fitting = [one for one in there if (version is None and one["newest"]) or one["version"] == version]
    if not fitting:
        known = f"; it has {', '.join(one['version'] for one in there)}" if there else ""
        what = f"version {version} of '{name}'" if version else f"dataset '{name}'"
        raise CannotRun(f"the ledger knows no {what}{known}: see labelwright datasets list")
    found = max(fitting, key=lambda one: one["exported_at"])
    newest = next(one["version"] for one in there if one["newest"] and one["campaign"] == found["campaign"])
    return found | {"newest_version": newest}


def lineage(ledger: Ledger, settings: Settings, sha256: str) -> dict[str, Any]:
    """All that is known of the images whose SHA-256 begins so."""
    digits = sha256.strip().lower()
    if len(digits) < SHORTEST or not set(digits) <= set("0123456789abcdef"):
        raise CannotRun(f"an image is named by its SHA-256: at least {SHORTEST} of its 64 hexadecimal digits")
    found: list[dict[str, Any]] = []
    for title, entry in ledger.manifests.with_sha256(digits):
        record = ledger.campaigns.get(title)
        excluded = _excluded(ledger, settings, title, entry.image.name)
        held = [one for one in ledger.campaigns.datasets(title) if _holds(one, entry.image.name)]
        if excluded and record.state is State.EXPORTED:
            held = [one for one in held if not one["newest"]]
        found.append(
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
                "datasets": [{key: one[key] for key in ("name", "version", "newest", "location")} for one in held],
            }
        )
    if not found:
        raise CannotRun(f"no campaign of this ledger has an image whose SHA-256 begins with {digits}")
    return {"sha256": digits, "found": found}


def _excluded(ledger: Ledger, settings: Settings, title: str, name: str) -> str:
    """Why the image is in no dataset: it was skipped, rejected or deleted. Empty when it is in one."""
    states = (ImageState.SKIPPED, ImageState.REJECTED, ImageState.GONE)
    listed = ledger.image_states.images(title)
    known = [(one, state.value, reason) for state in states for one, reason in listed.get(state.value, ())]
    path = settings.campaign_folder(file_stem(title)) / "excluded.csv"
    if path.is_file():  # the ledger has the first thousand of each state
        with path.open(encoding="utf-8", newline="") as file:
            known += [(undefuse(row["image"]), row["state"], undefuse(row["reason"])) for row in csv.DictReader(file)]
    return next((f"{state}: {reason}" if reason else state for one, state, reason in known if one == name), "")


def _holds(dataset: Mapping[str, Any], name: str) -> bool:
    """Whether the image is in a version: false when its receipt can be read here and lists the image as excluded."""
    try:
        receipt = json.loads((Path(dataset["location"]) / "receipt.json").read_text(encoding="utf-8"))
        return all(one["image"] != name for one in receipt["excluded"]["images"])
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _labels(settings: Settings, title: str, name: str) -> dict[str, int] | None:
    """How many objects of each label the newest delivery has in the image; None where it is not on this machine."""
    stem = file_stem(title)
    path = settings.campaign_folder(stem) / "delivery" / "labels" / f"{stem}_labels.csv"
    if not path.is_file():
        return None
    return dict(Counter(row["label"] for row in _rows(path) if row["file_name"] == name and row["label"]))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {**row, "file_name": undefuse(row["file_name"]), "label": undefuse(row["label"])}
