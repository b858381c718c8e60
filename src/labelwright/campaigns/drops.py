"""The drop container: a folder of images with a campaign.yaml beside them is a campaign to launch."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from .spec import CampaignSpec, validate_spec
from .yaml_loader import SpecError, parse_document

CAMPAIGN_FILE = "campaign.yaml"
LARGEST = 1_000_000
"""Bytes of a campaign file."""

_PLACES = ("folder", "files", "manifest", "urls", "container", "credentials", "prefix", "allow_private_addresses")


def folder_of(blob: str) -> str | None:
    """The folder whose campaign file the blob is; None for any other blob, and for one without a folder."""
    folder, _, name = blob.rpartition("/")
    return folder if name == CAMPAIGN_FILE and folder else None


def dropped_spec(text: str, blob: str, container: str) -> CampaignSpec:
    """The campaign of a dropped file: its images are those beside it, its datasets go where the machine says.

    Whoever may write into the container is no user of the machine: other places on it or elsewhere are refused.
    Raises SpecError.
    """
    folder = folder_of(blob)
    if folder is None:
        raise SpecError(f"{blob}: a campaign file is called {CAMPAIGN_FILE} and lies in a folder, with its images")
    document, node = parse_document(text, blob)
    images = document.get("images") or {}
    if not isinstance(images, dict):
        raise SpecError(f"{blob}: images: say include or exclude, or nothing; the images are those beside this file")
    forbidden = [name for name in _PLACES if name in images]
    if forbidden:
        raise SpecError(f"{blob}: images.{forbidden[0]}: the images of a dropped campaign are those beside its file")
    _refuse_places(document.get("export"), blob)
    exclude: Any = images.get("exclude", [])
    own = {"container": container, "prefix": f"{folder}/", "exclude": [*exclude, CAMPAIGN_FILE]}
    return validate_spec({**document, "images": {**images, **own}}, blob, node)


def _refuse_places(export: Any, blob: str) -> None:
    folder = export.get("folder") if isinstance(export, dict) else None
    if isinstance(folder, str):
        path = PurePosixPath(folder.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or folder.startswith("~") or ":" in folder:
            raise SpecError(f"{blob}: export.folder: '{folder}' leaves the home folder; give one within it")
