"""Writes the files of a delivery on this machine, before they are registered."""

from __future__ import annotations

import shutil
from pathlib import Path

from prefect import task

from labelwright.datasets.delivery import REJECTED_CSV, write_rejected
from labelwright.datasets.splits import Split
from labelwright.datasets.writers import writing
from labelwright.datasets.writers.registry import output_names
from labelwright.tasks.campaign.excluded_images import delivery_of
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.export.labels import delivered
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

IMAGES, LABELS = "images", "labels"
"""The two datasets of a campaign."""


def delivery_folder(context: CampaignContext, dataset: str) -> Path:
    return context.folder / "delivery" / dataset


def files_to_write(title: str) -> list[tuple[str, str]]:
    """List pairs of dataset and file format to write. Removes the files of an earlier export."""
    context = CampaignContext(title)
    shutil.rmtree(context.folder / "delivery", ignore_errors=True)
    outputs = output_names(context.spec.export.formats, context.spec.schema_of_labels(), _split(context))
    delivery = delivery_of(context)
    if delivery is not None and delivery.listed:
        outputs.append(REJECTED_CSV)
    return [(IMAGES, "images"), *((LABELS, name) for name in outputs)]


@task(task_run_name="write {file} of {title}", **RETRY_POLICY)
def write_file(title: str, dataset: str, file: str) -> str | None:
    """Write one file or folder of a dataset. Returns its path."""
    context = CampaignContext(title)
    schema, folder = context.spec.schema_of_labels(), delivery_folder(context, dataset)
    if file == REJECTED_CSV:
        delivery = delivery_of(context)
        write_rejected(folder / REJECTED_CSV, delivery.listed if delivery is not None else ())
        return str(folder / REJECTED_CSV)
    path = writing.write_file(file, delivered(context), schema, title=title, folder=folder, split=_split(context))
    log().info("wrote %s", path)
    return str(path) if path else None


def _split(context: CampaignContext) -> Split | None:
    split = context.spec.export.split
    return split.as_split() if split is not None else None
