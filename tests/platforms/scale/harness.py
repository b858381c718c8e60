"""Harness of the contract suite for Scale: a Rapid project, whose batches wait for activation, and fake labelers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labelwright.domain import Annotation, Box, ImageState, Polygon
from labelwright.platforms.protocol import LabelerAccess, RemoteCampaign, Secret
from labelwright.platforms.scale.adapter import Options, Scale
from tests.platforms.contract import Harness
from tests.platforms.proxy import FaultProxy

from .server import ScaleServer

KEY, CALLBACK_KEY = "live_key_of_this_test", "callback-key-of-this-test"
HASTE = {"back_off_seconds": 0.01, "patience_seconds": 2.0, "requests_per_second": 0.0, "storm_seconds": 0.0}
"""Tests do not wait as long as Scale may need."""


class ScaleHarness(Harness):
    annotations = (
        Annotation("plastic", Box(1, 2.5, 11, 12), attributes={"wet": "yes"}),
        Annotation("wood", Polygon(((1, 1), (9, 1), (5, 8)))),
    )
    labels_keep_order = False

    def __init__(self, server: ScaleServer, proxy: FaultProxy, kind: str = "rapid") -> None:
        self.server, self.proxy, self.kind = server, proxy, kind

    def platform(self, *, hasty: bool = False, small_pages: bool = False) -> Scale:
        return self.connected(KEY, timeout_seconds=0.35 if hasty else 20.0, page_size=2 if small_pages else 2000)

    def with_wrong_credential(self) -> Scale:
        return self.connected("nobodys_key")

    def connected(self, key: str, **options: Any) -> Scale:
        settings = Options.model_validate({"kind": self.kind, **HASTE, **options})
        return Scale(f"{self.proxy.url}/v1", key, Secret(CALLBACK_KEY), settings)

    def label(
        self, campaign: RemoteCampaign, access: LabelerAccess | None, objects: Mapping[str, Sequence[Annotation]]
    ) -> None:
        for task, task_annotations in objects.items():
            self.server.live.complete(task, {"annotations": [drawn(annotation) for annotation in task_annotations]})

    unfinished = (ImageState.REJECTED, ImageState.FAILED)

    def put_into(self, campaign: RemoteCampaign, image: str, state: ImageState) -> None:
        """The labels are there, and the customer's review rejects them; or Scale cannot download the image."""
        if state is ImageState.FAILED:
            self.server.live.fail(image)
            return
        self.server.live.complete(image, {"annotations": []})
        self.server.live.review(image, "rejected")


def drawn(annotation: Annotation) -> dict[str, Any]:
    """As Scale tells it."""
    item: dict[str, Any] = {"label": annotation.label, "uuid": "65ec", "attributes": dict(annotation.attributes)}
    if isinstance(annotation.shape, Polygon):
        vertices = [{"x": x, "y": y} for x, y in annotation.shape.points]
        return item | {"type": "polygon", "vertices": vertices}
    assert isinstance(annotation.shape, Box)
    box = annotation.shape
    return item | {"type": "box", "left": box.xmin, "top": box.ymin, "width": box.width, "height": box.height}
