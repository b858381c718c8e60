"""Images of a campaign that came twice: an upload whose response was lost may arrive after it was sent again."""

from __future__ import annotations

from .client import GetiClient
from .models import GetiMedium, GetiProject


def remove_duplicates(client: GetiClient, project: GetiProject) -> list[str]:
    """Delete all but one of the images that have the same name and size. Returns the ids of those deleted.

    Names are unique within a campaign. The oldest (lowest id) stays, unless only a later one is annotated; an image
    with annotations is never deleted.
    """
    kept: dict[str, GetiMedium] = {}
    surplus: list[GetiMedium] = []
    for medium in client.media(project):
        other = kept.get(medium.name)
        if other is None:
            kept[medium.name] = medium
        elif (other.width, other.height) == (medium.width, medium.height):
            kept[medium.name], later = sorted((other, medium), key=lambda one: (not is_annotated(one), one.id))
            if not is_annotated(later):
                surplus.append(later)
    for medium in surplus:
        client.delete_medium(project, medium)
    return [medium.id for medium in surplus]


def is_annotated(medium: GetiMedium) -> bool:
    """Whether anybody annotated it for any task."""
    return any(state not in ("", "none") for state in medium.states.values())
