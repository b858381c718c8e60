"""Images on their way to Scale: what it takes, where it gets them from, and tasks that are made once."""

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

from .attachments import STORED, attachments_in, same_attachments, shown
from .client import ScaleClient
from .errors import Duplicate
from .models import CAMPAIGN, DEAD, FILE, HEIGHT, SHA256, WIDTH, status_of, unique_id
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
"""Of an uploaded file, in bytes. All three from Scale's reference."""
_REFERENCES = 5
_UPLOADS = 8

Attachments = Literal["auto", "url", "upload"]


@dataclass(frozen=True, slots=True)
class Sender:
    """Makes the tasks of one batch, several at once."""

    client: ScaleClient
    campaign: str
    order: TaskOrder
    attachments: Attachments
    threads: int

    def send(self, images: Sequence[ImageToSend]) -> list[tuple[str, str]]:
        """A task for each image, or the one that is there already. Answers names and task ids.

        Transport errors cost one task: the others are made, then those that failed are tried again, and a task whose
        response was lost is found by its unique_id. What is left is raised at the end, a refusal at once.
        """
        self.refuse_what_scale_does_not_take(images)
        return self.side_by_side(images, self.make_or_find)

    def send_again(self, images: Sequence[ImageToSend]) -> list[tuple[str, str]]:
        """The same, with new tasks in place of those that ended without labels."""
        self.refuse_what_scale_does_not_take(images)
        return self.side_by_side(images, self.replace)

    def make_or_find(self, one: ImageToSend) -> str:
        try:
            return self.make(one)
        except Duplicate as duplicate:
            found = self.find(one.image.name)
            if found is None:  # freed just now, or of the other kind of key
                raise PlatformUnavailable(
                    NAME, duplicate.operation, status=409, message=duplicate.message, advice="Try again."
                ) from None
            self.refuse_another_image(one, found)
            return found.id("task_id")

    def refuse_another_image(self, one: ImageToSend, task: Fields) -> None:
        """Raises PlatformRefused (409) for a task that bears the image's unique_id and shows something else: its labels
        would be put on this image.

        Addresses are compared where the image goes by one. Each upload has an address of its own in Scale's store, so
        there the SHA-256 is compared that the task's metadata has; tasks of earlier versions have only its size.
        """
        params, metadata = task.json.get("params"), task.json.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        ours = one.url.value if one.url is not None and self.by_url(one) else ""
        theirs = attachments_in(params)
        if ours and theirs and not theirs[0].startswith(STORED):
            same = same_attachments({"attachment": ours}, params)
        elif metadata.get(SHA256) is not None:
            same = metadata[SHA256] == one.image.sha256
        else:
            stored = all(address.startswith(STORED) for address in theirs)
            size = (one.image.size.width, one.image.size.height)
            same = stored and (metadata.get(WIDTH), metadata.get(HEIGHT)) == size
        if not same:
            mine = shown({"attachment": ours}) if ours else f"{one.image.name} (SHA-256 {one.image.sha256[:12]}...)"
            told = f"task {task.json.get('task_id')} bears its unique_id and shows {shown(params)}, not {mine}"
            advice = "Give the campaign another title, or clear the unique_id of that task: nothing was billed."
            raise PlatformRefused(
                NAME, f"create the task of image '{one.image.name}'", status=409, message=told, advice=advice
            ) from None

    def replace(self, one: ImageToSend) -> str:
        found = self.find(one.image.name)
        if found is not None and status_of(found) not in DEAD:
            return found.id("task_id")
        if found is None:
            return self.make_or_find(one)
        dead, unique = found.id("task_id"), unique_id(self.campaign, one.image.name)
        self.client.clear_unique_id(dead)
        refusal: PlatformRefused | None = None
        try:
            return self.make_or_find(one)
        except PlatformRefused as refused:
            refusal = refused
        with suppress(PlatformError):  # as it was: the image counts as failed, not as gone
            self.client.set_unique_id(dead, unique)
        raise refusal

    def make(self, one: ImageToSend) -> str:
        image, operation = one.image, f"create the task of image '{one.image.name}'"
        metadata = {FILE: image.name, CAMPAIGN: self.campaign, WIDTH: image.size.width, HEIGHT: image.size.height}
        metadata[SHA256] = image.sha256
        task = self.client.create_task(
            self.order.type,
            unique_id=unique_id(self.campaign, image.name),
            batch=self.campaign,
            attachment=self.attachment(one),
            metadata=metadata,
            **self.order.body,
        )
        return Fields(NAME, operation, task).id("task_id")

    def find(self, name: str) -> Fields | None:
        """The task that bears the image's unique_id. Raises PlatformRefused (409) when it is of another batch."""
        operation, unique = f"find the task of image '{name}'", unique_id(self.campaign, name)
        for number, doc in enumerate(self.client.tasks(unique_id=unique, limit=100).docs):
            task = Fields(NAME, operation, doc, f"docs[{number}]")
            if not self._bears(task, unique, name):
                continue
            batch = task.json.get("batch")
            if batch not in (None, self.campaign):
                told = f"the unique_id '{unique}' is taken by a task of batch '{batch}'"
                raise PlatformRefused(
                    NAME,
                    operation,
                    status=409,
                    message=told,
                    advice="Give the campaign another title: nothing was billed.",
                )
            return task
        return None

    def _bears(self, task: Fields, unique: str, name: str) -> bool:
        """Whether it is the task that was asked for. One whose unique_id the listing leaves out is known by what it
        says of its image: a server that does not heed the filter would have us adopt any other."""
        told, metadata = task.json.get("unique_id"), task.json.get("metadata")
        if told is not None:
            return bool(told == unique)
        return isinstance(metadata, dict) and (metadata.get(FILE), metadata.get(CAMPAIGN)) == (name, self.campaign)

    # Attachments

    def attachment(self, one: ImageToSend) -> str:
        """An address that Scale can read: the image's own, a signed one, or one in Scale's store."""
        if one.url is not None and self.by_url(one):
            return one.url.value
        return self.upload(one)

    def by_url(self, one: ImageToSend) -> bool:
        return self.attachments != "upload" and one.url is not None

    def upload(self, one: ImageToSend) -> str:
        """Files are not billed, so one too many does no harm; it is left to Scale, which removes unused ones. The
        reference makes each upload the only one of its kind, but its repetition does not tell what the first gave:
        when the task is not there either, the file is sent once more under the next reference."""
        image, operation = one.image, f"upload image '{one.image.name}'"
        with one.open() as file:
            data = file.read()
        unique = unique_id(self.campaign, image.name)
        for number in range(1, _REFERENCES + 1):
            reference = sha256(f"{unique}\n{image.sha256}\n{number}".encode()).hexdigest()
            fields = {"project_name": self.order.project, "display_name": image.name, "reference_id": reference}
            try:
                answer = self.client.upload_file(data, image.name, media_type=MEDIA_TYPES[image.format], **fields)
            except Duplicate:
                found = self.find(image.name)
                if found is not None and status_of(found) not in DEAD:
                    raise  # an earlier try got as far as the task: whoever called looks for it
                continue
            return Fields(NAME, operation, answer).text("attachment_url")
        told = f"its file was sent {_REFERENCES} times and no answer came through"
        raise PlatformRefused(
            NAME, operation, status=409, message=told, advice="Ask Scale, or give the image an address."
        )

    def refuse_what_scale_does_not_take(self, images: Sequence[ImageToSend]) -> None:
        """Before the first task is made. Raises PlatformRefused with the images."""
        faults = [(one.image.name, fault) for one in images if (fault := self._fault(one))]
        if faults:
            shown = "; ".join(f"{name} {fault}" for name, fault in faults[:5])
            told = f"{len(faults)} images are such as Scale does not take: {shown}"
            advice = "Leave them out (exclude, max_megabytes, max_megapixels), or convert them."
            raise PlatformRefused(NAME, f"send images into '{self.campaign}'", message=told, advice=advice)

    def _fault(self, one: ImageToSend) -> str:
        image: Image = one.image
        if image.format not in MEDIA_TYPES:
            return f"is {image.format}"
        if max(image.size.width, image.size.height) > LARGEST_SIDE:
            return f"has {image.size.width} x {image.size.height} pixels, and {LARGEST_SIDE} a side is the most"
        if self.by_url(one):
            return ""
        if self.attachments == "url":
            return "has no address that Scale could read, and attachments are to go by url"
        return f"has {image.bytes:,} bytes, and {LARGEST_FILE:,} can be uploaded" if image.bytes > LARGEST_FILE else ""

    # Threads

    def side_by_side(self, images: Sequence[ImageToSend], work: Callable[[ImageToSend], str]) -> list[tuple[str, str]]:
        # An upload is held in memory as a whole.
        threads = self.threads if all(map(self.by_url, images)) else min(self.threads, _UPLOADS)
        return for_each(lambda one: (one.image.name, work(one)), images, threads)
