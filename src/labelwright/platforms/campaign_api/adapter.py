"""The labeling-campaign REST API: what the embedded service speaks, and any platform of the same contract.

The contract is the notebook of the seeds and docs/campaign_api.md. Titles are the natural keys. Creating calls carry an
`Idempotency-Key` made of what they say, so that saying the same again after a lost answer gives the first answer again.
Changes of state carry none: reopening a campaign for the second time on one day says just what the first time said, and
has to be done all the same. They look first instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field

from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.proven import ProvenAdapter
from labelwright.platforms.protocol import (
    CampaignOrder,
    FindsDeletedImages,
    FinishesCampaigns,
    KeepsImageSets,
    LabelerAccess,
    LabelsPage,
    ListsLabels,
    Platform,
    PlatformLabels,
    RecoversAccess,
    RemoteCampaign,
    RemoteImage,
    RemoteImageSet,
    RemoteState,
    ReopensCampaigns,
    RotatesLabelerKeys,
    Secret,
    ServesImages,
    SetState,
)
from labelwright.platforms.shape_notices import ShapeNotices
from labelwright.security.masking import remember_login

from .models import access_from, campaign_from, image_from, image_set_from, labeled_from, looked_at

if TYPE_CHECKING:
    from labelwright.platforms.entry import Connection

_Found = TypeVar("_Found", RemoteCampaign, RemoteImageSet)

NAME = "campaign_api"


class Options(BaseModel):
    """What can be set for this platform."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_seconds: float = Field(60.0, gt=0, le=600, title="Seconds to wait for the next bytes of an answer")
    connect_seconds: float = Field(5.0, gt=0, le=600, title="Seconds to wait for a connection")
    page_size: int = Field(1000, ge=1, le=10_000, title="Images or other things in one request or answer")
    patience_seconds: float = Field(60.0, ge=0, le=600, title="Longest Retry-After that is waited out at once")


def connect(connection: Connection) -> CampaignApi:
    """The adapter for a connection whose options are those above."""
    options = Options.model_validate(dict(connection.options))
    return CampaignApi(
        connection.url,
        connection.key,
        connection.secret or Secret(""),
        timeout=(options.connect_seconds, options.timeout_seconds),
        patience=options.patience_seconds,
        page_size=options.page_size,
        identity=connection.identity,
    )


class CampaignApi(
    Platform,
    KeepsImageSets,
    FinishesCampaigns,
    ReopensCampaigns,
    FindsDeletedImages,
    ListsLabels,
    RotatesLabelerKeys,
    RecoversAccess,
    ServesImages,
):
    """Campaigns of one server, as an admin.

    `url` is the base of the API, as in http://localhost:8080/api/v1; key and secret are an admin's. `page_size` is how
    many images go into one request and are wanted in one answer. `identity` is the file of the key by which the service
    proves who it is on every connection, before it is sent key and secret; None for a service that runs elsewhere.
    """

    name = NAME

    def __init__(
        self,
        url: str,
        key: str,
        secret: Secret,
        *,
        timeout: tuple[float, float] = (5.0, 60.0),
        patience: float = 60.0,
        page_size: int = 1000,
        identity: Path | None = None,
    ) -> None:
        headers: dict[str, str | Secret] = {"Authentication-Key": key, "Authentication-Secret": secret}
        self._page_size = page_size
        remember_login(key, secret.value)
        self._http = Http(self.name, url, headers=headers, timeout=timeout, patience=patience)
        if identity is not None:
            self._http.connect_with(ProvenAdapter(self.name, identity))

    def __repr__(self) -> str:
        return f"CampaignApi({self._http.base_url!r})"

    def close(self) -> None:
        self._http.close()

    # Platform

    def check(self) -> str:
        operation = "check the connection"
        told = "Use an admin's key and secret, not a labeler's."
        self._http.call(operation, "GET", "/image_sets", params={"per_page": 1}, advice=told)
        try:
            health = Fields(self.name, operation, self._http.call(operation, "GET", "/health"))
        except NotFound:  # not in the notebook
            return f"a campaign API at {self._http.base_url}"
        said = [health.text(name) for name in ("name", "version") if isinstance(health.json.get(name), str)]
        return f"{' '.join(said) or 'a campaign API'} at {self._http.base_url}"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        operation = f"find campaign '{title}'"
        found = [
            campaign_from(item)
            for item in self._all(operation, "/campaigns", "campaigns", {"title": title})
            if item.text("title") == title
        ]
        return self._only(operation, found)

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        body: dict[str, Any] = {"title": order.title, "metadata": order.metadata, "labeler_email": order.labeler}
        body["labels"] = list(order.labels.names)
        if order.instructions:
            body["instructions"] = order.instructions
        translations = {label.name: dict(label.translations) for label in order.labels.labels if label.translations}
        if translations:
            body["label_translations"] = translations
        answer = self._create(f"create campaign '{order.title}'", "/campaigns", body)
        return campaign_from(answer, labeler=order.labeler)

    def add_images(self, campaign: str, images: Sequence[str]) -> None:
        # No Idempotency-Key: adding twice does no harm, while a refusal (an image that is not there yet) must not be
        # answered again when it is no longer true.
        for start in range(0, len(images), self._page_size):
            body = [{"id": _number(image)} for image in images[start : start + self._page_size]]
            path = f"/campaigns/{_segment(campaign)}/images"
            self._http.call(f"add images to campaign {campaign}", "POST", path, json=body)

    def activate_campaign(self, campaign: str) -> None:
        # Only a created one: said to a completed campaign, "active" would give it back to its labelers.
        if self.read_campaign(campaign).state is RemoteState.CREATED:
            beyond = frozenset(RemoteState) - {RemoteState.CREATED}
            self._set_state("activate", campaign, RemoteState.ACTIVE, beyond)

    def read_campaign(self, campaign: str) -> RemoteCampaign:
        operation = f"read campaign {campaign}"
        return campaign_from(
            Fields(self.name, operation, self._http.call(operation, "GET", f"/campaigns/{_segment(campaign)}"))
        )

    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        operation = f"read the labels of campaign {campaign}"
        path = f"/campaigns/{_segment(campaign)}/objects"
        page = int(cursor) if cursor and cursor.isdecimal() else 1
        try:
            answer = Fields(self.name, operation, self._http.call(operation, "GET", path, params=self._page(page)))
        except PlatformRefused as refused:
            if refused.status in (404, 405, 501):
                self.read_campaign(campaign)  # raises NotFound when it is the campaign that is not there
                raise self._too_old(operation, refused) from None
            raise
        notices = ShapeNotices()
        images = tuple(labeled_from(item, notices) for item in answer.each("images") if looked_at(item))
        return LabelsPage(images, str(page + 1) if page < _pages(answer, page) else None, notices.checked())

    # KeepsImageSets

    def find_image_set(self, title: str) -> RemoteImageSet | None:
        operation = f"find image set '{title}'"
        found = [
            image_set_from(item)
            for item in self._all(operation, "/image_sets", "image_sets", {"title": title})
            if item.text("title") == title
        ]
        return self._only(operation, found)

    def create_image_set(self, title: str, metadata: dict[str, Any]) -> RemoteImageSet:
        body = {"title": title, "metadata": metadata}
        return image_set_from(self._create(f"create image set '{title}'", "/image_sets", body))

    def dropbox(self, image_set: str) -> Secret:
        answer = self._image_set(f"open the dropbox of image set {image_set}", image_set)
        if not answer.has("dropbox_url"):
            answer.refuse("dropbox_url", f"is not there: the image set is {answer.text('status')}")
        return Secret(answer.text("dropbox_url"))

    def seal_image_set(self, image_set: str) -> None:
        path = f"/image_sets/{_segment(image_set)}"
        try:
            self._http.call(f"seal image set {image_set}", "PUT", path, json={"new_status": SetState.FINISHED})
        except PlatformRefused as refused:
            if refused.status != 409 or self.read_image_set(image_set).state is SetState.CREATED:
                raise

    def read_image_set(self, image_set: str) -> RemoteImageSet:
        return image_set_from(self._image_set(f"read image set {image_set}", image_set))

    def list_images(self, image_set: str) -> Iterator[RemoteImage]:
        path = f"/image_sets/{_segment(image_set)}/images"
        return map(image_from, self._all(f"list the images of image set {image_set}", path, "images"))

    # What only some platforms can

    def finish_campaign(self, campaign: str) -> None:
        if self.read_campaign(campaign).state is not RemoteState.FINISHED:
            self._set_state("finish", campaign, RemoteState.FINISHED, frozenset({RemoteState.FINISHED}))

    def reopen_campaign(self, campaign: str) -> None:
        state = self.read_campaign(campaign).state
        if state is RemoteState.CREATED:
            told = f"campaign {campaign} is created and was never completed"
            raise PlatformRefused(self.name, f"reopen campaign {campaign}", message=told, advice="Activate it instead.")
        if state is not RemoteState.ACTIVE:
            self._set_state("reopen", campaign, RemoteState.ACTIVE, frozenset({RemoteState.ACTIVE}))

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        """The listing of the campaign is believed when it is as long as the campaign is said to be."""
        operation = f"look for deleted images of campaign {campaign}"
        path = f"/campaigns/{_segment(campaign)}/objects"
        there = {item.id("image_id") for item in self._all(operation, path, "images")}
        if len(there) != self.read_campaign(campaign).total:
            return {}
        return {image: f"no longer in campaign {campaign} on the platform" for image in images if image not in there}

    def list_labels(self, campaign: str) -> PlatformLabels | None:
        return self.read_campaign(campaign).labels

    def rotate_labeler_key(self, email: str) -> LabelerAccess:
        operation = f"rotate the key of {email}"
        answer = Fields(
            self.name, operation, self._http.call(operation, "POST", f"/users/{quote(email, safe='@')}/keys")
        )
        return access_from(answer.inner("access_token") if answer.has("access_token") else answer, email)

    def recover_access(self, order: CampaignOrder) -> LabelerAccess | None:
        # The same words with the same Idempotency-Key are answered as the first time, for a day.
        try:
            return self.create_campaign(order).access
        except PlatformRefused as refused:
            if refused.status != 409:
                raise
            return None

    def image_url(self, image: str) -> str:
        return f"{self._http.base_url}/images/{_segment(image)}"

    def read_image(self, image: str) -> str:
        """SHA-256 of the image as the platform sends it. See `tasks.verifying.ReadsImages`."""
        operation, path = "send an image", f"/images/{_segment(image)}"
        location = self._http.locate(operation, path)
        if not location:
            return hashlib.sha256(self._http.call(operation, "GET", path, expect="bytes")).hexdigest()
        # The address is signed: it is asked without our credential, which stays with the configured host.
        parts = urlsplit(location)
        there = Http(self.name, f"{parts.scheme}://{parts.netloc}")
        try:
            data = there.call(operation, "GET", urlunsplit(("", "", parts.path, parts.query, "")), expect="bytes")
        finally:
            there.close()
        return hashlib.sha256(data).hexdigest()

    # How it is asked

    def _image_set(self, operation: str, image_set: str) -> Fields:
        return Fields(self.name, operation, self._http.call(operation, "GET", f"/image_sets/{_segment(image_set)}"))

    def _create(self, operation: str, path: str, body: dict[str, Any]) -> Fields:
        said = json.dumps([path, body], sort_keys=True).encode()
        headers = {"Idempotency-Key": sha256(said).hexdigest()}
        return Fields(self.name, operation, self._http.call(operation, "POST", path, json=body, headers=headers))

    def _set_state(self, does: str, campaign: str, wanted: RemoteState, good: frozenset[RemoteState]) -> None:
        """`good` are the states in which a 409 only means that somebody was quicker."""
        operation, path = f"{does} campaign {campaign}", f"/campaigns/{_segment(campaign)}"
        try:
            self._http.call(operation, "PUT", path, json={"new_status": wanted})
        except PlatformRefused as refused:
            if refused.status != 409 or self.read_campaign(campaign).state not in good:
                raise

    def _all(self, operation: str, path: str, what: str, params: dict[str, str] | None = None) -> Iterator[Fields]:
        """Every object of a list, page after page. A server may give a bare list, or all in one answer."""
        page = 1
        while True:
            answer = self._http.call(operation, "GET", path, params={**(params or {}), **self._page(page)})
            fields = Fields(self.name, operation, {what: answer} if isinstance(answer, list) else answer)
            yield from fields.each(what)
            if page >= _pages(fields, page):
                return
            page += 1

    def _page(self, page: int) -> dict[str, str | int]:
        return {"page": page, "per_page": self._page_size}

    def _only(self, operation: str, found: list[_Found]) -> _Found | None:
        if len(found) > 1:
            told = f"there are {len(found)} of that title: {', '.join(one.id for one in found[:10])}"
            raise PlatformRefused(self.name, operation, status=200, message=told, advice="Rename all but one.")
        return found[0] if found else None

    def _too_old(self, operation: str, refused: PlatformRefused) -> PlatformRefused:
        told = "this server knows no GET /campaigns/{id}/objects, which the notebook of the API does not have either"
        told_next = "Update the platform, or take the labels from label_sets/<title>_labels.csv after finishing."
        return PlatformRefused(self.name, operation, status=refused.status, message=told, advice=told_next)


def _pages(answer: Fields, page: int) -> int:
    """How many pages there are. Raises PlatformRefused when the server gave another page than was asked for, since
    it would be read for ever."""
    if not answer.has("pagination"):
        return 1
    pagination = answer.inner("pagination")
    if pagination.whole("page") != page:
        pagination.refuse("page", f"is {pagination.whole('page')} though {page} was asked for")
    return pagination.whole("pages")


def _number(image: str) -> int | str:
    return int(image) if image.isascii() and image.isdecimal() else image


def _segment(identity: str) -> str:
    return quote(identity, safe="")
