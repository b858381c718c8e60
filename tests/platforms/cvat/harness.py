"""What the contract suite needs to know of CVAT: who labels, and how they say that an image is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests

from labelwright.domain import Annotation, Box, Geometry, Label, LabelSchema, Polygon
from labelwright.platforms.cvat.adapter import Cvat, Options
from labelwright.platforms.errors import AccessDenied
from labelwright.platforms.protocol import LabelerAccess, RemoteCampaign, Secret
from tests.platforms.contract import Harness
from tests.platforms.proxy import FaultProxy

from .standin import StandIn

LABELS = LabelSchema((Label("plastic", Geometry.ANY), Label("wood", Geometry.ANY)))


class CvatHarness(Harness):
    """Every image is a job of its own: CVAT tells of nothing smaller that it is done."""

    email = "labeler1@example.com"
    labels = LABELS
    annotations = (
        Annotation("plastic", Box(1, 2.5, 11, 12)),
        Annotation("wood", Polygon(((1, 1), (9, 1), (5, 8)))),
    )
    labels_keep_order = False
    keeps_done_when_reopened = False

    def __init__(self, cvat: StandIn, proxy: FaultProxy) -> None:
        self.cvat, self.proxy = cvat, proxy

    def platform(self, *, hasty: bool = False, small_pages: bool = False, **options: Any) -> Cvat:
        chosen: dict[str, Any] = {
            "organization": "acme",
            "segment_size": 1,
            "timeout_seconds": 0.35 if hasty else 20,
            "patience_seconds": 2,
            **({"page_size": 2, "labels_page": 2} if small_pages else {}),
            **options,
        }
        return Cvat(self.proxy.url, "", Secret(self.cvat.requester.token), Options(**chosen))

    def with_wrong_credential(self) -> Cvat:
        return Cvat(self.proxy.url, "", Secret("f" * 40), Options(organization="acme"))

    def label(
        self, campaign: RemoteCampaign, access: LabelerAccess | None, objects: Mapping[str, Sequence[Annotation]]
    ) -> None:
        """As the labeler: first what is seen, then that the job is completed."""
        label_images(self.cvat, int(campaign.id.partition("/")[0]), objects)


def label_images(
    cvat: StandIn, project: int, objects: Mapping[str, Sequence[Annotation]], *, state: str = "completed"
) -> None:
    labels = {label.name: label.id for label in cvat.state.projects[project].labels}
    for image, said in objects.items():
        task, frame = map(int, image.split("/"))
        (job,) = [job for job in cvat.state.jobs_of(task) if job.start <= frame <= job.stop]
        others = [shape for shape in job.shapes.values() if shape["frame"] != frame]
        shapes = others + [shape_of(one, frame, labels) for one in said]
        as_labeler(cvat, "PUT", f"/api/jobs/{job.id}/annotations", {"shapes": shapes, "tags": [], "tracks": []})
        as_labeler(cvat, "PATCH", f"/api/jobs/{job.id}", {"state": state})


def shape_of(annotation: Annotation, frame: int, labels: Mapping[str, int]) -> dict[str, Any]:
    shape = annotation.shape
    assert isinstance(shape, Box | Polygon)
    points = shape.flat if isinstance(shape, Polygon) else list(shape.corners)
    kind = "polygon" if isinstance(shape, Polygon) else "rectangle"
    return {"type": kind, "frame": frame, "label_id": labels[annotation.label], "points": points, "attributes": []}


def as_labeler(cvat: StandIn, method: str, path: str, said: Any, who: str = "labeler1") -> Any:
    answer = requests.request(
        method,
        cvat.url + path,
        json=said,
        headers={
            "Authorization": f"Token {cvat.state.named(who).token}",
            "Accept": "application/vnd.cvat+json",
            "X-Organization": "acme",
        },
        timeout=60,
    )
    if answer.status_code in (401, 403):
        raise AccessDenied("cvat", "label", status=answer.status_code, message=answer.text)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def proxied(cvat: StandIn) -> FaultProxy:
    return FaultProxy(("127.0.0.1", urlsplit(cvat.url).port or 0))
