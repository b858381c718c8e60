"""Harness of the contract suite for CVAT: labels images as a labeler and completes their jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests

from labelwright.domain import Annotation, Box, Geometry, ImageState, Label, LabelSchema, Polygon
from labelwright.platforms.cvat.adapter import Cvat, Options
from labelwright.platforms.errors import AccessDenied
from labelwright.platforms.protocol import LabelerAccess, RemoteCampaign, Secret
from tests.platforms.contract import Harness
from tests.platforms.proxy import FaultProxy

from .fake_server.server import FakeCvat

LABELS = LabelSchema((Label("plastic", Geometry.ANY), Label("wood", Geometry.ANY)))


class CvatHarness(Harness):
    """Every image is a job of its own, since CVAT only completes whole jobs."""

    email = "labeler1@example.com"
    labels = LABELS
    annotations = (
        Annotation("plastic", Box(1, 2.5, 11, 12)),
        Annotation("wood", Polygon(((1, 1), (9, 1), (5, 8)))),
    )
    labels_keep_order = False
    keeps_done_when_reopened = False

    def __init__(self, cvat: FakeCvat, proxy: FaultProxy) -> None:
        self.cvat, self.proxy = cvat, proxy

    def platform(self, *, hasty: bool = False, small_pages: bool = False, **options: Any) -> Cvat:
        settings: dict[str, Any] = {
            "organization": "acme",
            "segment_size": 1,
            "timeout_seconds": 0.35 if hasty else 20,
            "patience_seconds": 2,
            **({"page_size": 2, "labels_page": 2} if small_pages else {}),
            **options,
        }
        return Cvat(self.proxy.url, "", Secret(self.cvat.requester.token), Options(**settings))

    def with_wrong_credential(self) -> Cvat:
        return Cvat(self.proxy.url, "", Secret("f" * 40), Options(organization="acme"))

    def label(
        self, campaign: RemoteCampaign, access: LabelerAccess | None, objects: Mapping[str, Sequence[Annotation]]
    ) -> None:
        """As the labeler: saves the annotations, then completes the job."""
        label_images(self.cvat, int(campaign.id.partition("/")[0]), objects)

    unfinished = (ImageState.DRAFT, ImageState.REJECTED)

    def put_into(self, campaign: RemoteCampaign, image: str, state: ImageState) -> None:
        task, frame = map(int, image.split("/"))
        (job,) = [job for job in self.cvat.state.jobs_of(task) if job.start <= frame <= job.stop]
        job_state = "in progress" if state is ImageState.DRAFT else "rejected"
        as_labeler(self.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": job_state})


def label_images(
    cvat: FakeCvat, project: int, objects: Mapping[str, Sequence[Annotation]], *, state: str = "completed"
) -> None:
    labels = {label.name: label.id for label in cvat.state.projects[project].labels}
    for image, payload in objects.items():
        task, frame = map(int, image.split("/"))
        (job,) = [job for job in cvat.state.jobs_of(task) if job.start <= frame <= job.stop]
        others = [shape for shape in job.shapes.values() if shape["frame"] != frame]
        shapes = others + [shape_of(item, frame, labels) for item in payload]
        as_labeler(cvat, "PUT", f"/api/jobs/{job.id}/annotations", {"shapes": shapes, "tags": [], "tracks": []})
        as_labeler(cvat, "PATCH", f"/api/jobs/{job.id}", {"state": state})


def shape_of(annotation: Annotation, frame: int, labels: Mapping[str, int]) -> dict[str, Any]:
    shape = annotation.shape
    assert isinstance(shape, Box | Polygon)
    points = shape.flat if isinstance(shape, Polygon) else list(shape.corners)
    kind = "polygon" if isinstance(shape, Polygon) else "rectangle"
    return {"type": kind, "frame": frame, "label_id": labels[annotation.label], "points": points, "attributes": []}


def as_labeler(cvat: FakeCvat, method: str, path: str, payload: Any, who: str = "labeler1") -> Any:
    response = requests.request(
        method,
        cvat.url + path,
        json=payload,
        headers={
            "Authorization": f"Token {cvat.state.find_user(who).token}",
            "Accept": "application/vnd.cvat+json",
            "X-Organization": "acme",
        },
        timeout=60,
    )
    if response.status_code in (401, 403):
        raise AccessDenied("cvat", "label", status=response.status_code, message=response.text)
    assert response.ok, response.text
    return response.json() if response.content else None


def proxied(cvat: FakeCvat) -> FaultProxy:
    return FaultProxy(("127.0.0.1", urlsplit(cvat.url).port or 0))
