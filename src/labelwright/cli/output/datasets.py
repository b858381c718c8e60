"""What commands print of datasets: which there are, their receipts, whether they are as registered, an image's way."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from labelwright.domain import LEFT_OUT

from .console import out, show_json


def show_datasets(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    if not found:
        out.print("No dataset is registered yet.")
        return
    table = Table("dataset", "version", "", "campaign", "store", "registered", box=None, header_style="bold")
    for one in found:
        when, newest = str(one["registered_at"])[:16].replace("T", " "), "newest" if one["newest"] else ""
        table.add_row(escape(one["name"]), one["version"], newest, escape(one["campaign"]), one["store"], when)
    out.print(table)


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
    out.print(table)
    files = Table("file", "bytes", "SHA-256", box=None, header_style="bold", padding=(0, 2, 0, 2))
    for one in receipt.get("files", []):
        files.add_row(escape(one["name"]), f"{one['size']:,}", one["sha256"])
    out.print(files)


_MOST_SHOWN = 100


def show_verified(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        keys = ("name", "version", "newest", "location", "wrong", "unchecked", "repair")
        show_json([{key: one[key] for key in keys} for one in found])
        return
    if not found:
        out.print("No dataset is registered yet.")
    for one in found:
        out.print(f"{escape(one['name'])}, version {one['version']}: {'NOT as' if one['wrong'] else 'as'} registered")
        for message in one["wrong"][:_MOST_SHOWN]:
            out.print(f"  {escape(message)}")
        if len(one["wrong"]) > _MOST_SHOWN:
            out.print(f"  ... and {len(one['wrong']) - _MOST_SHOWN:,} more: --json lists all")
        for message in one["unchecked"]:
            out.print(f"  not compared: {escape(message)}")
        if one["repair"]:
            out.print(f"  to repair: {escape(one['repair'])}")


def show_lineage(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(told)
        return
    for one in told["found"]:
        out.print(f"[bold]{escape(one['name'])}[/bold] of the campaign '{escape(one['campaign'])}', {one['state']}")
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
        labels = one["labels"]
        counts = ", ".join(f"{count} x {name}" for name, count in labels.items()) if labels else "nothing here"
        rows = {
            "SHA-256": one["sha256"],
            "size": one["size"],
            "file": one["location"],
            "platform": f"{one['platform']}, image {one['platform_image_id'] or '?'} of campaign "
            f"{one['platform_campaign_id'] or '?'}",
            "labeler": one["labeler"],
            "labels": "the delivery is not on this machine" if labels is None else counts,
        }
        if one["excluded"]:
            rows["labels"] = f"none: it is in no dataset since it is {one['excluded']}"
        for name, value in rows.items():
            table.add_row(name, escape(str(value)))
        for dataset in one["datasets"]:
            table.add_row("dataset", escape(f"{dataset['name']}, version {dataset['version']}: {dataset['location']}"))
        out.print(table)
