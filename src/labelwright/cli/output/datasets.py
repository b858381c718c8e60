"""Prints datasets: the list, receipts, results of verifying them, and the lineage of an image."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from labelwright.domain import LEFT_OUT

from .console import out, show_json, show_table


def show_datasets(datasets: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show_json(datasets)
        return
    if not datasets:
        out.print("No dataset is registered yet.")
        return
    table = Table("dataset", "version", "", "campaign", "store", "registered", box=None, header_style="bold")
    for dataset in datasets:
        when, newest = str(dataset["registered_at"])[:16].replace("T", " "), "newest" if dataset["newest"] else ""
        table.add_row(
            escape(dataset["name"]), dataset["version"], newest, escape(dataset["campaign"]), dataset["store"], when
        )
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
        keys = ("name", "version", "newest", "location", "wrong", "unchecked", "repair")
        show_json([{key: result[key] for key in keys} for result in results])
        return
    if not results:
        out.print("No dataset is registered yet.")
    for result in results:
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


def show_lineage(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(report)
        return
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
            "platform": f"{image['platform']}, image {image['platform_image_id'] or '?'} of campaign "
            f"{image['platform_campaign_id'] or '?'}",
            "labeler": image["labeler"],
            "labels": "not labeled yet" if labels is None else counts,
        }
        if image["excluded"]:
            rows["labels"] = f"none: in no dataset because it is {image['excluded']}"
        for name, value in rows.items():
            table.add_row(name, escape(str(value)))
        for dataset in image["datasets"]:
            table.add_row("dataset", escape(f"{dataset['name']}, version {dataset['version']}: {dataset['location']}"))
        show_table(table)
