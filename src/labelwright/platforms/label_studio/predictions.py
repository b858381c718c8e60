"""Puts predictions into a campaign: Label Studio shows them to labelers, who change and submit them."""

from __future__ import annotations

from collections.abc import Sequence

from labelwright.domain import InvalidShape, LabeledImage
from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.json_fields import Fields

from .annotations import to_result
from .client import NAME
from .label_config import LabelConfig
from .server import MODEL_VERSION, Server


def put(server: Server, project: int, operation: str, config: LabelConfig, images: Sequence[LabeledImage]) -> None:
    """Replaces the predictions of images. The server has no key for predictions: old ones are deleted first."""
    payload = []
    for image in images:
        if not image.remote_id.isdecimal():
            raise PlatformRefused(NAME, operation, message=f"the campaign has no image with id '{image.remote_id}'")
        if image.size is None:
            raise PlatformRefused(NAME, operation, message=f"image '{image.name}': its size is unknown")
        try:
            result = to_result(image.annotations, image.size, config)
        except InvalidShape as fault:
            raise PlatformRefused(NAME, operation, message=f"image '{image.name}': {fault}") from None
        scores = [annotation.confidence for annotation in image.annotations]
        score = min(scores) if scores else None
        payload.append({"task": int(image.remote_id), "model_version": MODEL_VERSION, "score": score, "result": result})
    for image in images:
        _delete(server, operation, image.remote_id)
    if payload:
        server.client.call(operation, "POST", f"/api/projects/{project}/import/predictions", json=payload)


def _delete(server: Server, operation: str, task: str) -> None:
    """Deletes the predictions that Labelwright put on a task."""
    listed = server.client.call(operation, "GET", "/api/predictions", params={"task": task})
    for item in listed if isinstance(listed, list) else ():
        prediction = Fields(NAME, operation, item)
        if prediction.json.get("model_version") == MODEL_VERSION:
            try:
                server.client.delete(operation, f"/api/predictions/{prediction.id('id')}")
            except NotFound:
                continue
