"""Writes the files of a delivery on this machine, before they are registered."""

from __future__ import annotations

import shutil
from pathlib import Path

from prefect import task

from labelwright.datasets.splits import Split
from labelwright.datasets.writers import registry as formats
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

from .labels import delivered

IMAGES, LABELS = "images", "labels"
"""The two datasets of a campaign."""

FILES = {"csv": ("csv",), "coco": ("coco",), "jsonl": formats.JSONL, "mltable": formats.MLTABLE}
"""File formats by the name that a campaign file uses for them."""


def delivery_folder(context: CampaignContext, dataset: str) -> Path:
    return context.folder / "delivery" / dataset


def files_to_write(title: str) -> list[tuple[str, str]]:
    """List pairs of dataset and file format to write. Removes the files of an earlier export."""
    context = CampaignContext(title)
    shutil.rmtree(context.folder / "delivery", ignore_errors=True)
    schema, split = context.spec.schema_of_labels(), _split(context)
    names = [name for group in context.spec.export.formats for name in FILES[group]]
    if split is not None:
        names += formats.split_formats(split)
    usable = [name for name in names if formats.format_named(name, split).suits(schema)]
    return [(IMAGES, "images"), *((LABELS, name) for name in usable)]


@task(task_run_name="write {file} of {title}", **RETRY_POLICY)
def write_file(title: str, dataset: str, file: str) -> str | None:
    """Write one file of a dataset. Returns its path."""
    context = CampaignContext(title)
    schema, folder = context.spec.schema_of_labels(), delivery_folder(context, dataset)
    path = formats.write_file(file, delivered(context), schema, title=title, folder=folder, split=_split(context))
    log().info("wrote %s", path)
    return str(path) if path else None


def _split(context: CampaignContext) -> Split | None:
    split = context.spec.export.split
    return split.as_split() if split is not None else None
