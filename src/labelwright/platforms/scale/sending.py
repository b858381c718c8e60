"""Creates Scale's tasks for images, each once: checks the images, attaches them by URL or upload, finds duplicates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from labelwright.domain import Image
from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import ImageToSend

from .attachments import STORED, attachments_in, describe_attachments, same_attachments
from .client import ScaleClient
from .errors import Duplicate
from .models import CAMPAIGN, DEAD, FILE, HEIGHT, SHA256, WIDTH, metadata_of, status_of, unique_id
from .order import TaskOrder

NAME = "scale"
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
}
LARGEST_SIDE = 10_000
LARGEST_FILE = 80_000_000
"""Bytes of an uploaded file. These three limits are from Scale's reference."""
_REFERENCES = 5
_UPLOADS = 8

Attachments = Literal["auto", "url", "upload"]


@dataclass(frozen=True, slots=True)
class Sender:
    """Creates the tasks of one batch, several in parallel."""

    client: ScaleClient
    campaign: str
    order: TaskOrder
    attachments: Attachments
    threads: int

    def send(self, images: Sequence[ImageToSend]) -> list[tuple[str, str]]:
        """Creates a task for each image or finds the existing one. Returns image names and task ids. Idempotent.

        A transport error does not stop the other images; failed ones are retried after them. A task whose response was
        lost is found by its unique_id. Errors that remain are raised at the end, a refusal at once.
        """
        self._check_images(images)
        return self._map_images(images, self.create_or_find)

    def send_again(self, images: Sequence[ImageToSend]) -> list[tuple[str, str]]:
        """Like `send`, but replaces tasks that ended without labels."""
        self._check_images(images)
        return self._map_images(images, self._replace)

    def create_or_find(self, item: ImageToSend) -> str:
        try:
            return self._create(item)
        except Duplicate as duplicate:
            existing = self.find(item.image.name)
            if existing is None:  # its id was cleared just now, or the task belongs to the other key mode
                raise PlatformUnavailable(
                    NAME, duplicate.operation, status=409, message=duplicate.message, advice="Try again."
                ) from None
            self._refuse_other_image(item, existing)
            return existing.id("task_id")

    def _refuse_other_image(self, item: ImageToSend, task: Fields) -> None:
        """Raises PlatformRefused (409) for a task that has the image's unique_id and shows another image: this image
        would get the other one's labels.

        Images sent by URL are compared by URL. Uploads get a new URL each in Scale's store, so they are compared by the
        SHA-256 in the task's metadata; tasks of earlier versions only have the size.
        """
        params, metadata = task.json.get("params"), metadata_of(task.json)
        url = item.url.value if item.url is not None and self._sent_by_url(item) else ""
        task_urls = attachments_in(params)
        if url and task_urls and not task_urls[0].startswith(STORED):
            same = same_attachments({"attachment": url}, params)
        elif metadata.get(SHA256) is not None:
            same = metadata[SHA256] == item.image.sha256
        else:
            stored = all(address.startswith(STORED) for address in task_urls)
            size = (item.image.size.width, item.image.size.height)
            same = stored and (metadata.get(WIDTH), metadata.get(HEIGHT)) == size
        if not same:
            expected = f"{item.image.name} (SHA-256 {item.image.sha256[:12]}...)"
            if url:
                expected = describe_attachments({"attachment": url})
            message = f"task {task.json.get('task_id')} has its unique_id and shows {describe_attachments(params)}"
            message += f", not {expected}"
            advice = "Give the campaign another title, or clear the unique_id of that task: nothing was billed."
            operation = f"create the task of image '{item.image.name}'"
            raise PlatformRefused(NAME, operation, status=409, message=message, advice=advice) from None

    def _replace(self, item: ImageToSend) -> str:
        existing = self.find(item.image.name)
        if existing is not None and status_of(existing) not in DEAD:
            return existing.id("task_id")
        if existing is None:
            return self.create_or_find(item)
        dead, unique = existing.id("task_id"), unique_id(self.campaign, item.image.name)
        self.client.clear_unique_id(dead)
        refusal: PlatformRefused | None = None
        try:
            return self.create_or_find(item)
        except PlatformRefused as refused:
            refusal = refused
        with suppress(PlatformError):  # so that the image still counts as failed, not as deleted
            self.client.set_unique_id(dead, unique)
        raise refusal

    def _create(self, item: ImageToSend) -> str:
        image, operation = item.image, f"create the task of image '{item.image.name}'"
        metadata = {FILE: image.name, CAMPAIGN: self.campaign, WIDTH: image.size.width, HEIGHT: image.size.height}
        metadata[SHA256] = image.sha256
        task = self.client.create_task(
            self.order.type,
            unique_id=unique_id(self.campaign, image.name),
            batch=self.campaign,
            attachment=self._attachment(item),
            metadata=metadata,
            **self.order.body,
        )
        return Fields(NAME, operation, task).id("task_id")

    def find(self, name: str) -> Fields | None:
        """Returns the task with the image's unique_id. Raises PlatformRefused (409) when another batch has it."""
        operation, unique = f"find the task of image '{name}'", unique_id(self.campaign, name)
        for number, doc in enumerate(self.client.tasks(unique_id=unique, limit=100).docs):
            task = Fields(NAME, operation, doc, f"docs[{number}]")
            if not self._is_task_of(task, unique, name):
                continue
            batch = task.json.get("batch")
            if batch not in (None, self.campaign):
                message = f"the unique_id '{unique}' is taken by a task of batch '{batch}'"
                advice = "Give the campaign another title: nothing was billed."
                raise PlatformRefused(NAME, operation, status=409, message=message, advice=advice)
            return task
        return None

    def _is_task_of(self, task: Fields, unique: str, name: str) -> bool:
        """Whether the task is the image's. A server that ignores the filter would list other tasks too.

        A task without unique_id in the listing is recognized by its metadata.
        """
        listed_id, metadata = task.json.get("unique_id"), metadata_of(task.json)
        if listed_id is not None:
            return bool(listed_id == unique)
        return (metadata.get(FILE), metadata.get(CAMPAIGN)) == (name, self.campaign)

    # Attachments

    def _attachment(self, item: ImageToSend) -> str:
        """A URL that Scale can read: the image's own, a signed one, or one in Scale's store."""
        if item.url is not None and self._sent_by_url(item):
            return item.url.value
        return self._upload(item)

    def _sent_by_url(self, item: ImageToSend) -> bool:
        return self.attachments != "upload" and item.url is not None

    def _upload(self, item: ImageToSend) -> str:
        """Uploads the file into Scale's store and returns its URL. Files are not billed, and Scale removes unused ones.

        The reference makes the upload unique, but a refused duplicate does not return the first upload's URL: unless
        the image's task exists by then, the file is uploaded again under the next reference.
        """
        image, operation = item.image, f"upload image '{item.image.name}'"
        with item.open() as file:
            data = file.read()
        unique = unique_id(self.campaign, image.name)
        for number in range(1, _REFERENCES + 1):
            reference = sha256(f"{unique}\n{image.sha256}\n{number}".encode()).hexdigest()
            fields = {"project_name": self.order.project, "display_name": image.name, "reference_id": reference}
            try:
                response = self.client.upload_file(data, image.name, media_type=MEDIA_TYPES[image.format], **fields)
            except Duplicate:
                existing = self.find(image.name)
                if existing is not None and status_of(existing) not in DEAD:
                    raise  # an earlier try created the task: the caller finds it
                continue
            return Fields(NAME, operation, response).text("attachment_url")
        message = f"the file was uploaded {_REFERENCES} times without a response"
        advice = "Ask Scale, or give the image a URL."
        raise PlatformRefused(NAME, operation, status=409, message=message, advice=advice)

    def _check_images(self, images: Sequence[ImageToSend]) -> None:
        """Raises PlatformRefused for images that Scale does not accept, before the first task is created."""
        faults = [(item.image.name, fault) for item in images if (fault := self._fault(item))]
        if faults:
            examples = "; ".join(f"{name} {fault}" for name, fault in faults[:5])
            message = f"Scale does not accept {len(faults)} of the images: {examples}"
            advice = "Leave them out (exclude, max_megabytes, max_megapixels), or convert them."
            raise PlatformRefused(NAME, f"send images into '{self.campaign}'", message=message, advice=advice)

    def _fault(self, item: ImageToSend) -> str:
        image: Image = item.image
        if image.format not in MEDIA_TYPES:
            return f"is {image.format}"
        if max(image.size.width, image.size.height) > LARGEST_SIDE:
            return f"has {image.size.width} x {image.size.height} pixels; the limit is {LARGEST_SIDE} per side"
        if self._sent_by_url(item):
            return ""
        if self.attachments == "url":
            return "has no URL that Scale can read, and the option 'attachments' is url"
        return f"has {image.bytes:,} bytes; the limit is {LARGEST_FILE:,}" if image.bytes > LARGEST_FILE else ""

    # Threads

    def _map_images(self, images: Sequence[ImageToSend], work: Callable[[ImageToSend], str]) -> list[tuple[str, str]]:
        # Uploads are held in memory.
        threads = self.threads if all(map(self._sent_by_url, images)) else min(self.threads, _UPLOADS)
        return for_each(lambda item: (item.image.name, work(item)), images, threads)
