"""Compares versions of datasets of labels, and shows the changes in Prefect and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from labelwright.campaigns.lineage import find_dataset, list_datasets
from labelwright.datasets.comparison.diff import Change, Comparison, Status, compare
from labelwright.datasets.comparison.labels import LabelColumns
from labelwright.datasets.preview.contact_sheet import PALETTE, draw_contact_sheet
from labelwright.datasets.report.measures import Kind, Measures, measure
from labelwright.domain import Annotation, Box, Geometry, Label, LabelSchema, WholeImage
from labelwright.domain.errors import CannotRun, UnknownDataset
from labelwright.stores.protocol import DatasetGone
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext, open_image_of, the_ledger
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRY_POLICY

from .files import LABELS
from .registration import dataset_name
from .statistics import columns_of, measures_of_export, version_before, write_newest_page

_COLORS = {
    Status.ADDED: "#009E73",
    Status.REMOVED: "#D55E00",
    Status.MOVED: "#0072B2",
    Status.RELABELED: "#E69F00",
    Status.ATTRIBUTES: "#CC79A7",
}


def versions_to_compare(first: str, second: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ledger's records of two versions, each given as ``NAME`` (the newest) or ``NAME:VERSION``.

    Without the second one, the two newest versions of the first one's dataset, the older one first. Raises CannotRun.
    """
    name, _, version = first.partition(":")
    if second is None and not version:
        newest = find_dataset(the_ledger(), name, None)
        earlier = version_before(name, newest["version"])
        if earlier is None:
            raise UnknownDataset(f"{name} has one version only: name another dataset to compare it with")
        return earlier, newest
    if second is None:
        return find_dataset(the_ledger(), name, version), find_dataset(the_ledger(), name, None)
    other, _, other_version = second.partition(":")
    return find_dataset(the_ledger(), name, version or None), find_dataset(the_ledger(), other, other_version or None)


def compare_versions(
    first: Mapping[str, Any], second: Mapping[str, Any], *, tolerance: float = 0.0, most: int = 1000
) -> Comparison:
    """Compares two versions of the ledger; see `compare`. Raises CannotRun, DatasetElsewhere, DatasetGone."""
    return compare(*_columns_of(first, second), tolerance=tolerance, most=most)


def _columns_of(*datasets: Mapping[str, Any]) -> Iterator[LabelColumns]:
    return (columns_of(dataset, "labelwright datasets diff", masks=True) for dataset in datasets)


def show_changes(title: str, registered: list[dict[str, Any]]) -> dict[str, int]:
    """Show in Prefect what changed since the version that was exported before; nothing for a first version."""
    name = dataset_name(title, LABELS)
    version = next((row["version"] for row in registered if row["name"] == name), None)
    if version is None or (earlier := version_before(name, version, title)) is None:
        return {}
    return publish_changes(title, earlier["version"], version)


@task(task_run_name="compare versions {first} and {second} of the labels of {title}", **RETRY_POLICY)
def publish_changes(title: str, first: str, second: str) -> dict[str, int]:
    """Publish a table of what changed between two versions. Returns the number of objects by what became of them.

    Writes the page of the second one, which is the newest. No table when one of them cannot be read here.
    """
    name, context = dataset_name(title, LABELS), CampaignContext(title)
    try:
        before, after = _columns_of(*(find_dataset(the_ledger(), name, version) for version in (first, second)))
    except CannotRun as error:
        log().info("versions %s and %s were not compared: %s", first, second, error)
        if (measures := measures_of_export(context)) is not None:
            write_newest_page(context, measures)
        return {}
    result = compare(before, after, most=0)
    counts = {str(status): number for status, number in result.objects.items()}
    rows = [{"label": label, **row} for label, row in result.to_dict()["by_label"].items()]
    description = f"{name}: version {second} compared with version {first}"
    publish_table(title, "changes", rows, description)
    log().info("%s: %s", description, _in_words(result))
    measures = measure(after, context.spec.schema_of_labels().names)
    write_newest_page(context, measures, agreement_sentence(first, result))
    return counts


def compare_with_earlier(dataset: Mapping[str, Any]) -> tuple[str, Comparison] | None:
    """The version of the dataset that was exported before this one, compared with it.

    None without any, or when it cannot be read here.
    """
    versions = [row for row in list_datasets(the_ledger(), dataset["campaign"]) if row["name"] == dataset["name"]]
    earlier = [row for row in versions if row["exported_at"] < dataset["exported_at"]]
    if not earlier:
        return None
    before = max(earlier, key=lambda row: row["exported_at"])
    try:
        return before["version"], compare_versions(before, dataset, most=0)
    except (CannotRun, DatasetGone) as error:
        log().info("version %s of %s was not compared: %s", before["version"], dataset["name"], error)
        return None


def agreement_sentence(version: str, result: Comparison) -> str:
    """How far a version agrees with the one before, for people."""
    share = "" if result.agreement is None else f"{100 * result.agreement:.1f} % of the objects are unchanged: "
    return f"Compared with version {version}: {share}{_in_words(result)}."


def _in_words(result: Comparison) -> str:
    return ", ".join(f"{number:,} {status}" for status, number in result.objects.items() if number) or "no objects"


def draw_changes(second: Mapping[str, Any], first: Mapping[str, Any], result: Comparison, target: Path) -> bool:
    """Draws the changed images into a PNG file; what changed is the label of each box. Returns False without any."""
    if not result.changes:
        return False
    labels = {_caption(change): _COLORS[change.status] for change in result.changes}
    schema = LabelSchema(tuple(Label(name, Geometry.ANY, color=color) for name, color in labels.items()))
    draw_contact_sheet(_changed_images(second, first, result), schema, target)
    return True


def _caption(change: Change) -> str:
    if change.status is Status.RELABELED:
        return f"{change.before}, now {change.after}"
    return f"{change.status}: {change.after or change.before}"


def _changed_images(
    second: Mapping[str, Any], first: Mapping[str, Any], result: Comparison
) -> Iterator[tuple[str, Callable[[], BinaryIO], tuple[Annotation, ...]]]:
    opener = _opener_of(second["campaign"], first["campaign"])
    ordered = sorted(result.changes, key=lambda change: (change.image, change.sha256))
    for (name, sha256), changes in groupby(ordered, key=lambda change: (change.image, change.sha256)):
        shapes = tuple(
            Annotation(_caption(change), Box(*change.box) if change.box else WholeImage()) for change in changes
        )
        yield name, opener(sha256), shapes


def draw_findings(dataset: Mapping[str, Any], measures: Measures, target: Path) -> bool:
    """Draws the images with objects that somebody should look at into a PNG file. Returns False without any."""
    colors = dict(zip(Kind, PALETTE, strict=False))
    schema = LabelSchema(tuple(Label(_name_of(kind), Geometry.ANY, color=color) for kind, color in colors.items()))
    opener = _opener_of(dataset["campaign"])
    ordered = sorted(measures.findings, key=lambda finding: (finding.image, finding.sha256))
    images = [
        (name, opener(sha256), tuple(Annotation(_name_of(one.kind), Box(*one.box)) for one in findings))
        for (name, sha256), findings in groupby(ordered, key=lambda finding: (finding.image, finding.sha256))
    ]
    if images:
        draw_contact_sheet(images, schema, target)
    return bool(images)


def _name_of(kind: Kind) -> str:
    return kind.name.replace("_", " ").lower()


def _opener_of(*titles: str) -> Callable[[str], Callable[[], BinaryIO]]:
    """Opens images of these campaigns by their SHA-256."""
    contexts = {title: CampaignContext(title) for title in titles}

    def opener(sha256: str) -> Callable[[], BinaryIO]:
        def open_image() -> BinaryIO:
            for title, entry in the_ledger().manifests.with_sha256(sha256):
                if title in contexts:
                    return open_image_of(contexts[title], entry.location)
            raise FileNotFoundError(sha256)

        return open_image

    return opener
