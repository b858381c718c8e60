"""Statistics of a version of a campaign's labels: a page, and what somebody should look at."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from labelwright.campaigns.dataset_places import refuse_elsewhere
from labelwright.campaigns.lineage import list_datasets
from labelwright.datasets.comparison.labels import LabelColumns, read_columns
from labelwright.datasets.comparison.masks import MasksUnreadable, with_masks
from labelwright.datasets.files import whole_file
from labelwright.datasets.report.measures import Measures, measure
from labelwright.datasets.report.page import statistics_page
from labelwright.datasets.writers.coco import COCO
from labelwright.datasets.writers.labels_csv import LABELS_CSV
from labelwright.datasets.writers.losses import Content
from labelwright.domain.errors import DatasetFileMissing, UnknownDataset
from labelwright.platforms.registry import PLATFORMS
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import log, publish_table

from .files import LABELS, delivery_folder
from .registration import as_registered, dataset_name
from .stores import store_that_holds

PAGE = "statistics.html"
"""In the campaign's folder, of the version that was exported last."""
_ROWS = 500


def columns_of(dataset: Mapping[str, Any], command: str, *, masks: bool = False, times: bool = False) -> LabelColumns:
    """The labels of a version of the ledger. Raises CannotRun, DatasetElsewhere, DatasetGone.

    command: what to run on the machine that has the version. masks: also read the pixels of masks, which the COCO file
    has; without one, the labels say that they lack them. times: see `read_columns`.
    """
    context = CampaignContext(dataset["campaign"])
    name, version = dataset["name"], dataset["version"]
    if name != dataset_name(context.title, LABELS):
        raise UnknownDataset(f"{name} is no dataset of labels: give {dataset_name(context.title, LABELS)}")
    refuse_elsewhere(dataset, context.settings, command)
    store = store_that_holds(dataset["location"], context.spec.export, context.settings)
    csv = LABELS_CSV.path(Path(), context.title).name
    with tempfile.TemporaryDirectory() as folder:
        path = store.file(as_registered(dataset), csv, Path(folder))
        if path is None:
            raise DatasetFileMissing(
                f"{name}, version {version}, has no {csv}, from which its labels are read: it is gone "
                f"(labelwright datasets verify {name}), or the campaign's export.formats lack csv"
            )
        rows = the_ledger().manifests.image_rows(context.title)
        labels = read_columns(path, {position: row.sha256 for position, row in enumerate(rows, 1)}, times=times)
        if not masks or not _has_masks(store.receipt(as_registered(dataset))):
            return labels
        coco = store.file(as_registered(dataset), COCO.path(Path(), context.title).name, Path(folder))
        if coco is None:
            return replace(labels, lacks_masks=True)
        try:
            return with_masks(labels, coco)
        except MasksUnreadable as error:
            message = f"{name}, version {version}: {error} (labelwright datasets verify {name})"
            raise DatasetFileMissing(message) from None


def _has_masks(receipt: Mapping[str, Any]) -> bool:
    """Whether a version's CSV has boxes in place of masks."""
    return str(Content.HOLES) in receipt.get("not_held_by_formats", {}).get(LABELS_CSV.campaign_name, {})


def object_of(dataset: Mapping[str, Any], object_id: int) -> dict[str, Any]:
    """An object of a version by the id of its annotation in the COCO file, with the SHA-256 of its image.

    Raises CannotRun for an id that the version does not have, and as `columns_of`.
    """
    command = f"labelwright datasets lineage {dataset['name']} --object {object_id}"
    labels = columns_of(dataset, command, times=True)
    drawn = labels.drawn()  # the annotations of COCO, in their order
    name = f"{dataset['name']}, version {dataset['version']}"
    if not 1 <= object_id <= len(drawn):
        raise UnknownDataset(f"{name}, has {len(drawn):,} objects: give an id from 1 to {len(drawn)}")
    place = int(drawn[object_id - 1])
    image = int(labels.images[place])
    return {
        "id": object_id,
        "dataset": name,
        "image": labels.names[image],
        "sha256": labels.sha256[image],
        "label": labels.labels[int(labels.codes[place])],
        "box": labels.corners[place].tolist(),
        "labeler": labels.labelers[int(labels.labeled_by[place])],
        "labeled_at": labels.times[place] if labels.times else "",
        "origin": labels.origins[int(labels.origin_of[place])],
        "model_version": labels.models[int(labels.model_of[place])],
        "platform": CampaignContext(dataset["campaign"]).spec.platform,
    }


def measures_of(dataset: Mapping[str, Any]) -> Measures:
    """Measures a version of the ledger. Raises as `columns_of`."""
    schema = CampaignContext(dataset["campaign"]).spec.schema_of_labels()
    return measure(columns_of(dataset, f"labelwright datasets statistics {dataset['name']}"), schema.names)


def write_page(dataset: Mapping[str, Any], measures: Measures, target: Path, changes: str = "") -> None:
    """Writes the page of a version."""
    facts = [
        ("campaign", dataset["campaign"]),
        ("platform", PLATFORMS[CampaignContext(dataset["campaign"]).spec.platform].shown_name),
        ("registered", str(dataset["registered_at"])[:16].replace("T", " ")),
    ]
    title = f"{dataset['name']}, version {dataset['version']}"
    with whole_file(target) as file:
        file.write(statistics_page(title, facts, measures, changes).encode())


def version_before(name: str, version: str, title: str | None = None) -> dict[str, Any] | None:
    """Of the other versions of a dataset the one that was exported last; None without any. title: of its campaign."""
    others = [
        dataset
        for dataset in list_datasets(the_ledger(), title)
        if dataset["name"] == name and dataset["version"] != version
    ]
    return max(others, key=lambda dataset: dataset["exported_at"], default=None)


def newest_version(title: str) -> dict[str, Any] | None:
    """The version of the campaign's labels that was exported last."""
    name = dataset_name(title, LABELS)
    registered = [row for row in the_ledger().campaigns.datasets(title) if row["name"] == name]
    newest = max(registered, key=lambda row: row["exported_at"], default=None)
    return {**newest, "campaign": title} if newest is not None else None


def measures_of_export(context: CampaignContext) -> Measures | None:
    """Measures the files of this export; None when the campaign exports no CSV."""
    csv = LABELS_CSV.path(delivery_folder(context, LABELS), context.title)
    return measure(read_columns(csv, {}), context.spec.schema_of_labels().names) if csv.is_file() else None


def write_newest_page(context: CampaignContext, measures: Measures, changes: str = "") -> None:
    """Writes the page of the version that was exported last into the campaign's folder."""
    newest = newest_version(context.title)
    if newest is not None:
        write_page(newest, measures, context.folder / PAGE, changes)


def publish_statistics(title: str) -> list[str]:
    """Publish what somebody should look at in the files of this export, and write the page of a first version.

    The page of a later one is written with what changed, by `publish_changes`. Returns sentences. Nothing when the
    campaign exports no CSV.
    """
    context = CampaignContext(title)
    measures = measures_of_export(context)
    if measures is None:
        return []
    newest = newest_version(title)
    if newest is not None and version_before(newest["name"], newest["version"], title) is None:
        write_page(newest, measures, context.folder / PAGE)
    rows = [{"what": remark, "image": "", "label": "", "box": "", "labeler": ""} for remark in measures.remarks()]
    if rows or measures.findings:
        rows += [
            {
                "what": str(finding.kind),
                "image": finding.image,
                "label": finding.label,
                "box": ", ".join(f"{value:g}" for value in finding.box),
                "labeler": finding.labeler,
            }
            for finding in measures.findings[: _ROWS - len(rows)]
        ]
        publish_table(title, "findings", rows, f"Objects of {title} to look at")
    for sentence in measures.sentences():
        log().info("%s: %s", title, sentence)
    return measures.sentences()
