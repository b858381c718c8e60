"""What the contract suite needs to know of the campaign API: how images get in, and how a labeler speaks."""

from __future__ import annotations

import functools
import io
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import requests
from PIL import Image

from labelwright.domain import Annotation, Geometry, ImageState, Label, LabelSchema, MultiPolygon, Polygon, WholeImage
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.campaign_api.models import labeled_from
from labelwright.platforms.errors import AccessDenied
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import LabelerAccess, RemoteCampaign, RemoteImage, Secret, SetState
from labelwright.platforms.shape_notices import ShapeNotices
from tests.platforms.contract import Harness, unique
from tests.platforms.proxy import FaultProxy

API = "/api/v1"


class CampaignApiHarness(Harness):
    """Speaks to a server of the campaign API at `server` through `proxy`; labels go to the server directly."""

    labels = LabelSchema((Label("plastic", translations={"nl": "plastic"}), Label("wood", Geometry.POLYGON)))

    def __init__(self, proxy: FaultProxy, server: str, key: str, secret: str) -> None:
        self.proxy = proxy
        self.server = server
        self._key, self._secret = key, secret
        self._labeler = requests.Session()
        self._labeler.trust_env = False

    def platform(self, *, hasty: bool = False, small_pages: bool = False) -> CampaignApi:
        return CampaignApi(
            self.proxy.url + API,
            self._key,
            Secret(self._secret),
            timeout=(5.0, 0.35 if hasty else 20.0),
            patience=2,
            page_size=2 if small_pages else 1000,
        )

    def with_wrong_credential(self) -> CampaignApi:
        return CampaignApi(self.proxy.url + API, self._key, Secret("wrong"))

    @functools.cached_property
    def _stock(self) -> list[RemoteImage]:
        platform = CampaignApi(self.server + API, self._key, Secret(self._secret))
        image_set = platform.create_image_set(unique("stock"), {})
        self.upload(
            platform.dropbox(image_set.id), [f"{number}.png" for number in range(3)] + ["дно/река.png", "x/0.png"]
        )
        platform.seal_image_set(image_set.id)
        self.wait_for_set(platform, image_set.id)
        return list(platform.list_images(image_set.id))

    def stock(self) -> Sequence[RemoteImage]:
        return self._stock

    def upload(self, dropbox: Secret, names: Sequence[str]) -> None:
        container, _, query = dropbox.value.partition("?")
        for name in names:
            body = b"no image at all" if "broken" in name else _picture(name)
            headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"}
            url = f"{container}/{quote(name)}?{query}"
            response = self._labeler.put(url, data=body, headers=headers, timeout=120)
            assert response.status_code == 201, response.text

    def wait_for_set(self, platform: Any, image_set: str) -> None:
        ends = time.monotonic() + 240
        while platform.read_image_set(image_set).state is not SetState.FINISHED:
            assert time.monotonic() < ends, "the image set is never finished"
            time.sleep(0.03)

    def predicted(self, campaign: RemoteCampaign) -> Mapping[str, Sequence[Annotation]]:
        response = self._labeler.get(
            f"{self.server}{API}/campaigns/{campaign.id}/predictions",
            headers={"Authentication-Key": self._key, "Authentication-Secret": self._secret},
            timeout=120,
        )
        assert response.status_code == 200, response.text
        image = {"file_name": "x.png", "width": 40, "height": 30}
        read = [
            labeled_from(Fields("campaign_api", "read", image | listed), ShapeNotices())
            for listed in response.json()["images"]
        ]
        return {image.remote_id: tuple(image.annotations) for image in read}

    unfinished = (ImageState.REJECTED,)

    def put_into(self, campaign: RemoteCampaign, image: str, state: ImageState) -> None:
        """An operator gives the image back, after it was labeled."""
        self.label(campaign, self.labeler, {image: []})
        self.platform().reopen_images(campaign.id, {image: "the hull, too"}, "")

    def label(
        self, campaign: RemoteCampaign, access: LabelerAccess | None, objects: Mapping[str, Sequence[Annotation]]
    ) -> None:
        assert access is not None
        assert access.secret is not None
        body = [
            {"image_id": int(image), "objects": [_object(annotation) for annotation in annotations]}
            for image, annotations in objects.items()
        ]
        response = self._labeler.put(
            f"{self.server}{API}/campaigns/{campaign.id}/objects",
            json=body,
            headers={"Authentication-Key": access.key, "Authentication-Secret": access.secret.value},
            timeout=120,
        )
        if response.status_code in (401, 403):
            raise AccessDenied("campaign_api", "label", status=response.status_code)
        assert response.status_code == 200, response.text

    def skip(self, campaign: RemoteCampaign, access: LabelerAccess | None, image: str, reason: str) -> None:
        self._write("PUT", campaign, access, image, "skip", {"reason": reason})

    def note(self, campaign: RemoteCampaign, access: LabelerAccess | None, image: str, body: dict[str, Any]) -> None:
        self._write("POST", campaign, access, image, "notes", body)

    def _write(
        self,
        method: str,
        campaign: RemoteCampaign,
        access: LabelerAccess | None,
        image: str,
        what: str,
        body: dict[str, Any],
    ) -> None:
        assert access is not None
        assert access.secret is not None
        keys = {"Authentication-Key": access.key, "Authentication-Secret": access.secret.value}
        url = f"{self.server}{API}/labeling/campaigns/{campaign.id}/images/{image}/{what}"
        response = self._labeler.request(method, url, json=body, headers={**keys, "If-Match": '"none"'}, timeout=120)
        assert response.status_code == 200, response.text


def _object(annotation: Annotation) -> dict[str, Any]:
    payload: dict[str, Any] = {"label": annotation.label, "confidence": annotation.confidence}
    if annotation.attributes:
        payload["attributes"] = dict(annotation.attributes)
    box = annotation.shape.box
    if isinstance(annotation.shape, WholeImage) or box is None:
        return payload | {"whole_image": True}
    payload["bounding_box"] = {"xmin": box.xmin, "xmax": box.xmax, "ymin": box.ymin, "ymax": box.ymax}
    if isinstance(annotation.shape, Polygon):
        payload["polygon"] = [list(point) for point in annotation.shape.points]
    if isinstance(annotation.shape, MultiPolygon):
        payload["polygons"] = [[list(point) for point in part.points] for part in annotation.shape.parts]
    return payload


@functools.cache
def _picture(name: str) -> bytes:
    """A picture of 40 x 30 pixels, a different one for every name."""
    buffer = io.BytesIO()
    shade = sum(name.encode()) % 256
    Image.new("RGB", (40, 30), (shade, len(name), 7)).save(buffer, "PNG")
    return buffer.getvalue()
