"""Images and videos of a dataset, up and down, and what is said of them. Uploads are not idempotent: names may come
twice, so whoever says one again after a lost answer looks first."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.messages import Sink
from labelwright.platforms.http.multipart import Form, FormFile

from .api_versions import Page
from .models import GetiAnnotation, GetiMedium, GetiProject, GetiScene, Unit, medium_from, scene_from
from .paths import GetiReached
from .session import NAME
from .stream import objects


class GetiMedia(GetiReached):
    """The calls of media and annotations."""

    def media(
        self, project: GetiProject, kind: str = "image", dataset: str = "", size: int | None = None
    ) -> Iterator[GetiMedium]:
        """Every image or video of a dataset (default: the first), page after page. Only one is made at a time, however
        many an answer holds."""
        page: Page | None = self.dialect.first_page(self._dataset(project, dataset), kind, size or self._size)
        while page is not None:
            page = yield from self._media_of(page, kind)

    def media_after(
        self, project: GetiProject, after: str, size: int, *, kind: str = "image", dataset: str = ""
    ) -> tuple[list[GetiMedium], str]:
        """A page of a dataset from a cursor on ("" for the start), and the next page's cursor, "" at the end.

        The cursor is the path that the server gave.
        """
        page = self.dialect.first_page(self._dataset(project, dataset), kind, size)
        if after:
            page = Page(page.method, after, page.json)
        media: list[GetiMedium] = []
        pages = self._media_of(page, kind)
        while True:
            try:
                media.append(next(pages))
            except StopIteration as end:
                return media, end.value.path if end.value is not None else ""

    def _media_of(self, page: Page, kind: str) -> Generator[GetiMedium, None, Page | None]:
        """The media of a page; returns the next one. Servers give a next page even after the last (recorded): an empty
        one is the end."""
        operation, seen = f"list the {kind}s", False
        body = self.session.ask(operation, page.method, page.path, json=page.json, wanted="media")
        answer = objects(operation, body or b"{}", "media")
        while True:
            try:
                one = next(answer)
            except StopIteration as end:
                rest: Fields = end.value
                break
            seen = True
            yield medium_from(one, kind)
        following = rest.text("next_page") if seen and rest.has("next_page") else ""
        return Page(page.method, following, page.json) if following else None

    def count_images(self, project: GetiProject, state: str | None = None) -> int | None:
        """How many images the first dataset holds, or those annotated so; None where that cannot be asked in one
        request."""
        page = self.dialect.first_page(self._dataset(project, ""), "image", 1)
        if page.json is None:
            return None
        rules = list(page.json["rules"])
        if state is not None:
            rules.append({"field": "annotation_scene_state", "operator": "equal", "value": state})
        operation = "count the images"
        try:
            answer = self.session.ask(operation, page.method, page.path, json={**page.json, "rules": rules})
        except PlatformRefused as refused:
            if refused.status != 400:
                raise
            return None  # a server that cannot be asked so
        fields = Fields(NAME, operation, answer)
        return fields.whole("total_matched_images") if fields.has("total_matched_images") else None

    def upload(
        self,
        project: GetiProject,
        file_name: str,
        opener: Callable[[], BinaryIO],
        *,
        kind: str = "image",
        dataset: str = "",
        labels: list[str] | None = None,
    ) -> GetiMedium:
        """Send an image or a video; `labels` (ids) annotate an image of a classification project at once.

        Not idempotent. Raises PlatformRefused with status 400, 413 or 415 for a file that the server does not take.
        """
        fields = {"upload_info": json.dumps({"label_ids": labels})} if labels else {}
        operation = f"upload {kind} '{file_name}'"
        path = f"{self._dataset(project, dataset)}/media/{kind}s"
        form = Form(fields, [FormFile(file_name, opener)])
        return medium_from(
            Fields(NAME, operation, self.session.ask(operation, "POST", path, body=form, repeatable=False)), kind
        )

    def has_image(self, project: GetiProject, image: str, *, dataset: str = "") -> bool:
        """Whether an image of that id is there. Its thumbnail is asked for: both generations have one."""
        path = f"{self._dataset(project, dataset)}/media/images/{image}/display/thumb"
        try:
            self.session.ask(f"look for image {image}", "GET", path, wanted="media")
        except NotFound:
            return False
        return True

    def download(self, project: GetiProject, medium: GetiMedium, into: Sink, *, dataset: str = "") -> None:
        """The bytes, as they come, into a file."""
        path = (
            medium.url
            or f"{self._medium(project, medium, dataset)}/display/{'stream' if medium.type == 'video' else 'full'}"
        )
        self.session.ask(f"download {medium.type} {medium.id}", "GET", path, wanted="media", into=into)

    def download_frame(
        self, project: GetiProject, video: GetiMedium, frame: int, into: Sink, *, dataset: str = ""
    ) -> None:
        path = f"{self._medium(project, video, dataset)}/frames/{frame}/display/full"
        self.session.ask(f"download frame {frame} of video {video.id}", "GET", path, wanted="media", into=into)

    def delete_medium(self, project: GetiProject, medium: GetiMedium, *, dataset: str = "") -> None:
        """Of one that is gone it does nothing. Raises PlatformUnavailable while the project is locked."""
        self._delete(f"delete {medium.type} {medium.id}", self._medium(project, medium, dataset))

    def create_dataset(self, project: GetiProject, name: str) -> str:
        """Another dataset of a project (2.x). Answers its id."""
        operation = f"create dataset '{name}'"
        path = f"{self._of(project.id)}/datasets"
        return Fields(
            NAME, operation, self.session.ask(operation, "POST", path, json={"name": name}, repeatable=False)
        ).id("id")

    # Annotations

    def annotate(
        self,
        project: GetiProject,
        medium: GetiMedium,
        annotations: list[GetiAnnotation] | tuple[GetiAnnotation, ...],
        *,
        frame: int | None = None,
        dataset: str = "",
    ) -> GetiScene:
        """Say all that is on an image or a frame, in place of what was said before; coordinates in the server's unit.

        Saying it again does no harm.
        """
        operation = f"annotate {medium.type} {medium.id}"
        path = self._medium(project, medium, dataset)
        identifier: dict[str, Any] = {"type": "image", "image_id": medium.id}
        if frame is not None:
            path += f"/frames/{frame}"
            identifier = {"type": "video_frame", "video_id": medium.id, "frame_index": frame}
        if self.unit is Unit.PIXELS:
            annotations = [replace(one, shape=one.shape.inside(medium.width, medium.height)) for one in annotations]
        body = {"media_identifier": identifier, "annotations": [one.json() for one in annotations]}
        answer = self.session.ask(operation, "POST", f"{path}/annotations", json=body)
        return (
            scene_from(Fields(NAME, operation, answer), self.unit) if answer is not None else GetiScene((), self.unit)
        )

    def scene(
        self,
        project: GetiProject,
        medium: GetiMedium,
        *,
        frame: int | None = None,
        dataset: str = "",
        lenient: bool = False,
    ) -> GetiScene | None:
        """What was said last of an image or a frame; None when nobody said anything. `lenient`: see `scene_from`.

        2.x answers 204 then; what SC answers was never recorded: a 404 is taken for it when the image is there.
        """
        operation = f"read the annotations of {medium.type} {medium.id}"
        path = self._medium(project, medium, dataset) + (f"/frames/{frame}" if frame is not None else "")
        try:
            answer = self.session.ask(operation, "GET", f"{path}/annotations/latest")
        except NotFound:
            return None
        return scene_from(Fields(NAME, operation, answer), self.unit, lenient=lenient) if answer is not None else None

    def video_scenes(self, project: GetiProject, video: GetiMedium, *, dataset: str = "") -> list[GetiScene]:
        """Those of every frame about which something was said, in as many requests as it takes: 2.x tells 500 frames
        in an answer, and how many there are from the asked one on."""
        operation, path = (
            f"read the annotations of video {video.id}",
            f"{self._medium(project, video, dataset)}/annotations/latest",
        )
        found: list[GetiScene] = []
        start, more = 0, True
        while more:
            try:
                answer = self.session.ask(operation, "GET", f"{path}?start_frame={start}" if start else path)
            except NotFound:
                if found:  # there are more frames: what was read so far is not all
                    raise
                break
            if answer is None and not found:
                break
            fields = Fields(NAME, operation, {"video_annotations": answer} if isinstance(answer, list) else answer)
            scenes = [scene_from(one, self.unit) for one in fields.each("video_annotations")]
            found += scenes
            more = len(scenes) < _of_how_many(fields, len(scenes))
            before, start = start, max((scene.frame for scene in scenes if scene.frame is not None), default=-1) + 1
            if more and start <= before:
                fields.refuse("video_annotations", "tells fewer frames than there are, and none of those that follow")
        return [scene for scene in found if scene.frame is not None and scene.annotations]


def _of_how_many(answer: Fields, told: int) -> int:
    if not answer.has("video_annotation_properties"):
        return told
    properties = answer.inner("video_annotation_properties")
    return properties.whole("total_requested_count") if properties.has("total_requested_count") else told
