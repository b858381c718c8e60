"""Adapter for Remo 0.3 (the user's document; 0.3.29 measured) and for 0.4.25 and later (0.6.1 measured).

A campaign is a dataset of that title with one annotation set. Its id joins the ids of both, as in `3-2`. Until the
campaign is activated, the annotation set's name ends in `NOT_OPEN`. Remo has neither labelers nor instructions: every
user of the server can label. docs/remo.md lists what each call returns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from labelwright.domain import (
    Annotation,
    Box,
    Geometry,
    ImageState,
    LabeledImage,
    LabelSchema,
    Mask,
    MultiPolygon,
    Polygon,
    Shape,
)
from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.protocol import (
    CampaignOrder,
    ChangesCampaigns,
    DeletesCampaigns,
    FindsDeletedImages,
    ImageToSend,
    LabelerAccess,
    LabelsPage,
    ListsLabels,
    ListsUnlabeledImages,
    Platform,
    PlatformLabels,
    RecallsImages,
    RemoteBatch,
    RemoteCampaign,
    RemoteImage,
    RemoteState,
    ReopensImages,
    Secret,
    SetState,
    ShowsCampaigns,
    TakesImages,
    TakesPredictions,
    UnlabeledImage,
)
from labelwright.platforms.shape_notices import ShapeNotices

from .calls import RemoCalls
from .exif_orientation import to_upload, why_not
from .labels import Reading, read
from .models import ImageStatus, RemoAnnotationSet, RemoDataset, RemoUpload, Task
from .names import Spelling, class_name, file_name, our_name, refuse_what_looks_alike
from .session import NAME, RemoSession, shared_session
from .uploads import RemoUploads

if TYPE_CHECKING:
    from labelwright.platforms.entry import Connection

NOT_OPEN = " (not open yet)"
"""Suffix of the annotation set's name until the campaign is activated."""
SEVERAL_PARTS = "an object of several parts or with holes is no shape of Remo's"
_READINGS = 4
"""Number of exports kept on disk at a time while their pages are read."""


class Options(BaseModel):
    """Options of a Remo campaign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Task | None = Field(
        None, title="What is annotated", description="By default what the geometry of the labels calls for."
    )
    timeout_seconds: float = Field(60.0, gt=0, le=600, title="Seconds to wait for the next bytes of a response")
    connect_seconds: float = Field(5.0, gt=0, le=600, title="Seconds to wait for a connection")
    patience_seconds: float = Field(60.0, ge=0, le=600, title="Longest Retry-After that is waited out at once")
    work_seconds: float = Field(
        3600.0, gt=0, le=86_400, title="Seconds that the server may take for an export or a part of an upload"
    )
    page_size: int = Field(500, ge=1, le=5000, title="Images or other items in one response")
    watch_days: float = Field(30.0, ge=0, title="Days after the export during which sweeps check for reopened images")


def connect(connection: Connection) -> Remo:
    """Returns the adapter for a connection. Adapters of the same server and user share one session.

    The key is an e-mail address and the secret its password, or the key is empty and the secret a token.
    """
    options = Options.model_validate(dict(connection.options))
    session = shared_session(
        connection.url,
        connection.key,
        connection.secret or Secret(""),
        timeout=(options.connect_seconds, options.timeout_seconds),
        patience=options.patience_seconds,
        seconds=options.work_seconds,
    )
    return Remo(
        session,
        task=options.task,
        page_size=options.page_size,
        labels=connection.labels,
        watch_days=options.watch_days,
    )


class Remo(
    RemoCalls,
    RemoUploads,
    Platform,
    TakesImages,
    FindsDeletedImages,
    ListsLabels,
    ListsUnlabeledImages,
    ChangesCampaigns,
    RecallsImages,
    ReopensImages,
    DeletesCampaigns,
    ShowsCampaigns,
    TakesPredictions,
):
    """Campaigns as annotation sets of one server, and every call of Remo's document.

    RecallsImages, because an image may be set back to not annotated.

    `labels` are the campaign's label names, because Remo changes their case. By default those with which this process
    created the campaign.
    """

    name = NAME

    def __init__(
        self,
        session: RemoSession,
        *,
        task: Task | None = None,
        page_size: int = 500,
        labels: Iterable[str] = (),
        watch_days: float = 30.0,
    ) -> None:
        RemoCalls.__init__(self, session, page_size)
        self._task, self._labels, self._watch_days = task, tuple(labels), watch_days

    def __repr__(self) -> str:
        return f"Remo({self.session.base_url!r})"

    # Platform

    def check(self) -> str:
        next(self.list_datasets(limit=1), None)
        return f"Remo {self.session.server().version} at {self.session.base_url}"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        dataset = self._dataset(title)
        return None if dataset is None else self._campaign_in(dataset, title)

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        operation = f"create campaign '{order.title}'"
        task = self._task or task_for(order.labels, operation)
        refuse_what_looks_alike(operation, order.labels.names)
        dataset = self._dataset(order.title) or self.make_dataset(order.title)
        existing = self._campaign_in(dataset, order.title)
        if existing is None:
            if dataset.images or any(True for _ in self.list_annotation_sets(dataset.id, limit=1)):
                message = f"dataset {dataset.id} has that name, and it is no campaign of ours"
                raise PlatformRefused(NAME, operation, status=409, message=message, advice="Choose another title.")
            name = order.title + NOT_OPEN
            annotation_set = self.create_annotation_set(
                dataset.id, name, task, list(map(class_name, order.labels.names))
            )
            existing = RemoteCampaign(f"{dataset.id}-{annotation_set.id}", order.title, RemoteState.CREATED, 0, 0)
        self.session.memory["labels", existing.id] = order.labels.names
        return existing

    def activate_campaign(self, campaign: str) -> None:
        annotation_set = self._set(campaign, f"activate campaign {campaign}")
        if annotation_set.name.endswith(NOT_OPEN):
            self.rename_annotation_set(annotation_set.id, annotation_set.name.removesuffix(NOT_OPEN))

    def read_campaign(self, campaign: str) -> RemoteCampaign:
        return _campaign(campaign, self._set(campaign, f"read campaign {campaign}"))

    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        dataset, annotation_set = _ids(campaign, f"read the labels of campaign {campaign}")
        first = int(cursor) if cursor and cursor.isdecimal() else 0
        reading = self._reading(dataset, annotation_set, anew=first == 0)
        notices = ShapeNotices()
        images, excluded, more = reading.page(first, self.page_size, self._spelling(campaign), notices)
        read = first + len(images) + len(excluded)
        return LabelsPage(images, str(read) if more else None, notices.checked(), excluded)

    # Images

    def batch_size(self) -> int | None:
        return None

    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        dataset, _ = _ids(campaign, f"list the images of campaign {campaign}")
        return (replace(image, name=our_name(image.name)) for image in self.list_images(dataset))

    def send_images(self, campaign: str, batch: int, images: Sequence[ImageToSend]) -> None:
        dataset, _ = _ids(campaign, f"send images into campaign {campaign}")
        reasons = [(image.image.name, why_not(image)) for image in images]
        left_out = [(name, reason) for name, reason in reasons if reason]
        sent = [image for image in images if why_not(image) is None]
        upload = self.upload_files(dataset, map(to_upload, sent))
        left_out += _named_in(upload, [file_name(item.image.name, item.image.format) for item in sent])
        left_out += [(our_name(name), reason) for name, reason in upload.left_out if name and upload.session]
        self.session.memory["batch", campaign, str(batch)] = (upload, tuple(left_out))

    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        # Remo has no batches. The process that sent one remembers its upload; any other process checks all uploads.
        dataset, _ = _ids(campaign, f"read batch {batch} of campaign {campaign}")
        remembered: tuple[RemoUpload, tuple[tuple[str, str], ...]] | None
        remembered = self.session.memory.get(("batch", campaign, str(batch)))
        upload, left_out = remembered or (None, ())
        if upload is not None and upload.session is None:
            return _batch(upload, left_out)
        if upload is not None and upload.session is not None:
            return _batch(self.read_upload(upload.session), left_out)
        if not self.session.server().uploads_in_sessions:
            return RemoteBatch(SetState.FINISHED)
        if self.is_busy(dataset):
            return RemoteBatch(SetState.FINISHING)
        return RemoteBatch(SetState.FINISHED, self._left_out(dataset))

    def _left_out(self, dataset: str) -> tuple[tuple[str, str], ...]:
        """Returns name and reason of each file that an upload into the dataset left out and that is still missing."""
        reasons = {
            our_name(name): why for upload in self.list_uploads(dataset, active=False) for name, why in upload.left_out
        }
        if reasons:
            for image in self.list_images(dataset):
                reasons.pop(our_name(image.name), None)
        return tuple(reasons.items())

    # Optional capabilities

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        """Returns the reason by image id.

        Remo has no call for a single image. Its list of images is used only if it is as long as the dataset's count.
        """
        operation = f"look for deleted images of campaign {campaign}"
        dataset, _ = _ids(campaign, operation)
        existing = {image.id for image in self.list_images(dataset)}
        if len(existing) != self._set(campaign, operation).total:
            return {}
        return {image: f"deleted from dataset {dataset} in Remo" for image in images if image not in existing}

    def list_unlabeled_images(self, campaign: str) -> Iterator[UnlabeledImage]:
        """Objects on such an image may be predictions, so that they do not tell whether somebody began it."""
        dataset, annotation_set = _ids(campaign, f"list the unlabeled images of campaign {campaign}")
        labeled = self._reading(dataset, annotation_set, anew=True).ids()
        for image in self.list_images(dataset):
            if image.id not in labeled:
                name, where = our_name(image.name), f"image {image.id} of dataset {dataset}"
                yield UnlabeledImage(image.id, name, ImageState.NOT_LABELED, where)

    def list_labels(self, campaign: str) -> PlatformLabels:
        _, annotation_set = _ids(campaign, f"list the labels of campaign {campaign}")
        spelling = self._spelling(campaign)
        return PlatformLabels(
            tuple(spelling(label_class.name) for label_class in self.read_annotation_set(annotation_set).classes)
        )

    def change_campaign(self, campaign: str, order: CampaignOrder) -> LabelerAccess | None:
        """Adds the classes that are missing. Everything else in an order, Remo does not have."""
        operation = f"change campaign {campaign}"
        _, annotation_set = _ids(campaign, operation)
        refuse_what_looks_alike(operation, order.labels.names)
        current = self.read_annotation_set(annotation_set)
        task = self._task or task_for(order.labels, operation)
        if current.task != task:
            message = f"its annotation set is for {current.task.lower()}, and the labels would need {task.lower()}"
            advice = "An annotation set keeps its task: launch these labels as a campaign of their own."
            raise PlatformRefused(NAME, operation, message=message, advice=advice)
        existing = {class_name(label_class.name) for label_class in current.classes}
        for name in map(class_name, order.labels.names):
            if name not in existing:
                self.add_class(annotation_set, name)
        self.session.memory["labels", campaign] = order.labels.names
        return None

    def recall_days(self) -> float:
        return self._watch_days

    def reopen_images(self, campaign: str, reasons: Mapping[str, str], call_id: str) -> str:
        """Sets images to not annotated; their objects stay."""
        dataset, annotation_set = _ids(campaign, f"reopen images of campaign {campaign}")
        for_each(
            lambda image: self.set_image_status(dataset, annotation_set, image, ImageStatus.NOT_ANNOTATED),
            list(reasons),
            1,
        )
        return "Remo does not show reasons to labelers: send them the list" if any(reasons.values()) else ""

    def delete_campaign(self, campaign: str) -> None:
        self.delete_dataset(_ids(campaign, f"delete campaign {campaign}")[0])

    def campaign_page(self, campaign: str) -> str:
        return f"{self.session.base_url}/datasets/{_ids(campaign, 'show a campaign')[0]}"

    def put_predictions(self, campaign: str, images: Sequence[LabeledImage]) -> None:
        for_each(lambda image: self._save(campaign, image, ImageStatus.NOT_ANNOTATED), images, 1)

    def cannot_be_drawn(self, shape: Shape) -> str:
        """Returns why Remo cannot show a shape, or an empty text."""
        return SEVERAL_PARTS if isinstance(shape, Mask | MultiPolygon) else ""

    def save_labels(self, campaign: str, image: LabeledImage) -> None:
        """Saves the labels of an image (by its `remote_id`) as a labeler does. The image is then done."""
        self._save(campaign, image, ImageStatus.DONE)

    def _save(self, campaign: str, image: LabeledImage, status: ImageStatus) -> None:
        operation = f"save labels of image {image.remote_id}"
        dataset, annotation_set = _ids(campaign, operation)
        self.save_annotation(dataset, annotation_set, image.remote_id, to_cvat_shapes(image, status, operation))
        if status is not ImageStatus.NOT_ANNOTATED and self.session.server().uploads_in_sessions:
            self.set_image_status(dataset, annotation_set, image.remote_id, status)

    # Lookup

    def _dataset(self, title: str) -> RemoDataset | None:
        """Returns the writable dataset of that title. Raises PlatformRefused for several, or an archived one."""
        operation = f"find campaign '{title}'"
        matches = [dataset for dataset in self.list_datasets() if dataset.name == title and dataset.ours]
        active = [dataset for dataset in matches if not dataset.archived]
        if len(active) > 1:
            message = (
                f"there are {len(active)} datasets of that title: {', '.join(dataset.id for dataset in active[:10])}"
            )
            raise PlatformRefused(NAME, operation, status=200, message=message, advice="Rename all but one.")
        if matches and not active:
            message = f"dataset {matches[0].id} of that title is archived"
            raise PlatformRefused(NAME, operation, status=200, message=message, advice="Restore it, or rename it.")
        return active[0] if active else None

    def _campaign_in(self, dataset: RemoDataset, title: str) -> RemoteCampaign | None:
        for annotation_set in self.list_annotation_sets(dataset.id):
            if annotation_set.name in (title, title + NOT_OPEN):
                return _campaign(f"{dataset.id}-{annotation_set.id}", annotation_set)
        return None

    def _set(self, campaign: str, operation: str) -> RemoAnnotationSet:
        dataset, annotation_set = _ids(campaign, operation)
        for candidate in self.list_annotation_sets(dataset):
            if candidate.id == annotation_set:
                return candidate
        raise NotFound(NAME, operation, status=404, message=f"dataset {dataset} has no annotation set {annotation_set}")

    def _reading(self, dataset: str, annotation_set: str, *, anew: bool) -> Reading:
        memory, place = self.session.memory, ("labels on disk", dataset, annotation_set)
        if anew or place not in memory:
            memory.pop(place, None)
            memory[place] = read(self, dataset, annotation_set)
            kept = [key for key in list(memory) if key[0] == place[0]]
            for key in kept[:-_READINGS]:
                memory.pop(key, None)
        reading: Reading = memory[place]
        return reading

    def _spelling(self, campaign: str) -> Spelling:
        return Spelling(self._labels or self.session.memory.get(("labels", campaign), ()))


def task_for(labels: LabelSchema, operation: str) -> Task:
    """Returns the task in which all labels can be drawn. Raises PlatformRefused when there is none."""
    geometries = {label.geometry for label in labels} - {Geometry.ANY}
    if geometries == {Geometry.BOX}:
        return Task.DETECTION
    if geometries <= {Geometry.POLYGON}:  # polygons or any geometry: a polygon can be a box
        return Task.SEGMENTATION
    if geometries == {Geometry.IMAGE} and not any(label.geometry is Geometry.ANY for label in labels):
        return Task.CLASSIFICATION
    message = f"the labels need {', '.join(sorted(geometries))} at once, and an annotation set in Remo has one of them"
    raise PlatformRefused(NAME, operation, message=message, advice="Make a campaign for each.")


def to_cvat_shapes(image: LabeledImage, status: ImageStatus, operation: str) -> dict[str, Any]:
    """Returns labels in Remo's format: whole pixels, two corners of a box, every corner of a polygon."""
    objects: list[dict[str, Any]] = []
    classes: list[dict[str, str]] = []
    for annotation in image.annotations:
        label_class = {"name": class_name(annotation.label)}
        if isinstance(annotation.shape, Mask | MultiPolygon):
            raise PlatformRefused(
                NAME, operation, message=SEVERAL_PARTS, advice="Give each part an outline of its own."
            )
        corners = _corners(annotation)
        if corners:
            points = [{"x": round(x), "y": round(y)} for x, y in corners]
            objects.append({"name": f"OBJ {len(objects) + 1}", "classes": [label_class], "coordinates": points})
        else:
            classes.append(label_class)
    if objects and classes:
        message = "an image has objects and labels of the whole image, and an annotation set in Remo has one of them"
        raise PlatformRefused(NAME, operation, message=message, advice="Leave one of them out.")
    return {"objects": objects, "classes": classes, "status": str(status)}


def _corners(annotation: Annotation) -> tuple[tuple[float, float], ...]:
    shape = annotation.shape
    if isinstance(shape, Box):
        return (shape.xmin, shape.ymin), (shape.xmax, shape.ymax)
    return shape.points if isinstance(shape, Polygon) else ()


def _campaign(campaign: str, annotation_set: RemoAnnotationSet) -> RemoteCampaign:
    state = RemoteState.COMPLETED if annotation_set.complete else RemoteState.ACTIVE
    if annotation_set.name.endswith(NOT_OPEN):
        state = RemoteState.CREATED
    title = annotation_set.name.removesuffix(NOT_OPEN)
    return RemoteCampaign(
        campaign, title, state, annotation_set.looked_at, annotation_set.total, skipped=annotation_set.skipped
    )


def _batch(upload: RemoUpload, left_out: Sequence[tuple[str, str]]) -> RemoteBatch:
    if not upload.over:
        state = SetState.FINISHING if upload.running else SetState.CREATED
        return RemoteBatch(state, message=upload.message)
    rejected = (*left_out, *((our_name(name), reason) for name, reason in upload.left_out if name))
    message = "; ".join(filter(None, (upload.message, *(reason for name, reason in upload.left_out if not name))))
    failed = upload.state == "failed" and not upload.added and bool(message)
    return RemoteBatch(SetState.FAILED if failed else SetState.FINISHED, tuple(dict(rejected).items()), message)


def _named_in(upload: RemoUpload, sent: Sequence[str]) -> list[tuple[str, str]]:
    """Returns name and reason of files that 0.3 left out: `Failed to upload image a.jpg, error: ...`."""
    sentences = [reason for name, reason in upload.left_out if not name]
    return [(our_name(name), reason) for reason in sentences for name in sent if f" {name}, " in reason]


def _ids(campaign: str, operation: str) -> tuple[str, str]:
    """Returns the ids of a campaign's dataset and annotation set. Raises NotFound for any other text."""
    match = re.fullmatch(r"(\d+)-(\d+)", campaign)
    if match is None:
        message = f"'{campaign}' is no campaign of Remo's, which look like 3-2"
        raise NotFound(NAME, operation, status=404, message=message)
    return match[1], match[2]
