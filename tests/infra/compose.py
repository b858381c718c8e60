"""The compose files as Compose reads them: one alone, and one laid over the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

INFRA = Path(__file__).parents[2] / "infra"

_REPLACED = {"command", "test", "image", "restart"}


def laid_over(below: Any, above: Any, key: str = "") -> Any:
    """Compose's rules of merging, for what stands in our files: mappings by their keys, lists one after the other."""
    if isinstance(below, dict) and isinstance(above, dict):
        both = {name: laid_over(below[name], above[name], name) for name in below.keys() & above.keys()}
        return {**below, **above, **both}
    if isinstance(below, list) and isinstance(above, list) and key not in _REPLACED:
        return below + [item for item in above if item not in below]
    return above


def read(name: str) -> dict[str, Any]:
    """The file with the defaults of variables such as `${DROP_CONTAINER:-}`; those without one stay as they are."""
    return dict(yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (INFRA / name).read_text())))


FILES = {"compose": ["compose.yaml"], "scaled": ["compose.yaml", "compose.scaled.yaml"]}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "compose": read("compose.yaml"),
    "scaled": laid_over(read("compose.yaml"), read("compose.scaled.yaml")),
}
OURS = [
    (document, name)
    for document, content in DOCUMENTS.items()
    for name, service in content["services"].items()
    if service["image"].startswith("labelwright:")
]
"""Containers of our image, each in its document."""
