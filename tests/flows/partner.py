"""A labeling partner for tests: says of every image what its name and size call for, over the REST API alone."""

from __future__ import annotations

from typing import Any

import requests

from labelwright.platforms.protocol import LabelerAccess


def objects_for(image_id: int, number: int) -> list[dict[str, Any]]:
    """Every third image shows nothing; the others a boat, and every second one of them an outlined boat too."""
    if number % 3 == 2:
        return []
    boat: dict[str, Any] = {
        "label": "boat",
        "confidence": 0.5 + number / 100,
        "bounding_box": {"xmin": 1.5, "xmax": 20 + number, "ymin": 2, "ymax": 30.25},
    }
    if number % 2:
        return [boat]
    outline = {
        "label": "boat",
        "confidence": 1,
        "bounding_box": {"xmin": 5, "xmax": 15, "ymin": 5, "ymax": 25},
        "polygon": [[5, 5], [15, 5], [10, 25]],
    }
    return [boat, outline]


def headers(access: LabelerAccess) -> dict[str, str]:
    return {"Authentication-Key": access.key, "Authentication-Secret": access.secret.value if access.secret else ""}


def images_of(api: str, campaign: str, known: dict[str, str]) -> list[dict[str, Any]]:
    """The images that whoever has these headers may see, in the order of their ids."""
    response = requests.get(f"{api}/campaigns/{campaign}/images", headers=known, timeout=60)
    response.raise_for_status()
    return sorted(response.json()["images"], key=lambda image: int(image["image_id"]))


def label(api: str, campaign: str, access: LabelerAccess, at_most: int | None = None) -> int:
    """Label the images that are not done yet, in the order of their ids. Answers how many."""
    images = images_of(api, campaign, headers(access))
    open_images = [
        {"image_id": image["image_id"], "objects": objects_for(image["image_id"], number)}
        for number, image in enumerate(images)
        if not image.get("done")
    ][:at_most]
    if open_images:
        put_response = requests.put(
            f"{api}/campaigns/{campaign}/objects", json=open_images, headers=headers(access), timeout=60
        )
        put_response.raise_for_status()
    return len(open_images)
