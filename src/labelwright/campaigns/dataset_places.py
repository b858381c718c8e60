"""On which machine a registered version in a local folder is."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelwright.domain.errors import CannotRun
from labelwright.settings import Settings
from labelwright.stores.local import content_of


class DatasetElsewhere(CannotRun):
    """The version is on another machine. The message says on which, and in which folder."""

    error_code = "LW5002"


def is_local(location: str) -> bool:
    return not location.startswith("azureml://")


def place_elsewhere(dataset: Mapping[str, Any], settings: Settings) -> str:
    """Where a version of `Campaigns.datasets` is, when another machine has it; empty when it is, or should be, here."""
    folder, host = Path(dataset["location"]), dataset["host"]
    if not is_local(dataset["location"]) or host == socket.gethostname() or settings.is_shared(folder):
        return ""
    if folder.is_dir() and (not host or content_of(folder) == dataset["content_hash"]):
        return ""
    if host:
        return f"on the machine {host}, in {folder}"
    if settings.has_ledger_of_team():
        return f"in {folder} on another machine (an earlier version of Labelwright did not record which)"
    return ""


def place_in_team(dataset: Mapping[str, Any], settings: Settings) -> str:
    """Where a version is, for readers on any machine: with the machine's name where the others do not have it."""
    location, host = str(dataset["location"]), dataset["host"]
    if not host or not is_local(location) or not settings.has_ledger_of_team() or settings.is_shared(location):
        return location
    return f"{location} on {host}"


def refuse_elsewhere(dataset: Mapping[str, Any], settings: Settings, command: str) -> None:
    """Raises DatasetElsewhere for a version that another machine has. command: what to run there."""
    if place := place_elsewhere(dataset, settings):
        raise DatasetElsewhere(f"{dataset['name']}, version {dataset['version']}, is {place}: run {command} there")
