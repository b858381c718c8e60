"""Adapter of the labeling-campaign REST API, which the embedded service and platforms of the same API offer.

The API is described in docs/campaign_api.md. Titles are the natural keys. Requests that create something carry an
`Idempotency-Key`, a hash of path and body, so that repeating one after a lost response returns the first response
again. Changes of state carry none: reopening a campaign for the second time on one day sends the same request as the
first time, and has to be done all the same. They read the state first instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field

from labelwright.domain import ImageState, LabeledImage, Shape
from labelwright.platforms.errors import NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.messages import ErrorResponse
from labelwright.platforms.http.proven import ProvenAdapter
from labelwright.platforms.image_limits import ImageLimits
from labelwright.platforms.protocol import (
    CampaignOrder,
    ChangesCampaigns,
    FindsDeletedImages,
    FinishesCampaigns,
    KeepsImageSets,
    KeepsNotes,
    LabelerAccess,
    LabelerNote,
    LabelsPage,
    ListsLabels,
    ListsUnlabeledImages,
    Platform,
    PlatformLabels,
    RecoversAccess,
    RemoteCampaign,
    RemoteImage,
    RemoteImageSet,
    RemoteState,
    ReopensCampaigns,
    ReopensImages,
    RotatesLabelerKeys,
    Secret,
    ServesImages,
    SetState,
    TakesPredictions,
    TellsImageLimits,
    UnlabeledImage,
)
from labelwright.platforms.shape_notices import ShapeNotices
from labelwright.security.masking import remember_login

from . import changes, notes, predictions
from .image_limits import image_limits_from
from .models import access_from, campaign_from, image_from, image_set_from, is_labeled, labeled_from, skipped_from
from .optional_routes import NO_SUCH_ROUTE, optional_route
from .schema import FEATURE, needs_beyond_names, schema_json, shortened

if TYPE_CHECKING:
    from labelwright.platforms.entry import Connection

_Found = TypeVar("_Found", RemoteCampaign, RemoteImageSet)

NAME = "campaign_api"

SKIPS = "allow_skip"
"""The field of a campaign, and the feature of a server whose images may be skipped."""


class Options(BaseModel):
    """What can be set for this platform."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_seconds: float = Field(60.0, gt=0, le=600, title="Seconds to wait for the next bytes of an answer")
    connect_seconds: float = Field(5.0, gt=0, le=600, title="Seconds to wait for a connection")
    page_size: int = Field(1000, ge=1, le=10_000, title="Images or other things in one request or answer")
    patience_seconds: float = Field(60.0, ge=0, le=600, title="Longest Retry-After that is waited out at once")
    allow_skip: bool = Field(False, title="Labelers may skip images, each with a reason")


def connect(connection: Connection) -> CampaignApi:
    """Returns the adapter for a connection."""
    options = Options.model_validate(dict(connection.options))
    return CampaignApi(
        connection.url,
        connection.key,
        connection.secret or Secret(""),
        timeout=(options.connect_seconds, options.timeout_seconds),
        patience=options.patience_seconds,
        page_size=options.page_size,
        identity=connection.identity,
        allow_skip=options.allow_skip,
    )


_START = (
    "Is the labeling service running? Start it with: labelwright serve. A running labelwright up restarts it by "
    "itself: then try again in a minute."
)
"""Advice when the embedded service does not respond."""


class CampaignApi(
    Platform,
    KeepsImageSets,
    FinishesCampaigns,
    ReopensCampaigns,
    ReopensImages,
    FindsDeletedImages,
    ListsLabels,
    ListsUnlabeledImages,
    ChangesCampaigns,
    RotatesLabelerKeys,
    RecoversAccess,
    KeepsNotes,
    ServesImages,
    TellsImageLimits,
    TakesPredictions,
):
    """Campaigns of one server, as an admin.

    `url` is the base of the API, as in http://localhost:8080/api/v1; key and secret are an admin's. `page_size` is the
    number of images per request and per page of a response. `identity` is the file of the key by which the service
    proves its identity on every connection, before key and secret are sent; None for a service that runs elsewhere.
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
        allow_skip: bool = False,
    ) -> None:
        headers: dict[str, str | Secret] = {"Authentication-Key": key, "Authentication-Secret": secret}
        self._page_size = page_size
        self._allow_skip = allow_skip
        remember_login(key, secret.value)
        self._http = Http(
            self.name,
            url,
            headers=headers,
            timeout=timeout,
            patience=patience,
            explain=None if identity is None else _explain_of_embedded_service,
            unreachable="" if identity is None else _START,
        )
        if identity is not None:
            self._http.connect_with(ProvenAdapter(self.name, identity))

    def __repr__(self) -> str:
        return f"CampaignApi({self._http.base_url!r})"

    def close(self) -> None:
        self._http.close()

    # Platform

    def check(self) -> str:
        operation = "check the connection"
        advice = "Use an admin's key and secret, not a labeler's."
        self._http.call(operation, "GET", "/image_sets", params={"per_page": 1}, advice=advice)
        try:
            health = Fields(self.name, operation, self._http.call(operation, "GET", "/health"))
        except NotFound:  # not in the notebook
            return f"a campaign API at {self._http.base_url}"
        parts = [health.text(name) for name in ("name", "version") if isinstance(health.json.get(name), str)]
        return f"{' '.join(parts) or 'a campaign API'} at {self._http.base_url}"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        operation = f"find campaign '{title}'"
        campaigns = [
            campaign_from(item)
            for item in self._all(operation, "/campaigns", "campaigns", {"title": title})
            if item.text("title") == title
        ]
        return self._only(operation, campaigns)

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        body: dict[str, Any] = {"title": order.title, "metadata": order.metadata, "labeler_email": order.labeler}
        body["labels"] = list(order.labels.names)
        if order.instructions:
            body["instructions"] = order.instructions
        translations = {label.name: dict(label.translations) for label in order.labels.labels if label.translations}
        if translations:
            body["label_translations"] = translations
        operation = f"create campaign '{order.title}'"
        # Asked before anything is created: a server that ignores the field would create a campaign of bare names.
        features = self._features(operation)
        if self._allow_skip and SKIPS not in features:
            raise self._without_skips(operation)
        if self._allow_skip:
            body[SKIPS] = True
        if FEATURE in features:
            body[FEATURE] = schema_json(order.labels)
        elif (needs := needs_beyond_names(order.labels)) and not order.ignore_unsupported:
            raise self._without_schema(operation, needs)
        created = self._create(operation, "/campaigns", body)
        return campaign_from(created, labeler=order.labeler)

    def add_images(self, campaign: str, images: Sequence[str]) -> None:
        # No Idempotency-Key: adding twice does no harm, while a refusal (an image that is not there yet) must not be
        # answered again when it is no longer true.
        for start in range(0, len(images), self._page_size):
            body = [{"id": _number(image)} for image in images[start : start + self._page_size]]
            path = f"/campaigns/{_segment(campaign)}/images"
            self._http.call(f"add images to campaign {campaign}", "POST", path, json=body)

    def activate_campaign(self, campaign: str) -> None:
        # Only a created campaign: setting a completed one to active would reopen it.
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
            response = Fields(self.name, operation, self._http.call(operation, "GET", path, params=self._page(page)))
        except PlatformRefused as refused:
            if refused.status in NO_SUCH_ROUTE:
                self.read_campaign(campaign)  # raises NotFound when it is the campaign that is not there
                raise self._too_old(operation, refused) from None
            raise
        notices = ShapeNotices()
        done = [item for item in response.each("images") if is_labeled(item)]
        images = tuple(labeled_from(item, notices) for item in done if not item.has("skipped"))
        excluded = tuple(skipped_from(item) for item in done if item.has("skipped"))
        following = tuple(map(str, range(page + 1, _pages(response, page) + 1)))
        return LabelsPage(
            images, next(iter(following), None), notices.checked(), excluded=excluded, following=following
        )

    # KeepsImageSets

    def find_image_set(self, title: str) -> RemoteImageSet | None:
        operation = f"find image set '{title}'"
        image_sets = [
            image_set_from(item)
            for item in self._all(operation, "/image_sets", "image_sets", {"title": title})
            if item.text("title") == title
        ]
        return self._only(operation, image_sets)

    def create_image_set(self, title: str, metadata: dict[str, Any]) -> RemoteImageSet:
        body = {"title": title, "metadata": metadata}
        return image_set_from(self._create(f"create image set '{title}'", "/image_sets", body))

    def dropbox(self, image_set: str) -> Secret:
        image_set_fields = self._image_set(f"open the dropbox of image set {image_set}", image_set)
        if not image_set_fields.has("dropbox_url"):
            image_set_fields.refuse("dropbox_url", f"is not there: the image set is {image_set_fields.text('status')}")
        return Secret(image_set_fields.text("dropbox_url"))

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
            message = f"campaign {campaign} is created and was never completed"
            raise PlatformRefused(
                self.name, f"reopen campaign {campaign}", message=message, advice="Activate it instead."
            )
        if state is RemoteState.FINISHED:  # which no change of state leads out of
            self.reopen_images(campaign, {}, "")
        elif state is not RemoteState.ACTIVE:
            self._set_state("reopen", campaign, RemoteState.ACTIVE, frozenset({RemoteState.ACTIVE}))

    def reopen_images(self, campaign: str, reasons: Mapping[str, str], call_id: str) -> str:
        operation, path = f"reopen images of campaign {campaign}", f"/campaigns/{_segment(campaign)}/images/reopen"
        images = list(reasons)
        for start in range(0, max(1, len(images)), self._page_size):
            body = [
                {"image_id": _number(image), "reason": reasons[image]}
                for image in images[start : start + self._page_size]
            ]
            payload = json.dumps([path, body, call_id], sort_keys=True).encode()
            headers = {"Idempotency-Key": sha256(payload).hexdigest()} if call_id else {}
            message = "this server does not have POST /campaigns/{id}/images/reopen: it cannot reopen single images"
            advice = "Update the platform, or reopen the whole campaign before it is finished."
            with optional_route(self.name, operation, partial(self.read_campaign, campaign), message, advice):
                self._http.call(operation, "POST", path, json=body, headers=headers)
        return ""

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        """An image is deleted when it is missing from a listing that is as long as the campaign's own count."""
        operation = f"look for deleted images of campaign {campaign}"
        path = f"/campaigns/{_segment(campaign)}/objects"
        existing = {item.id("image_id") for item in self._all(operation, path, "images")}
        if len(existing) != self.read_campaign(campaign).total:
            return {}
        return {image: f"no longer in campaign {campaign} on the platform" for image in images if image not in existing}

    def list_unlabeled_images(self, campaign: str) -> Iterator[UnlabeledImage]:
        """An image that was given back to its labeler, with what its labeler is to correct, is rejected."""
        operation, path = f"list the unlabeled images of campaign {campaign}", f"/campaigns/{_segment(campaign)}"
        labeled: set[str] | None = None
        for item in self._all(operation, f"{path}/images", "images"):
            image = item.id("image_id")
            if "done" not in item.json and labeled is None:  # a server that does not tell it here
                objects = self._all(operation, f"{path}/objects", "images")
                labeled = {labels.id("image_id") for labels in objects if is_labeled(labels)}
            if item.json.get("done") is True or (labeled is not None and image in labeled):
                continue
            if item.has("reopened"):
                yield UnlabeledImage(image, "", ImageState.REJECTED, f"reopened: {item.text('reopened')}".rstrip(": "))
            else:
                yield UnlabeledImage(image, "", ImageState.NOT_LABELED, f"image {image}")

    def list_labels(self, campaign: str) -> PlatformLabels | None:
        return self.read_campaign(campaign).labels

    def change_campaign(self, campaign: str, order: CampaignOrder) -> LabelerAccess | None:
        return changes.change_campaign(self.name, self._http, f"/campaigns/{_segment(campaign)}", campaign, order)

    def put_predictions(self, campaign: str, images: Sequence[LabeledImage]) -> None:
        """Labels that are there already stay. Requests are of several images each."""
        path = f"/campaigns/{_segment(campaign)}"
        predictions.put_predictions(self.name, self._http, path, campaign, images, self._page_size)

    def cannot_be_drawn(self, shape: Shape) -> str:
        """Returns why labelers cannot be shown a shape, or an empty text."""
        return predictions.cannot_be_drawn(shape)

    def rotate_labeler_key(self, email: str) -> LabelerAccess:
        operation = f"rotate the key of {email}"
        response = Fields(
            self.name, operation, self._http.call(operation, "POST", f"/users/{quote(email, safe='@')}/keys")
        )
        return access_from(response.inner("access_token") if response.has("access_token") else response, email)

    def recover_access(self, order: CampaignOrder) -> LabelerAccess | None:
        # A repeated request with the same Idempotency-Key gets the first response again, for a day.
        try:
            return self.create_campaign(order).access
        except PlatformRefused as refused:
            if refused.status != 409:
                raise
            return None

    def list_notes(self, campaign: str) -> Iterator[LabelerNote]:
        operation, path = f"list the notes of campaign {campaign}", f"/campaigns/{_segment(campaign)}"
        look = partial(self.read_campaign, campaign)
        with optional_route(self.name, operation, look, notes.WITHOUT_NOTES, "Update the platform."):
            yield from map(notes.note_from, self._all(operation, f"{path}/notes", "notes"))

    def answer_note(self, campaign: str, note: str, text: str) -> None:
        notes.answer_note(self._http, f"/campaigns/{_segment(campaign)}", note, text)

    def image_url(self, image: str) -> str:
        return f"{self._http.base_url}/images/{_segment(image)}"

    def image_limits(self) -> ImageLimits:
        operation = "tell which images it accepts"
        return image_limits_from(self.name, operation, self._health(operation))

    def read_image(self, image: str) -> str:
        """Returns the SHA-256 of the image as the platform serves it. See `tasks.export.verification.ReadsImages`."""
        operation, path = "send an image", f"/images/{_segment(image)}"
        location = self._http.locate(operation, path)
        if not location:
            return hashlib.sha256(self._http.call(operation, "GET", path, expect="bytes")).hexdigest()
        # The address is signed: the request carries no credential, which stays with the configured host.
        parts = urlsplit(location)
        storage = Http(self.name, f"{parts.scheme}://{parts.netloc}")
        try:
            data = storage.call(operation, "GET", urlunsplit(("", "", parts.path, parts.query, "")), expect="bytes")
        finally:
            storage.close()
        return hashlib.sha256(data).hexdigest()

    # Requests

    def _image_set(self, operation: str, image_set: str) -> Fields:
        return Fields(self.name, operation, self._http.call(operation, "GET", f"/image_sets/{_segment(image_set)}"))

    def _create(self, operation: str, path: str, body: dict[str, Any]) -> Fields:
        payload = json.dumps([path, body], sort_keys=True).encode()
        headers = {"Idempotency-Key": sha256(payload).hexdigest()}
        return Fields(self.name, operation, self._http.call(operation, "POST", path, json=body, headers=headers))

    def _set_state(self, action: str, campaign: str, state: RemoteState, accepted: frozenset[RemoteState]) -> None:
        """Sets the state. `accepted` are the states in which a 409 means that somebody else already did it."""
        operation, path = f"{action} campaign {campaign}", f"/campaigns/{_segment(campaign)}"
        try:
            self._http.call(operation, "PUT", path, json={"new_status": state})
        except PlatformRefused as refused:
            if refused.status != 409 or self.read_campaign(campaign).state not in accepted:
                raise

    def _all(self, operation: str, path: str, field: str, params: dict[str, str] | None = None) -> Iterator[Fields]:
        """Yields every object of a list, page by page. A server may return a bare list, or all in one response."""
        page = 1
        while True:
            response = self._http.call(operation, "GET", path, params={**(params or {}), **self._page(page)})
            fields = Fields(self.name, operation, {field: response} if isinstance(response, list) else response)
            yield from fields.each(field)
            if page >= _pages(fields, page):
                return
            page += 1

    def _page(self, page: int) -> dict[str, str | int]:
        return {"page": page, "per_page": self._page_size}

    def _only(self, operation: str, matches: list[_Found]) -> _Found | None:
        if len(matches) > 1:
            message = f"there are {len(matches)} of that title: {', '.join(match.id for match in matches[:10])}"
            raise PlatformRefused(self.name, operation, status=200, message=message, advice="Rename all but one.")
        return matches[0] if matches else None

    def _features(self, operation: str) -> frozenset[str]:
        """Returns the optional parts of the API that the server lists; empty for servers that list none."""
        features = self._health(operation).get("features")
        return frozenset(map(str, features)) if isinstance(features, list) else frozenset()

    def _health(self, operation: str) -> dict[str, Any]:
        try:
            health = self._http.call(operation, "GET", "/health")
        except PlatformRefused as refused:
            if refused.status in NO_SUCH_ROUTE:  # not in the notebook
                return {}
            raise
        return health if isinstance(health, dict) else {}

    def _without_schema(self, operation: str, needs: list[str]) -> PlatformRefused:
        message = f"this server takes names of labels only (its GET /health lists no {FEATURE}): {shortened(needs)}"
        advice = (
            "Nothing was created. Update the server (the embedded service: restart `labelwright serve` or `labelwright "
            "up` with this version), take these out of the labels of the campaign file, or write "
            "'on_unsupported: ignore' to launch without them."
        )
        return PlatformRefused(self.name, operation, message=message, advice=advice)

    def _without_skips(self, operation: str) -> PlatformRefused:
        message = f"options.allow_skip: on this server no image can be skipped (its GET /health lists no {SKIPS})"
        advice = "Nothing was created. Update the server, or take allow_skip out of the campaign file."
        return PlatformRefused(self.name, operation, message=message, advice=advice)

    def _too_old(self, operation: str, refused: PlatformRefused) -> PlatformRefused:
        message = "this server knows no GET /campaigns/{id}/objects, which the notebook of the API does not have either"
        advice = "Update the platform, or take the labels from label_sets/<title>_labels.csv after finishing."
        return PlatformRefused(self.name, operation, status=refused.status, message=message, advice=advice)


def _pages(response: Fields, page: int) -> int:
    """Returns the number of pages.

    Raises PlatformRefused when the response is another page than the requested one: reading would never end.
    """
    if not response.has("pagination"):
        return 1
    pagination = response.inner("pagination")
    if pagination.whole("page") != page:
        pagination.refuse("page", f"is {pagination.whole('page')} though {page} was asked for")
    return pagination.whole("pages")


def _explain_of_embedded_service(response: ErrorResponse) -> PlatformError | None:
    """A 401 of the service that proved its identity: nobody types its key, it is being restarted or set up anew."""
    if response.status != 401:
        return None
    message = "it does not know the key in its own admin.json, as while it is being restarted"
    advice = "Try again. If it stays so, restart it: labelwright up."
    return PlatformUnavailable(NAME, response.operation, status=401, message=message, advice=advice)


def _number(image: str) -> int | str:
    return int(image) if image.isascii() and image.isdecimal() else image


def _segment(identity: str) -> str:
    return quote(identity, safe="")
