"""Writes the files of a delivery, registers both datasets and verifies them: the steps of every export and delivery."""

from __future__ import annotations

from typing import Any

from .files import IMAGES, LABELS, files_to_write, write_file
from .images import keep_all_images
from .registration import draw_labels, register_dataset, repair_dataset, send_all_files, verify_dataset


def register_datasets(title: str) -> list[dict[str, Any]]:
    """Register what `check_labels` let pass. Returns name, version and location of each dataset.

    An unchanged dataset keeps its version; missing or damaged files of it are restored.
    """
    keep_all_images(title)
    for dataset, file in files_to_write(title):
        write_file(title, dataset, file)
    for dataset in (IMAGES, LABELS):
        repair_dataset(title, dataset)
    send_all_files(title)
    datasets = [register_dataset(title, dataset) for dataset in (IMAGES, LABELS)]
    for registered in datasets:
        verify_dataset(title, registered["name"], registered["version"])
    draw_labels(title)
    return datasets
