"""What launching a campaign would do, without doing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from labelwright.datasets.titles import file_stem
from labelwright.ingest import StockItem, take_stock
from labelwright.ingest.opening import limits_of, open_source
from labelwright.platforms.registry import PLATFORMS, abilities
from labelwright.settings import Settings
from labelwright.spec import CampaignSpec


@dataclass(slots=True)
class Plan:
    """What would be uploaded, created and exported."""

    title: str
    platform: str
    labeler: str
    labels: list[str]
    deadline: str | None
    images: int = 0
    bytes: int = 0
    largest: str = ""
    batches: int = 0
    rejects: list[dict[str, str]] = field(default_factory=list)
    create: list[str] = field(default_factory=list)
    export: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def make_plan(spec: CampaignSpec, settings: Settings, on_file: Callable[[int], None] | None = None) -> Plan:
    """Check every image as launching would; nothing is sent and nothing is written. Raises SourceError."""
    deadline = spec.deadline.isoformat() if spec.deadline else None
    plan = Plan(spec.title, spec.platform, spec.labeler, [label.name for label in spec.labels], deadline)
    largest = (0, "")
    if spec.images.credentials:
        from labelwright.blocks import with_signature

        settings = with_signature(settings, spec.images)
    for number, item in enumerate(take_stock(open_source(spec.images, settings), limits_of(spec.images)), 1):
        if isinstance(item, StockItem):
            plan.images += 1
            plan.bytes += item.image.bytes
            largest = max(largest, (item.image.bytes, item.image.name))
        else:
            plan.rejects.append({"file": item.name, "reason": item.reason})
        if on_file is not None:
            on_file(number)
    plan.largest = largest[1]
    plan.batches = -(-plan.images // settings.batch_size)
    plan.create = [f"campaign '{spec.title}' for {spec.labeler}"]
    if abilities(PLATFORMS[spec.platform].adapter())["KeepsImageSets"]:
        plan.create.insert(0, f"image set '{spec.title}'")
    name = file_stem(spec.title)
    plan.export = [f"{spec.export.folder}/{name}_images", f"{spec.export.folder}/{name}_labels"]
    return plan
