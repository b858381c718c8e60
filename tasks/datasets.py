"""Datasets: registered in a store under a version that never changes, and shown to people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from prefect import task

from labelwright import __version__
from labelwright.datasets.contact_sheet import draw_contact_sheet
from labelwright.datasets.label_chart import draw_label_chart
from labelwright.datasets.receipts import dataset_receipt
from labelwright.datasets.statistics import count
from labelwright.datasets.titles import file_stem
from labelwright.domain import Annotation
from labelwright.stores.local import LocalStore
from labelwright.stores.protocol import DatasetStore, content_hash

from .files import delivery_folder
from .labels import Stock, delivered, spool_of
from .reporting import log, publish_table
from .retrying import RETRIED
from .workbench import Workbench

SHOWN = 60
"""Images on a contact sheet."""

CONTACT_SHEET, CHART = "contact-sheet.png", "label-chart.png"
"""Pictures in the campaign's folder."""

STORES: dict[str, Callable[[Workbench], DatasetStore]] = {
    "local": lambda bench: LocalStore(Path(bench.spec.export.folder)),
}


@task(task_run_name="register {dataset} of {title}", **RETRIED)
def register_dataset(title: str, dataset: str) -> dict[str, Any]:
    """Register what was written. Answers name, version and location: as before when nothing changed."""
    bench = Workbench(title)
    files, name = delivery_folder(bench, dataset), f"{file_stem(title)}_{dataset}"
    statistics = count(delivered(bench), bench.spec.schema_of_labels())
    digest = content_hash(files)
    receipt = dataset_receipt(
        campaign={"title": title, "id": bench.remote_id, "image_set": bench.record.image_set},
        platform=bench.spec.platform,
        stock=Stock(bench),
        statistics=statistics,
        code_version=__version__,
    )
    registered = STORES[bench.spec.export.store](bench).register(name, files, content_hash=digest, receipt=receipt)
    version = str(registered.version)
    bench.ledger.campaigns.record_dataset(title, name, version, str(registered.location), digest)
    log().info("%s is %s version %s", name, "registered as" if registered.created else "still", version)
    publish_table(title, "labels", statistics.to_table(), f"Labels of {title}")
    return {"name": name, "version": version, "location": str(registered.location)}


@task(task_run_name="draw the labels of {title}")
def draw_labels(title: str) -> str:
    """A contact sheet of the first images with their labels drawn in, and a bar for each label. Answers its path."""
    bench = Workbench(title)
    target, schema = bench.folder / CONTACT_SHEET, bench.spec.schema_of_labels()
    draw_contact_sheet(_pictures(bench), schema, target, most=SHOWN)
    counted = count(delivered(bench), schema)
    draw_label_chart(counted.labels, schema, counted.images_without_objects, bench.folder / CHART)
    return str(target)


def _pictures(bench: Workbench) -> Iterator[tuple[str, Callable[[], BinaryIO], tuple[Annotation, ...]]]:
    source = bench.source

    def opener(location: str) -> Callable[[], BinaryIO]:
        return lambda: source.open(location)

    for image in islice(spool_of(bench).images(), SHOWN + 1):
        entry = bench.ledger.manifests.find(bench.title, image.name)
        if entry is not None:
            yield image.name, opener(entry.location), image.annotations
