"""Pydantic models of requests, which are validated, and of responses, which are documented."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from labelwright.service.access import EMAIL


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has control characters or unprintable ones in it")
    if text != text.strip():
        raise ValueError("begins or ends with a blank")
    return text


def _json(value: dict[str, Any] | None) -> dict[str, Any] | None:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("is not JSON: it has NaN, infinity, broken Unicode or too many levels in it") from None
    return value


Title = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Metadata = Annotated[dict[str, Any] | None, AfterValidator(_json)]
Id = Annotated[int, Field(ge=1, lt=2**63, strict=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ImageSetOrder(_Body):
    title: Title
    metadata: Metadata = None


class ImageSetChange(_Body):
    new_status: Literal["finished"]


class AttributeFields(_Body):
    """A question about each object of a label: one of `values`, or free text where there are none."""

    name: Title
    values: Annotated[list[Title], Field(max_length=1_000)] = []
    default: Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")] | None = None
    required: bool = False


class LabelFields(_Body):
    """A label: `geometry` says how its objects are drawn, `image` that it is about the image as a whole."""

    name: Title
    geometry: Literal["box", "polygon", "image", "any"] = "any"
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    parent: Title | None = None
    attributes: Annotated[list[AttributeFields], Field(max_length=100)] = []
    translations: dict[Title, Title] = {}


class CampaignOrder(_Body):
    title: Title
    metadata: Metadata = None
    labeler_email: Annotated[str, Field(max_length=254, pattern=EMAIL)]
    labels: Annotated[list[Title], Field(min_length=1, max_length=10_000)] | None = None
    instructions: Annotated[str, Field(max_length=100_000, pattern=r"^[^\x00]*$")] | None = None
    label_translations: dict[Title, dict[Title, Title]] | None = None
    label_schema: Annotated[list[LabelFields], Field(min_length=1, max_length=10_000)] | None = None
    allow_skip: bool = False


class CampaignChange(_Body):
    new_status: Literal["created", "active", "completed", "finished"]


class ImageReference(_Body):
    id: Id


class ReopenedImage(_Body):
    image_id: Id
    reason: Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")] = ""


class BoundingBox(_Body):
    """A box in pixels of the image as displayed: 0 <= xmin < xmax <= width, likewise for y."""

    xmin: float
    xmax: float
    ymin: float
    ymax: float


Corners = list[Annotated[list[float], Field(min_length=2, max_length=2)]]


class PredictedObject(_Body):
    """Either `bounding_box`, perhaps with `polygon` or `polygons` (several parts), or `whole_image: true`."""

    label: Annotated[str, Field(min_length=1, max_length=200)]
    confidence: Annotated[float, Field(ge=0, le=1)]
    bounding_box: BoundingBox | None = None
    polygon: Corners | None = None
    polygons: list[Corners] | None = Field(None, description="The parts of one object; the box is around all of them.")
    whole_image: bool | None = Field(None, description="The label is about the image as a whole: no box, no polygon.")
    attributes: dict[str, str] | None = None
    model_version: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Of the model that predicted it."
    )


class ImagePredictions(_Body):
    image_id: Id
    objects: list[PredictedObject]


class Object(PredictedObject):
    origin: Literal["person", "prediction", "corrected"] | None = Field(
        None, description="prediction: a model's, accepted as it was. corrected: a model's, changed by a person."
    )


class ImageObjects(_Body):
    image_id: Id
    objects: list[Object]


# --- answers


class Fault(BaseModel):
    code: str
    error_code: str
    """Such as LW8006: an entry of docs/errors.md."""
    message: str
    details: Any


class Error(BaseModel):
    error: Fault


class Pagination(BaseModel):
    next: int | None
    page: int
    pages: int
    per_page: int
    prev: int | None
    total: int


class ImageSet(BaseModel):
    blobstorage_path: str
    created_by: str
    date_created: str
    date_finished: str | None
    dropbox_url: str | None
    imageset_id: int
    metadata: dict[str, Any] | None
    status: Literal["created", "finishing", "finished"]
    title: str


class Rejected(BaseModel):
    name: str
    reason: str


class ImageSetDetails(ImageSet):
    image_count: int
    rejected: list[Rejected]


class ImageSets(BaseModel):
    image_sets: list[ImageSet]
    pagination: Pagination


class Dropbox(BaseModel):
    dropbox_url: str


class Dimensions(BaseModel):
    height: int
    width: int


class File(BaseModel):
    dimensions: Dimensions
    filesize: int
    filetype: str


class ImageSetName(BaseModel):
    imageset_id: int
    title: str


class Location(BaseModel):
    description: str | None
    lat: float | None
    lon: float | None


class Image(BaseModel):
    blobstorage_path: str
    date_taken: str | None
    file: File
    image_id: int
    imageset: ImageSetName
    location: Location
    metadata: dict[str, Any] | None
    tss_id: str | None
    type: str | None


class Images(BaseModel):
    images: list[Image]
    pagination: Pagination


class ImageOfSet(Image):
    file_name: str


class ImagesOfSet(BaseModel):
    images: list[ImageOfSet]
    pagination: Pagination


class Progress(BaseModel):
    done: int
    total: int
    skipped: int = Field(default=0, description="Of `done`; only in campaigns whose images may be skipped.")


class Campaign(BaseModel):
    campaign_id: int
    created_by: str
    date_completed: str | None
    date_created: str
    date_finished: str | None
    date_started: str | None
    label_translations: dict[str, dict[str, str]] | None
    metadata: dict[str, Any] | None
    progress: Progress
    status: Literal["created", "active", "completed", "finished"]
    title: str
    labels: list[str] = Field(default=[], description="Absent: any label may be given.")
    instructions: str = Field(default="", description="Absent when none were given.")
    label_schema: list[LabelFields] = Field(default=[], description="Absent in campaigns that have names only.")
    allow_skip: bool = Field(default=False, description="Whether labelers may skip images; absent when they may not.")
    labels_csv_url: str = Field(default="", description="A signed URL; there once the campaign is finished.")
    unanswered_notes: int = Field(
        default=0,
        description="Notes of labelers without an answer; in GET /campaigns/{id} only, and absent without any.",
    )


class AccessToken(BaseModel):
    apikey: str
    apisecret: str | None


class NewCampaign(Campaign):
    access_token: AccessToken


class Campaigns(BaseModel):
    campaigns: list[Campaign]
    pagination: Pagination


class CampaignImage(BaseModel):
    done: bool
    image_id: int
    url: str
    reopened: str = Field(default="", description="Why it was reopened; only there until it is submitted again.")


class CampaignImages(BaseModel):
    images: list[CampaignImage]
    pagination: Pagination


class LabeledImage(BaseModel):
    image_id: int
    file_name: str
    width: int
    height: int
    objects: list[Object]
    date_labeled: str
    labeled_by: str
    skipped: str = Field(default="", description="The labeler's reason; only in images that were skipped.")


class CampaignObjects(BaseModel):
    images: list[LabeledImage]
    pagination: Pagination


class PredictedImage(BaseModel):
    image_id: int
    date_predicted: str
    objects: list[PredictedObject]


class CampaignPredictions(BaseModel):
    images: list[PredictedImage]
    pagination: Pagination


class ImageLimits(BaseModel):
    image_bytes: int
    image_pixels: int
    image_pixels_by_format: dict[str, int] = Field(description="Where a format needs more memory to be decoded.")
    decoding_bytes: int = Field(description="Of memory in which one image is decoded.")
    formats: list[str]


class Health(BaseModel):
    status: Literal["ok"]
    version: str
    features: list[str] = Field(description="Optional parts of this API that the server has.")
    limits: ImageLimits = Field(description="Of images that are uploaded: beyond them an image is left out of its set.")
