"""What the contract suite needs to know of Remo, and a labeler who speaks its REST API without the adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import requests

from labelwright.domain import Annotation, Box, ImageState, Polygon
from labelwright.platforms.protocol import LabelerAccess, RemoteCampaign, Secret
from labelwright.platforms.remo.adapter import Remo
from labelwright.platforms.remo.session import shared_session
from tests.platforms.contract import LABELS, Harness
from tests.platforms.proxy import FaultProxy

from .server import EMAIL, PASSWORD, RemoServer


class Labeler:
    """Somebody who works in Remo's own page, as far as the server can tell."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._session = requests.Session()
        self._session.trust_env = False
        response = self.ask("POST", "/api/rest-auth/login/", {"email": EMAIL, "password": PASSWORD})
        self._session.headers["Authorization"] = f"Token {response['key']}"
        version = self._session.get(f"{server}/version", timeout=120).json()["version"]
        self.modern = version.startswith("0.6")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        response = self._session.request(method, self._server + path, json=body, timeout=120)
        assert response.status_code < 300, response.text
        return response.json()

    def say(self, campaign: str, image: str, payload: Mapping[str, Any], status: str = "done") -> None:
        """What is seen on an image, in Remo's own form; then its status."""
        dataset, annotation_set = campaign.split("-")
        path = f"/api/dataset/{dataset}/annotation-set/{annotation_set}/image/{image}/save-annotation/"
        self.ask("POST", path, {**payload, "status": status})
        if self.modern:
            path = f"/api/v1/ui/annotation-sets/{annotation_set}/images/{image}/status/"
            self.ask("POST", path, {"status": status})


def objects(annotations: Sequence[Annotation]) -> dict[str, Any]:
    """As the page sends them: the set's own names of classes, corners in pixels."""
    label_objects = []
    for number, annotation in enumerate(annotations, 1):
        shape = annotation.shape
        assert isinstance(shape, Box | Polygon)
        corners = shape.points if isinstance(shape, Polygon) else ((shape.xmin, shape.ymin), (shape.xmax, shape.ymax))
        classes = [{"name": annotation.label.capitalize()}]
        points = [{"x": x, "y": y} for x, y in corners]
        label_objects.append({"name": f"OBJ {number}", "classes": classes, "coordinates": points})
    return {"objects": label_objects}


class RemoHarness(Harness):
    """A Remo at `server`, asked through `proxy`; labelers speak to it directly."""

    annotations = (Annotation("plastic", Box(1, 2, 11, 12)), Annotation("wood", Box(3, 4, 30, 20)))
    missing_id = "999999999-999999999"
    labels_keep_order = False

    def __init__(self, proxy: FaultProxy, server: str) -> None:
        self.proxy = proxy
        self.server = server
        self.labeler_at_work = Labeler(server)
        self._address = proxy.url.replace("127.0.0.1", "localhost")  # 0.3 answers under no other name
        self.platform().check()  # logged in, so that faults meet the verbs that they are meant for

    def platform(self, *, hasty: bool = False, small_pages: bool = False) -> Remo:
        reading = 0.35 if hasty else 20.0
        session = shared_session(
            self._address, EMAIL, Secret(PASSWORD), timeout=(5.0, reading), patience=2, seconds=reading
        )
        return Remo(session, page_size=2 if small_pages else 500, labels=(*LABELS.names, "glass"))

    def with_wrong_credential(self) -> Remo:
        return Remo(shared_session(self._address, EMAIL, Secret("wrong")))

    def label(
        self,
        campaign: RemoteCampaign,
        access: LabelerAccess | None,
        seen_on: Mapping[str, Sequence[Annotation]],
    ) -> None:
        for image, image_annotations in seen_on.items():
            self.labeler_at_work.say(campaign.id, image, objects(image_annotations))

    unfinished = (ImageState.SKIPPED,)

    def put_into(self, campaign: RemoteCampaign, image: str, state: ImageState) -> None:
        """A labeler presses Skip."""
        self.labeler_at_work.say(campaign.id, image, objects([]), "skipped")


@contextmanager
def at_stand_in(*, modern: bool) -> Iterator[RemoHarness]:
    """The stand-in of a generation with the proxy in front of it."""
    with RemoServer(modern=modern) as server, FaultProxy(("127.0.0.1", server.port)) as proxy:
        yield RemoHarness(proxy, server.url)
