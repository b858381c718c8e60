"""Finds URLs with credentials in a campaign: everybody can see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labelwright.security.credential_shapes import urls_with_credentials

_ADVICE = {
    "options.callback_url": "set the callback key as the secret of the connection, by which Scale's calls are known",
    "images.manifest": "fetch the file, and name its path",
    "images.folder": "fetch the files, and name their folder, or list the URLs in a manifest file",
    "images.video": "fetch the videos, and name their folder",
    "images.files": "put the URLs into a manifest file with a column url",
}
"""By field: what to do instead of a URL with a credential."""


def credential_faults(document: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Place and message of every URL with a credential in it, in any text of the campaign."""
    places = set[str]()
    for place, text in _texts(document):
        urls = urls_with_credentials(text)
        if urls and place not in places:
            places.add(place)
            advice = _ADVICE.get(place, "leave it out, or give an address that needs none")
            message = f"{place} holds a URL with {urls[0]}, and a campaign is visible to everybody: {advice}"
            yield tuple(place.split(".")), message


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a document, with the dotted keys that lead to it."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(name, place or str(name))
            yield from _texts(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, place)
