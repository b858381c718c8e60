"""Labels the demo's campaign by script, through the platform's API and with the labeler's key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from labelwright.network.proxies import is_loopback
from labelwright.platforms.http.proven import ProvenAdapter
from labelwright.platforms.protocol import LabelerAccess

from .photographs import drawn_labels, photo_folder

TIMEOUT = (5, 60)
"""Seconds to connect, seconds between bytes."""


def label_campaign(
    api_url: str,
    campaign_id: str,
    access: LabelerAccess,
    on_image: Callable[[int, int], None] | None = None,
    identity: Path | None = None,
) -> int:
    """Sends the drawn labels of every image of the campaign. Returns how many images were labeled.

    The API gives images numbers and no names: a photograph is recognised by the SHA-256 of its file. `identity` is the
    file of the key by which the embedded service proves who it is.
    """
    drawn = {
        hashlib.sha256((photo_folder() / name).read_bytes()).hexdigest(): objects
        for name, objects in drawn_labels().items()
    }
    with requests.Session() as session:
        if identity is not None:
            session.mount("http://", ProvenAdapter("campaign_api", identity))
        session.trust_env = not is_loopback(urlsplit(api_url).hostname or "")  # no proxy leads to this machine
        session.headers["Authentication-Key"] = access.key
        session.headers["Authentication-Secret"] = access.secret.value if access.secret else ""
        campaign = f"{api_url}/campaigns/{campaign_id}"
        images = list(_images(session, campaign))
        for number, image in enumerate(images, 1):
            picture = session.get(f"{api_url}{image['url']}", timeout=TIMEOUT)
            picture.raise_for_status()
            digest = hashlib.sha256(picture.content).hexdigest()
            response = session.put(
                f"{campaign}/objects",
                json=[{"image_id": image["image_id"], "objects": drawn[digest]}],
                timeout=TIMEOUT,
            )
            response.raise_for_status()
            if on_image is not None:
                on_image(number, len(images))
    return len(images)


def _images(session: requests.Session, campaign: str) -> Iterator[dict[str, Any]]:
    page: int | None = 1
    while page is not None:
        response = session.get(f"{campaign}/images", params={"page": page}, timeout=TIMEOUT)
        response.raise_for_status()
        payload = response.json()
        yield from payload["images"]
        page = (
            payload["pagination"]["page"] + 1
            if payload["pagination"]["page"] < payload["pagination"]["pages"]
            else None
        )
