"""Registers datasets in a store under versions that never change."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from labelwright import __version__
from labelwright.campaigns.dataset_places import place_elsewhere
from labelwright.campaigns.shared_paths import SETTING
from labelwright.datasets.names import file_stem
from labelwright.datasets.receipts import dataset_receipt
from labelwright.datasets.statistics import BatchWatcher, Statistics, count
from labelwright.datasets.writers.errors import NotDelivered
from labelwright.datasets.writers.formats import FolderFormat
from labelwright.datasets.writers.losses import ContentCounts
from labelwright.datasets.writers.registry import FORMATS, output_names
from labelwright.domain.commands import quoted
from labelwright.ledger import DatasetVersion, LedgerError
from labelwright.platforms import PlatformRefused
from labelwright.platforms.protocol import KeepsSnapshots
from labelwright.stores.protocol import KeepsImages, RegisteredDataset, TakesFiles, content_hash, paths_of
from labelwright.tasks.campaign.excluded_images import delivery_of
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRY_POLICY

from .files import IMAGES, LABELS, delivery_folder
from .images import kept_folder
from .labels import delivered
from .stores import open_store, store_kind, store_that_holds

FILES_A_TASK = 200
"""Files of a folder that one task sends to a store."""


class DatasetDamaged(PlatformRefused):
    """The store's files differ from those that were registered."""

    error_code = "LW5004"


class VersionsElsewhere(LedgerError):
    """Earlier versions are in a folder of another machine: here they would be numbered from 1 again."""

    error_code = "LW5003"


def refuse_versions_elsewhere(title: str) -> None:
    """Raises VersionsElsewhere for a campaign whose earlier versions another machine has."""
    context = CampaignContext(title)
    export = context.spec.export
    if export.store != "local":
        return
    for dataset in context.ledger.campaigns.datasets(title):
        in_folder = Path(dataset["location"]).is_relative_to(export.folder)
        if in_folder and (place := place_elsewhere(dataset, context.settings)):
            raise VersionsElsewhere(
                f"{dataset['name']}, version {dataset['version']}, is {place}, and a new version belongs beside "
                f"it. Make that folder available on every machine and list it there in {SETTING}, or export to another "
                f"folder (labelwright change {quoted(title)} FILE). Then: labelwright resume {quoted(title)}"
            )


def send_all_files(title: str) -> None:
    """Send the files of both datasets to a store that is elsewhere.

    Each file has a task of its own, and each folder one for every FILES_A_TASK files: some formats write a file per
    image.
    """
    context = CampaignContext(title)
    if not isinstance(open_store(context.spec.export, context.settings), TakesFiles):
        return
    for dataset in (IMAGES, LABELS):
        folder = delivery_folder(context, dataset)
        digest = content_hash(folder)
        names = (path.relative_to(folder).as_posix() for path in paths_of(folder))
        for entry, files in groupby(names, key=lambda name: name.partition("/")[0]):
            while batch := list(islice(files, FILES_A_TASK)):
                send_files(title, dataset, entry, batch, digest)


@task(task_run_name="send {entry} of {title}", **RETRY_POLICY)
def send_files(title: str, dataset: str, entry: str, files: list[str], content_hash: str) -> int:
    """Send some files of a file or folder `entry` of a dataset. Returns how many the store did not have yet."""
    context = CampaignContext(title)
    store = open_store(context.spec.export, context.settings)
    if not isinstance(store, TakesFiles):
        raise PlatformRefused(context.spec.export.store, "take a file", message="this store takes whole datasets only")
    folder, name = delivery_folder(context, dataset), dataset_name(title, dataset)
    sent = sum(store.send(name, folder, file, content_hash=content_hash) for file in files)
    log().info("%s of %s: %d files sent, %d were in the store already", entry, title, sent, len(files) - sent)
    return sent


@task(task_run_name="repair {dataset} of {title}", **RETRY_POLICY)
def repair_dataset(title: str, dataset: str) -> list[str]:
    """Restore files of a registered version that are missing or changed in the store, if the files of this export have
    the same content. Returns what was restored."""
    context = CampaignContext(title)
    files, digest = delivery_folder(context, dataset), content_hash(delivery_folder(context, dataset))
    store = open_store(context.spec.export, context.settings)
    target = store_kind("", context.spec.export)
    same_content = [
        dataset
        for dataset in context.ledger.campaigns.datasets(title)
        if dataset["content_hash"] == digest and store_kind(dataset["location"], context.spec.export) == target
    ]
    if not same_content:
        return []
    version = as_registered(min(same_content, key=lambda row: len(row["name"])))  # parts have longer names
    if not store.verify(version):
        return []
    repaired = store.repair(version, files, _receipt(context, dataset)[0])
    if repaired:
        log().warning("%s version %s was damaged; put back: %s", version.name, version.version, ", ".join(repaired))
        rows = [{"put back": file} for file in repaired[:500]]
        publish_table(title, f"repaired-{dataset}", rows, f"Put back in {version.name} version {version.version}")
    return repaired


@task(task_run_name="register {dataset} of {title}", **RETRY_POLICY)
def register_dataset(title: str, dataset: str) -> dict[str, Any]:
    """Register the files of this export. Returns name, version and location, as before when nothing changed."""
    context = CampaignContext(title)
    files, name = delivery_folder(context, dataset), dataset_name(title, dataset)
    store, folder = open_store(context.spec.export, context.settings), kept_folder(context)
    digest, receipt, statistics = content_hash(files), *_receipt(context, dataset)
    if dataset == IMAGES and folder is not None and isinstance(store, KeepsImages):
        registered = store.register_images(name, files, content_hash=digest, receipt=receipt, image_folder=folder)
    else:
        registered = store.register(name, files, content_hash=digest, receipt=receipt)
    for part in (registered, *registered.parts):
        version = DatasetVersion(
            name=part.name,
            version=str(part.version),
            location=part.location,
            content_hash=digest,
            store=store.identity,
            serial=part.serial,
            receipt_sha256=part.receipt_sha256,
            host=socket.gethostname(),
        )
        context.ledger.campaigns.record_dataset(title, version)
        log().info("%s is %s version %s", part.name, "registered as" if part.created else "still", part.version)
    publish_table(title, "labels", statistics.to_table(), f"Labels of {title}")
    return {"name": registered.name, "version": str(registered.version), "location": registered.location}


def _about_formats(context: CampaignContext, contents: ContentCounts) -> dict[str, Any]:
    """What each format of the campaign cannot hold of these labels, and how it counts pixels: for the receipt."""
    names = output_names(context.spec.export.formats, context.spec.schema_of_labels())
    conventions = {name: entry.convention for name in names if isinstance(entry := FORMATS[name], FolderFormat)}
    return {
        "not_held": contents.lost_by((name, FORMATS[name].cannot_hold) for name in names),
        "conventions": {name: sentence for name, sentence in conventions.items() if sentence},
    }


def _statistics(context: CampaignContext, *watchers: BatchWatcher) -> Statistics:
    """Counts of the dataset. `watchers` are handed every batch.

    Raises NotDelivered when it has other images than those that the checks let pass.
    """
    statistics = count(delivered(context), context.spec.schema_of_labels(), *watchers)
    delivery = delivery_of(context)
    if delivery is not None and statistics.images != delivery.delivered:
        raise NotDelivered(
            f"the labels hold {statistics.images} images, {delivery.delivered} of {delivery.images} were checked: "
            f"labelwright export {quoted(context.title)} reads them again"
        )
    return statistics


def _receipt(context: CampaignContext, dataset: str) -> tuple[dict[str, Any], Statistics]:
    """The receipt of a dataset of this export, with the images' folder if the store keeps images; and its counts."""
    folder, labels, contents = kept_folder(context), delivered(context), ContentCounts()
    statistics = _statistics(context, contents)
    receipt = dataset_receipt(
        campaign={"title": context.title, "id": context.remote_id, "image_set": context.record.image_set}
        | _snapshot(context),
        platform=context.spec.platform,
        stock=labels.images(),
        excluded=labels.excluded().values(),
        delivery=delivery_of(context),
        statistics=statistics,
        code_version=__version__,
        left_out=context.ledger.left_out.find(context.title),
        source_names=context.ledger.manifests.source_names(context.title),
        **(_about_formats(context, contents) if dataset == LABELS else {}),
    )
    return (receipt if folder is None else receipt | {"image_folder": folder}), statistics


def _snapshot(context: CampaignContext) -> dict[str, Any]:
    """The platform's own snapshot of the labels, where it keeps one."""
    platform = context.platform
    snapshot = platform.snapshot(context.remote_id) if isinstance(platform, KeepsSnapshots) else {}
    return {"snapshot": dict(snapshot)} if snapshot else {}


@task(task_run_name="verify {name} of {title}", **RETRY_POLICY)
def verify_dataset(title: str, name: str, version: str) -> None:
    """Read a registered version back and compare it with what was registered. Raises DatasetDamaged.

    Images are not compared again: the export did that before it registered them.
    """
    context = CampaignContext(title)
    wrong = dataset_differences(context, name, version)
    if wrong:
        message = f"{name} version {version}: {'; '.join(wrong[:5])}"
        raise DatasetDamaged(context.spec.export.store, "verify a dataset", message=message)
    log().info("%s version %s is as it was registered", name, version)


def dataset_differences(context: CampaignContext, name: str, version: str, *, deep: bool = False) -> list[str]:
    """Sentences on how the store's files differ from what was registered. Raises LedgerError for an unknown version."""
    registered = registered_version(context, name, version)
    return store_that_holds(registered.location, context.spec.export, context.settings).verify(registered, deep=deep)


def receipt_of(context: CampaignContext, name: str, version: str) -> dict[str, Any]:
    """The receipt of a registered version. Raises DatasetGone, LedgerError."""
    registered = registered_version(context, name, version)
    return store_that_holds(registered.location, context.spec.export, context.settings).receipt(registered)


def registered_version(context: CampaignContext, name: str, version: str) -> RegisteredDataset:
    for row in context.ledger.campaigns.datasets(context.title):
        if (row["name"], row["version"]) == (name, version):
            return as_registered(row)
    raise LedgerError(f"no version {version} of {name} was registered for '{context.title}'")


def as_registered(row: Mapping[str, Any]) -> RegisteredDataset:
    """A row of the ledger as a registered version."""
    return RegisteredDataset(
        row["name"],
        row["version"],
        row["location"],
        False,
        row["content_hash"],
        receipt_sha256=row["receipt_sha256"],
    )


def dataset_name(title: str, dataset: str) -> str:
    return f"{file_stem(title)}_{dataset}"
