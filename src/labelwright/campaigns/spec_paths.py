"""Paths in a campaign file: those that no file system can hold are faults of the file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labelwright.domain.paths import path_fault


def path_faults(
    folder: str | None, manifest: str | None, files: Iterable[str], video: Iterable[str]
) -> list[tuple[tuple[Any, ...], str]]:
    """The faults of the paths under `images`, each with its place there."""
    single: list[tuple[tuple[Any, ...], str]] = [(("folder",), folder or ""), (("manifest",), manifest or "")]
    listed = [(("files", number), path) for number, path in enumerate(files)]
    listed += [(("video", number), path) for number, path in enumerate(video)]
    return [(place, fault) for place, path in [*single, *listed] if (fault := path_fault(path))]


def checked_path(path: str) -> str:
    if fault := path_fault(path):
        raise ValueError(fault)
    return path
