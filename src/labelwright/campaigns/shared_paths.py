"""Paths of a campaign on the machines of a team: what one machine writes into a folder, the others have to find there.

A ledger that is no SQLite file is a team's: any machine may finish the campaign. A local `export.folder` then has to be
in a folder that the settings list as shared.
"""

from __future__ import annotations

import socket
from pathlib import Path

from labelwright.domain.paths import in_home, shown_path
from labelwright.settings import Settings, SettingsError

from .spec import CampaignSpec, ImagesFrom

SETTING = "LABELWRIGHT_SHARED_FOLDERS"
_HOW_TO_SHARE = (
    "name a folder that every machine has under the same path (a mounted share) and list it on each of them: "
    f"{SETTING}='[\"/mnt/labels\"]'"
)


class NotShared(SettingsError):
    """A path of the campaign is on one machine only. The message says which, and how to share one."""

    error_code = "LW1104"


def refuse_unshared(spec: CampaignSpec, settings: Settings, *, on_worker: bool = False) -> None:
    """Refuses paths that another machine of the team would not find. Raises NotShared.

    spec: with its paths as they were written. on_worker: the launch runs on another machine than the one on which they
    were written, so relative paths of images mean nothing there.
    """
    if not on_worker and not settings.has_ledger_of_team():
        return
    if on_worker:
        for key, path in _paths_of(spec.images):
            if not in_home(path).is_absolute() and not settings.is_shared(settings.home / path):
                raise NotShared(
                    f"images.{key}: {shown_path(path)} is a relative path, and the launch runs on the machine "
                    f"{socket.gethostname()}: give an absolute path that this machine has, or {_HOW_TO_SHARE}"
                )
    folder = settings.home / in_home(spec.export.folder)
    if spec.export.store == "local" and not settings.is_shared(folder):
        raise NotShared(
            f"export.folder: {shown_path(folder)} is a folder of one machine, and any machine of this ledger may "
            f"export the campaign: {_HOW_TO_SHARE}. Or register the datasets elsewhere: export: {{store: azure_ml}}"
        )


def note_on_images(spec: CampaignSpec, settings: Settings) -> str:
    """What the other machines of a team cannot do because the images are on this one; empty where nothing is."""
    paths = [path for _, path in _paths_of(spec.images)]
    if not settings.has_ledger_of_team() or all(settings.is_shared(Path(path).absolute()) for path in paths):
        return ""
    then = "an interrupted launch only goes on here"
    if spec.export.store == "azure_ml":
        then += ", and so does an export, which sends the images to the store"
    return f"the images are on this machine ({socket.gethostname()}) and not in a shared folder: {then}"


def _paths_of(images: ImagesFrom) -> list[tuple[str, str]]:
    single = [("folder", images.folder), ("manifest", images.manifest)]
    listed = [("files", path) for path in images.files] + [("video", path) for path in images.video]
    return [(key, path) for key, path in [*single, *listed] if path]
