"""Changes the labels and instructions of a project on which labelers already work."""

from __future__ import annotations

from typing import Any

from labelwright.domain import Geometry, LabelSchema
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.protocol import CampaignOrder

from .client import NAME
from .label_config import LabelConfig, label_config, read_config
from .projects import Project
from .server import IGNORE_SKIPPED, Server, as_html


def change(server: Server, project: Project, operation: str, order: CampaignOrder) -> None:
    """Makes labels and instructions those of the order. Nothing that labelers may have used is taken away.

    Raises PlatformRefused for a project with labels, or attributes of labels, that the order does not have: the server
    drops a label that is in use without a word.
    """
    current = read_config(project.label_config)
    text = label_config(order.labels, masks=server.options.masks or "BrushLabels" in current.tags)
    _refuse_losses(operation, current, read_config(text), order.labels)
    changes: dict[str, Any] = {}
    if text != project.label_config:
        changes["label_config"] = text
    if order.instructions and as_html(order.instructions) != project.instructions:
        changes |= {"expert_instruction": as_html(order.instructions), "show_instruction": True}
    if project.skip_queue != IGNORE_SKIPPED:
        changes["skip_queue"] = IGNORE_SKIPPED
    if changes:
        server.change(project.id, operation, **changes)


def _refuse_losses(operation: str, current: LabelConfig, wanted: LabelConfig, schema: LabelSchema) -> None:
    losses = [f"label '{name}' is not in the campaign" for name in current.names if name not in wanted.names]
    for name in current.names:
        if name in schema:
            missing = current.attributes(name) - wanted.attributes(name)
            losses += [f"label '{name}' loses its attribute '{attribute}'" for attribute in sorted(missing)]
            geometry = schema[name].geometry
            if geometry not in (current.geometry(name), Geometry.ANY):
                losses.append(f"label '{name}' is {current.geometry(name)} there, the campaign says {geometry}")
    if losses:
        advice = "Change the labels on the project's page, then run the command again."
        raise PlatformRefused(NAME, operation, message="; ".join(losses[:10]), advice=advice)
