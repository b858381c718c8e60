"""Prints datasets: the list, receipts, results of verifying them, and the lineage of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from labelwright.domain import LEFT_OUT

from .console import out, show_json, show_table

if TYPE_CHECKING:
    from pathlib import Path

    from labelwright.datasets.comparison.diff import Comparison
    from labelwright.datasets.report.measures import Measures


def show_datasets(datasets: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show_json(datasets)
        return
    if not datasets:
        out.print("No dataset is registered yet.")
        return
    table = Table("dataset", "version", "", "campaign", "store", "registered", "where", box=None, header_style="bold")
    for dataset in datasets:
        when, newest = str(dataset["registered_at"])[:16].replace("T", " "), "newest" if dataset["newest"] else ""
        row = (dataset["name"], dataset["version"], newest, dataset["campaign"], dataset["store"], when)
        table.add_row(*map(escape, (*row, dataset["elsewhere"] or dataset["location"])))
    show_table(table)


def show_receipt(dataset: dict[str, Any], receipt: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json({**dataset, "receipt": receipt})
        return
    out.print(f"[bold]{escape(dataset['name'])}[/bold], version {dataset['version']}")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
    images, labels = receipt.get("images", {}), receipt.get("labels", {})
    rows = {
        "location": dataset["location"],
        "machine": dataset["host"] if dataset["store"] == "local" else "",
        "campaign": dataset["campaign"],
        "platform": receipt.get("platform", ""),
        "images": f"{images.get('count', 0):,}",
        "objects": f"{labels.get('objects', 0):,}",
        "newest": "yes, it was exported last" if dataset["newest"] else f"no, that is {dataset['newest_version']}",
        "content hash": dataset["content_hash"],
        "registered": receipt.get("registered_at", ""),
        "code version": receipt.get("code_version", ""),
    }
    for name, value in rows.items():
        table.add_row(name, escape(str(value)))
    for what, counts in receipt.get("left_out", {}).items():
        message = ", ".join(f"{number:,} {reason}" for reason, number in counts.items())
        if message:
            table.add_row(LEFT_OUT.get(what, what), escape(message))
    excluded = receipt.get("excluded", {}).get("by_state", {})
    if excluded:
        message = ", ".join(f"{number:,} {state}" for state, number in excluded.items())
        table.add_row("images in no dataset", escape(message))
    show_table(table)
    files = Table("file", "bytes", "SHA-256", box=None, header_style="bold", padding=(0, 2, 0, 2))
    for file in receipt.get("files", []):
        files.add_row(escape(file["name"]), f"{file['size']:,}", file["sha256"])
    show_table(files)


_MOST_SHOWN = 100


def show_verified(results: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        keys = ("name", "version", "newest", "location", "wrong", "unchecked", "repair", "host", "elsewhere")
        show_json([{key: result[key] for key in keys} for result in results])
        return
    if not results:
        out.print("No dataset is registered yet.")
    for result in results:
        if result["elsewhere"]:
            version = f"{escape(result['name'])}, version {result['version']}"
            out.print(f"{version}: not compared, it is {escape(result['elsewhere'])}: run this there")
            continue
        out.print(
            f"{escape(result['name'])}, version {result['version']}: {'NOT as' if result['wrong'] else 'as'} registered"
        )
        for message in result["wrong"][:_MOST_SHOWN]:
            out.print(f"  {escape(message)}")
        if len(result["wrong"]) > _MOST_SHOWN:
            out.print(f"  ... and {len(result['wrong']) - _MOST_SHOWN:,} more: --json lists all")
        for message in result["unchecked"]:
            out.print(f"  not compared: {escape(message)}")
        if result["repair"]:
            out.print(f"  to repair: {escape(result['repair'])}")


def show_spreadsheet(file: Path, rows: int, as_json: bool) -> None:
    if as_json:
        show_json({"file": str(file), "rows": rows})
    else:
        out.print(escape(f"{file}: {rows:,} rows"))


def show_statistics(
    dataset: dict[str, Any],
    measures: Measures,
    earlier: tuple[str, Comparison] | None,
    changes: str,
    as_json: bool,
) -> None:
    """Prints counts and sizes by label, what somebody should look at, and the changes since an earlier version."""
    side = {key: dataset[key] for key in ("name", "version", "campaign")}
    if as_json:
        compared = None
        if earlier is not None:
            facts = earlier[1].to_dict()
            compared = {"version": earlier[0], "agreement": facts["agreement"], "objects": facts["objects"]}
        show_json({**side, **measures.to_dict(), "earlier": compared})
        return
    out.print(f"{escape(dataset['name'])}, version {dataset['version']}: {measures.images:,} images")
    table = Table("label", "objects", "images", "smallest", "median", "largest", box=None, header_style="bold")
    for name, count in measures.objects.items():
        sizes = measures.sizes.get(name, [])
        shown = [f"{sizes[number]:g}" for number in (0, 2, 4)] if sizes else ["", "", ""]
        table.add_row(escape(name), f"{count:,}", f"{measures.images_by_label[name]:,}", *shown)
    show_table(table)
    for origin, models in measures.origins.items():
        for model, number in models.items():
            out.print(f"  {number:,} objects: {origin}{f' of model {escape(model)}' if model else ''}")
    for sentence in filter(None, (*measures.sentences(), changes)):
        out.print(f"  {escape(sentence)}")


def show_comparison(before: dict[str, Any], after: dict[str, Any], result: Comparison, as_json: bool) -> None:
    """Prints the counts of what changed; as JSON also the changes themselves."""
    sides = [{key: side[key] for key in ("name", "version", "campaign")} for side in (before, after)]
    document = result.to_dict()
    if as_json:
        show_json({"first": sides[0], "second": sides[1], **document})
        return
    first, second = (f"{side['name']}, version {side['version']}" for side in sides)
    out.print(f"{escape(first)} -> {escape(second)}")
    out.print(", ".join(f"{number:,} images {what}" for what, number in result.images.items()))
    table = Table("label", *document["objects"], box=None, header_style="bold")
    rows = {**document["by_label"], "all": document["objects"]}
    for name, counts in rows.items():
        table.add_row(escape(name), *(f"{number:,}" for number in counts.values()))
    show_table(table)
    if len(document["by_labeler"]) > 1:
        table = Table("labeler", *document["objects"], box=None, header_style="bold")
        for name, counts in document["by_labeler"].items():
            table.add_row(escape(name or "(unknown)"), *(f"{number:,}" for number in counts.values()))
        show_table(table)
    if document["moved_pixels"]:
        moved = document["moved_pixels"]
        out.print(f"moved by {moved['median']:.1f} pixels in the median, {moved['largest']:.1f} at most")
    if result.masks_by_boxes:
        out.print("Masks were compared by the boxes around them: a version has no COCO file (export.formats: coco).")


def _without_labels(image: dict[str, Any]) -> str:
    place = next((dataset["elsewhere"] for dataset in image["datasets"] if dataset["elsewhere"]), "")
    return f"cannot be read on this machine: the dataset is {place}" if place else "not labeled yet"


def show_lineage(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(report)
        return
    if "object" in report:
        shown = report["object"]
        by = f", by {shown['labeler']}" if shown["labeler"] else ""
        by += f", {shown['origin']}" if shown["origin"] else ""
        by += f" of model {shown['model_version']}" if shown["model_version"] else ""
        by += f", {shown['labeled_at']}" if shown["labeled_at"] else ""
        by += f", on {shown['platform']}"
        box = ", ".join(f"{value:g}" for value in shown["box"])
        out.print(f"object {shown['id']} of {escape(shown['dataset'])}: {escape(shown['label'])}, {box}{escape(by)}")
    for image in report["found"]:
        out.print(
            f"[bold]{escape(image['name'])}[/bold] of the campaign '{escape(image['campaign'])}', {image['state']}"
        )
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
        labels = image["labels"]
        counts = ", ".join(f"{count} x {name}" for name, count in labels.items()) if labels else "nothing here"
        rows = {
            "SHA-256": image["sha256"],
            "size": image["size"],
            "file": image["location"],
            **(
                {"video": f"{image['video']}, frame {image['frame']} at {image['time_seconds']:g} s"}
                if "video" in image
                else {}
            ),
            "platform": f"{image['platform']}, image {image['platform_image_id'] or '?'} of campaign "
            f"{image['platform_campaign_id'] or '?'}",
            "labeler": image["labeler"],
            "labels": _without_labels(image) if labels is None else counts,
        }
        if image["excluded"]:
            rows["labels"] = f"none: in no dataset because it is {image['excluded']}"
        for name, value in rows.items():
            table.add_row(name, escape(str(value)))
        for dataset in image["datasets"]:
            place = dataset["elsewhere"] or dataset["location"]
            table.add_row("dataset", escape(f"{dataset['name']}, version {dataset['version']}: {place}"))
        show_table(table)
