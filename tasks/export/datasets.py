"""Writes the files of a delivery, registers both datasets and verifies them: the steps of every export and delivery."""

from __future__ import annotations

from typing import Any

from .files import IMAGES, LABELS, write_files
from .images import keep_all_images
from .pictures import draw_labels
from .registration import (
    refuse_versions_elsewhere,
    register_dataset,
    repair_dataset,
    send_all_files,
    verify_dataset,
)


def register_datasets(title: str) -> list[dict[str, Any]]:
    """Register what `check_labels` let pass. Returns name, version and location of each dataset.

    An unchanged dataset keeps its version; missing or damaged files of it are restored.
    """
    refuse_versions_elsewhere(title)
    keep_all_images(title)
    write_files(title)
    for dataset in (IMAGES, LABELS):
        repair_dataset(title, dataset)
    send_all_files(title)
    datasets = [register_dataset(title, dataset) for dataset in (IMAGES, LABELS)]
    for registered in datasets:
        verify_dataset(title, registered["name"], registered["version"])
    draw_labels(title)
    return datasets
