"""Calls that list, upload and download images and videos, and read and write their annotations.

Uploads are not idempotent, because names may occur twice: look the file up by name before sending it again after a
lost response.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.messages import Sink
from labelwright.platforms.http.multipart import Form, FormFile

from .api_versions import MediaRequest
from .models import CoordinateUnit, GetiAnnotation, GetiMedium, GetiProject, GetiScene, medium_from, scene_from
from .paths import GetiPaths
from .session import NAME
from .stream import objects


class GetiMedia(GetiPaths):
    """The calls of media and annotations."""

    def media(
        self, project: GetiProject, kind: str = "image", dataset: str = "", size: int | None = None
    ) -> Iterator[GetiMedium]:
        """Every image or video of a dataset (by default the first), page by page.

        Objects are created one at a time, however many media a response has.
        """
        folder = self._dataset_path(project, dataset)
        page: MediaRequest | None = self.api_version.media_request(folder, kind, size or self._page_size)
        while page is not None:
            page = yield from self._media_of(page, kind)

    def media_after(
        self, project: GetiProject, after: str, size: int, *, kind: str = "image", dataset: str = ""
    ) -> tuple[list[GetiMedium], str]:
        """One page of a dataset from a cursor on ("": the start), and the next page's cursor ("": there is none).

        The cursor is the path that the server returned.
        """
        page = self.api_version.media_request(self._dataset_path(project, dataset), kind, size)
        if after:
            page = MediaRequest(page.method, after, page.json)
        media: list[GetiMedium] = []
        pages = self._media_of(page, kind)
        while True:
            try:
                media.append(next(pages))
            except StopIteration as end:
                return media, end.value.path if end.value is not None else ""

    def _media_of(self, page: MediaRequest, kind: str) -> Generator[GetiMedium, None, MediaRequest | None]:
        """Yields the media of a page; returns the request for the next one.

        Servers return a next page even after the last one (recorded), so an empty page is the end.
        """
        operation, has_media = f"list the {kind}s", False
        body = self.session.request(operation, page.method, page.path, json=page.json, response_type="media")
        items = objects(operation, body or b"{}", "media")
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                members: Fields = end.value
                break
            has_media = True
            yield medium_from(item, kind)
        following = members.text("next_page") if has_media and members.has("next_page") else ""
        return MediaRequest(page.method, following, page.json) if following else None

    def count_images(self, project: GetiProject, state: str | None = None) -> int | None:
        """Number of images in the first dataset, or of those in an annotation state; None if it cannot count."""
        page = self.api_version.media_request(self._dataset_path(project, ""), "image", 1)
        if page.json is None:
            return None
        rules = list(page.json["rules"])
        if state is not None:
            rules.append({"field": "annotation_scene_state", "operator": "equal", "value": state})
        operation = "count the images"
        try:
            response = self.session.request(operation, page.method, page.path, json={**page.json, "rules": rules})
        except PlatformRefused as refused:
            if refused.status != 400:
                raise
            return None  # a server without this query
        fields = Fields(NAME, operation, response)
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
        """Uploads an image or a video; `labels` (ids) annotate an image of a classification project at once.

        Not idempotent. Raises PlatformRefused with status 400, 413 or 415 for a file that the server does not accept.
        """
        fields = {"upload_info": json.dumps({"label_ids": labels})} if labels else {}
        operation = f"upload {kind} '{file_name}'"
        path = f"{self._dataset_path(project, dataset)}/media/{kind}s"
        form = Form(fields, [FormFile(file_name, opener)])
        response = self.session.request(operation, "POST", path, body=form, repeatable=False)
        return medium_from(Fields(NAME, operation, response), kind)

    def has_image(self, project: GetiProject, image: str, *, dataset: str = "") -> bool:
        """Whether an image of that id exists. Reads its thumbnail, because both API versions have one."""
        path = f"{self._dataset_path(project, dataset)}/media/images/{image}/display/thumb"
        try:
            self.session.request(f"look for image {image}", "GET", path, response_type="media")
        except NotFound:
            return False
        return True

    def download(self, project: GetiProject, medium: GetiMedium, into: Sink, *, dataset: str = "") -> None:
        """Writes the content of an image or a video into a file, part by part."""
        content = "stream" if medium.type == "video" else "full"
        path = medium.url or f"{self._medium_path(project, medium, dataset)}/display/{content}"
        self.session.request(f"download {medium.type} {medium.id}", "GET", path, response_type="media", into=into)

    def download_frame(
        self, project: GetiProject, video: GetiMedium, frame: int, into: Sink, *, dataset: str = ""
    ) -> None:
        operation = f"download frame {frame} of video {video.id}"
        path = f"{self._medium_path(project, video, dataset)}/frames/{frame}/display/full"
        self.session.request(operation, "GET", path, response_type="media", into=into)

    def delete_medium(self, project: GetiProject, medium: GetiMedium, *, dataset: str = "") -> None:
        """Idempotent. Raises PlatformUnavailable while the project is locked."""
        self._delete(f"delete {medium.type} {medium.id}", self._medium_path(project, medium, dataset))

    def create_dataset(self, project: GetiProject, name: str) -> str:
        """Creates another dataset of a project (2.x). Returns its id. Not idempotent."""
        operation = f"create dataset '{name}'"
        path = f"{self._project_path(project.id)}/datasets"
        response = self.session.request(operation, "POST", path, json={"name": name}, repeatable=False)
        return Fields(NAME, operation, response).id("id")

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
        """Replaces all annotations of an image or a frame; coordinates in the server's unit. Idempotent."""
        operation = f"annotate {medium.type} {medium.id}"
        path = self._medium_path(project, medium, dataset)
        identifier: dict[str, Any] = {"type": "image", "image_id": medium.id}
        if frame is not None:
            path += f"/frames/{frame}"
            identifier = {"type": "video_frame", "video_id": medium.id, "frame_index": frame}
        if self.unit is CoordinateUnit.PIXELS:
            annotations = [
                replace(annotation, shape=annotation.shape.inside(medium.width, medium.height))
                for annotation in annotations
            ]
        body = {"media_identifier": identifier, "annotations": [annotation.json() for annotation in annotations]}
        response = self.session.request(operation, "POST", f"{path}/annotations", json=body)
        if response is None:
            return GetiScene((), self.unit)
        return scene_from(Fields(NAME, operation, response), self.unit)

    def scene(
        self,
        project: GetiProject,
        medium: GetiMedium,
        *,
        frame: int | None = None,
        dataset: str = "",
        lenient: bool = False,
    ) -> GetiScene | None:
        """The latest annotations of an image or a frame; None when there are none. `lenient`: see `scene_from`.

        2.x returns 204 for no annotations. SC's response was never recorded; a 404 is taken for none.
        """
        operation = f"read the annotations of {medium.type} {medium.id}"
        path = self._medium_path(project, medium, dataset) + (f"/frames/{frame}" if frame is not None else "")
        try:
            response = self.session.request(operation, "GET", f"{path}/annotations/latest")
        except NotFound:
            return None
        if response is None:
            return None
        return scene_from(Fields(NAME, operation, response), self.unit, lenient=lenient)

    def video_scenes(self, project: GetiProject, video: GetiMedium, *, dataset: str = "") -> list[GetiScene]:
        """The annotations of all annotated frames of a video.

        2.x returns at most 500 frames per response, with the number of frames from the requested one on.
        """
        operation = f"read the annotations of video {video.id}"
        path = f"{self._medium_path(project, video, dataset)}/annotations/latest"
        result: list[GetiScene] = []
        start, more = 0, True
        while more:
            try:
                response = self.session.request(operation, "GET", f"{path}?start_frame={start}" if start else path)
            except NotFound:
                if result:  # frames are missing: the result would be incomplete
                    raise
                break
            if response is None and not result:
                break
            body = {"video_annotations": response} if isinstance(response, list) else response
            fields = Fields(NAME, operation, body)
            scenes = [scene_from(scene, self.unit) for scene in fields.each("video_annotations")]
            result += scenes
            more = len(scenes) < _frame_count(fields, len(scenes))
            previous_start, start = (
                start,
                max((scene.frame for scene in scenes if scene.frame is not None), default=-1) + 1,
            )
            if more and start <= previous_start:
                fields.refuse("video_annotations", "has fewer frames than announced, and none of the next ones")
        return [scene for scene in result if scene.frame is not None and scene.annotations]


def _frame_count(response: Fields, default: int) -> int:
    """Number of annotated frames from the requested one on; `default` where the server does not return it."""
    if not response.has("video_annotation_properties"):
        return default
    properties = response.inner("video_annotation_properties")
    return properties.whole("total_requested_count") if properties.has("total_requested_count") else default
