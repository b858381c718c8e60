"""Harness of the contract suite for Label Studio: submits annotations as its page does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import requests

from labelwright.domain import Annotation, Box, Geometry, ImageState, Label, LabelSchema, Polygon, Size
from labelwright.platforms.errors import AccessDenied
from labelwright.platforms.http.logins import Login
from labelwright.platforms.label_studio.adapter import LabelStudio, Options
from labelwright.platforms.label_studio.annotations import to_result
from labelwright.platforms.label_studio.label_config import label_config, read_config
from labelwright.platforms.label_studio.tokens import AccessToken
from labelwright.platforms.protocol import LabelerAccess, RemoteCampaign, Secret
from tests.platforms.contract import Harness
from tests.platforms.proxy import FaultProxy

from .fake_server.server import FakeLabelStudio

LABELS = LabelSchema((Label("plastic", Geometry.ANY), Label("wood", Geometry.ANY)))
WRONG_PAT = "eyJhbGciOiJIUzI1NiJ9.d3Jvbmc.d3Jvbmc"


class LabelStudioHarness(Harness):
    """All adapters share one login, as those of one connection do."""

    labels = LABELS
    annotations = (
        Annotation("plastic", Box(1, 2.5, 11, 12)),
        Annotation("wood", Polygon(((1, 1), (9, 1), (5, 8)))),
    )
    keeps_done_when_reopened = False

    def __init__(self, server: FakeLabelStudio, proxy: FaultProxy) -> None:
        self.server, self.proxy = server, proxy
        self.login: Login[AccessToken] = Login()
        self.platform().check()

    def platform(self, *, hasty: bool = False, small_pages: bool = False, **options: Any) -> LabelStudio:
        settings: dict[str, Any] = {
            "timeout_seconds": 0.35 if hasty else 20,
            "patience_seconds": 2,
            **({"page_size": 2, "labels_page": 2} if small_pages else {}),
            **options,
        }
        return LabelStudio(self.proxy.url, Secret(self.server.pat), Options(**settings), login=self.login)

    def with_wrong_credential(self) -> LabelStudio:
        return LabelStudio(self.proxy.url, Secret(WRONG_PAT))

    def label(
        self, campaign: RemoteCampaign, access: LabelerAccess | None, objects: Mapping[str, Sequence[Annotation]]
    ) -> None:
        config = read_config(label_config(self.labels))
        for image, labels in objects.items():
            submit(self.server, image, to_result(labels, Size(40, 30), config))

    unfinished = (ImageState.DRAFT, ImageState.SKIPPED)

    def put_into(self, campaign: RemoteCampaign, image: str, state: ImageState) -> None:
        """A labeler draws something and does not submit it, or presses Skip."""
        result = to_result(self.annotations[:1], Size(40, 30), read_config(label_config(self.labels)))
        if state is ImageState.DRAFT:
            call(self.server, "POST", f"/api/tasks/{image}/drafts", {"result": result, "lead_time": 2.5})
        else:
            submit(self.server, image, [], was_cancelled=True)


def submit(server: FakeLabelStudio, task: str, result: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Submits an annotation, as the page does."""
    return call(server, "POST", f"/api/tasks/{task}/annotations/", {"result": result, "lead_time": 3.5, **more})


def call(server: FakeLabelStudio, method: str, path: str, payload: Any = None) -> Any:
    with server.world.lock:
        token = server.world.refresh(server.pat)
    headers = {"Authorization": f"Bearer {token}"}
    response = requests.request(method, server.url + path, json=payload, headers=headers, timeout=60)
    if response.status_code in (401, 403):
        raise AccessDenied("label_studio", "label", status=response.status_code, message=response.text)
    assert response.ok, response.text
    return response.json() if response.content else None


@contextmanager
def label_studio_harness() -> Iterator[LabelStudioHarness]:
    with FakeLabelStudio() as server, FaultProxy(("127.0.0.1", server.port)) as proxy:
        server.world.access_seconds = 3600
        yield LabelStudioHarness(server, proxy)
