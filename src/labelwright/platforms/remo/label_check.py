"""Refuses labels that no annotation set of Remo can be created with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labelwright.domain import LabelSchema

from .adapter import Options, task_for
from .names import refuse_what_looks_alike


def check_labels(labels: LabelSchema, options: Mapping[str, Any]) -> None:
    """Raises PlatformRefused for labels of several geometries, and for names that are one class to Remo."""
    operation = "create the campaign"
    if Options.model_validate(dict(options)).task is None:
        task_for(labels, operation)
    refuse_what_looks_alike(operation, labels.names)
