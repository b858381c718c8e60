"""Removes images that a campaign has twice: an upload whose response was lost may arrive after it was sent again."""

from __future__ import annotations

from .client import GetiClient
from .models import GetiMedium, GetiProject


def remove_duplicates(client: GetiClient, project: GetiProject) -> list[str]:
    """Deletes all but one of the images that have the same name and size. Returns the ids of those deleted.

    Names are unique within a campaign. The oldest (lowest id) stays, unless only a later one is annotated; an image
    with annotations is never deleted.
    """
    kept: dict[str, GetiMedium] = {}
    surplus: list[GetiMedium] = []
    for medium in client.media(project):
        earlier = kept.get(medium.name)
        if earlier is None:
            kept[medium.name] = medium
        elif (earlier.width, earlier.height) == (medium.width, medium.height):
            pair = sorted((earlier, medium), key=lambda copy: (not is_annotated(copy), copy.id))
            kept[medium.name], duplicate = pair
            if not is_annotated(duplicate):
                surplus.append(duplicate)
    for medium in surplus:
        client.delete_medium(project, medium)
    return [medium.id for medium in surplus]


def is_annotated(medium: GetiMedium) -> bool:
    """Whether the image is annotated, at least in part, for any task."""
    return any(state not in ("", "none") for state in medium.states.values())
