"""The drop container: a folder with images and a campaign.yaml is a campaign to launch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from .spec import IMAGE_SOURCES, CampaignSpec, validate_document
from .yaml_loader import SpecError, read_document

CAMPAIGN_FILE = "campaign.yaml"
MAX_CAMPAIGN_FILE_BYTES = 1_000_000
"""Bytes of a campaign file."""

_SOURCE_KEYS = (*IMAGE_SOURCES, "every", "per_second", "credentials", "prefix", "allow_private_addresses")


def folder_of(blob: str) -> str | None:
    """The folder of a campaign file; None for other blobs, and for one without a folder."""
    folder, _, name = blob.rpartition("/")
    return folder if name == CAMPAIGN_FILE and folder else None


def dropped_spec(text: str, blob: str, container: str) -> CampaignSpec:
    """The campaign of a dropped file. Its images are those beside the file, its datasets go to the home folder.

    Those who can write into the container are not users of this machine, so other sources and folders are refused.
    Raises SpecError.
    """
    folder = folder_of(blob)
    if folder is None:
        raise SpecError(f"{blob}: a campaign file must be named {CAMPAIGN_FILE} and be in a folder with its images")
    document = read_document(text, blob)
    images = document.values.get("images") or {}
    if not isinstance(images, dict):
        raise SpecError(f"{blob}: images: only include and exclude are allowed; the images are those beside this file")
    forbidden = [name for name in _SOURCE_KEYS if name in images]
    if forbidden:
        raise SpecError(f"{blob}: images.{forbidden[0]}: the images of a dropped campaign are those beside its file")
    _refuse_outside_folder(document.values.get("export"), blob)
    exclude: Any = images.get("exclude", [])
    own = {"container": container, "prefix": f"{folder}/", "exclude": [*exclude, CAMPAIGN_FILE]}
    return validate_document(replace(document, values={**document.values, "images": {**images, **own}}), blob)


def _refuse_outside_folder(export: Any, blob: str) -> None:
    folder = export.get("folder") if isinstance(export, dict) else None
    if isinstance(folder, str):
        path = PurePosixPath(folder.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or folder.startswith("~") or ":" in folder:
            raise SpecError(
                f"{blob}: export.folder: '{folder}' is outside the home folder; give a relative folder in it"
            )
