"""Harness of the contract suite for Geti."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labelwright.domain import Annotation, Box, ImageState, LabeledImage, Size
from labelwright.platforms.geti.adapter import Geti, Options
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.labels import annotations_for
from labelwright.platforms.geti.session import GetiSession
from labelwright.platforms.protocol import LabelerAccess, RemoteCampaign, Secret
from tests.platforms.contract import POLYGON, Harness
from tests.platforms.proxy import FaultProxy

from .server import PASSWORD, TOKEN, USER, GetiServer


def credential(server: GetiServer) -> tuple[str, Secret]:
    return ("", Secret(TOKEN)) if server.modern else (USER, Secret(PASSWORD))


class GetiHarness(Harness):
    """Connects to the fake server through `proxy`; annotates on it directly."""

    missing_id = "0" * 24
    labels_keep_order = False  # several are sent at a time

    def __init__(self, proxy: FaultProxy, server: GetiServer) -> None:
        self.proxy = proxy
        self.server = server
        if server.modern:  # it tells whole pixels
            self.annotations = (Annotation("plastic", Box(1, 2, 11, 12), 0.5), POLYGON)
        self._labeler = GetiClient(GetiSession(server.url, *credential(server)))

    def _connect(self, user: str, secret: Secret, *, hasty: bool = False, small_pages: bool = False) -> Geti:
        timeout = (5.0, 0.35 if hasty else 20.0)
        session = GetiSession(self.proxy.url, user, secret, timeout=timeout, patience=2)
        return Geti(session, Options(page_size=2 if small_pages else None, auto_train_at_finish=True, threads=2))

    def platform(self, *, hasty: bool = False, small_pages: bool = False) -> Geti:
        return self._connect(*credential(self.server), hasty=hasty, small_pages=small_pages)

    def with_wrong_credential(self) -> Geti:
        return self._connect(credential(self.server)[0], Secret("wrong"))

    def label(
        self, campaign: RemoteCampaign, access: LabelerAccess | None, objects: Mapping[str, Sequence[Annotation]]
    ) -> None:
        project = self._labeler.project(campaign.id)
        media = {medium.id: medium for medium in self._labeler.media(project)}
        for image, drawn in objects.items():
            medium = media[image]
            labeled = LabeledImage(medium.name, Size(medium.width, medium.height), tuple(drawn))
            self._labeler.annotate(project, medium, annotations_for(project, labeled, self._labeler.unit))

    unfinished = (ImageState.DRAFT,)

    def put_into(self, campaign: RemoteCampaign, image: str, state: ImageState) -> None:
        """Annotated, and to be looked at again, as after a change of the project's labels."""
        self.label(campaign, None, {image: self.annotations[:1]})
        self.server.to_revisit.add(image)
