"""Remo's calls except uploads: those of the user's document, and those that campaigns need.

Ids are texts. Responses of both generations were measured on real servers, 0.3.29 and 0.6.1; differences are noted at
the method. Methods are idempotent unless noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, Literal, TypeVar
from urllib.parse import quote

from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable

from .models import (
    TASK_NUMBERS,
    ImageStatus,
    RemoAnnotationSet,
    RemoDataset,
    RemoFolder,
    RemoImage,
    RemoNamed,
    Task,
    annotation_set_from,
    class_from,
    content_from,
    dataset_from,
    folder_from,
    image_from,
)
from .session import NAME, RemoSession

SETS = "/api/v1/ui/annotation-sets"
DATASETS = "/api/v1/ui/datasets"
_T = TypeVar("_T")
ExportFormat = Literal["json", "coco", "csv"]
Coordinates = Literal["pixel", "percent"]


class RemoCalls:
    """The calls except uploads. `page_size` is the number of items requested per page."""

    def __init__(self, session: RemoSession, page_size: int = 500) -> None:
        self.session = session
        self.page_size = page_size

    # Tags

    def tag_image(self, annotation_set: str, image: str, name: str) -> RemoNamed:
        """Adds a tag to an image. Remo 0.6 stores it in lower case."""
        path = f"{SETS}/{_id(annotation_set)}/images/{_id(image)}/tags/"
        return class_from(self.session.fields(f"tag image {image}", "POST", path, json={"name": name}))

    def untag_image(self, annotation_set: str, image: str, tag: str) -> None:
        """Removes a tag from an image. Remo's response is the same if the image did not have it."""
        path = f"{SETS}/{_id(annotation_set)}/images/{_id(image)}/tags/{_id(tag)}/"
        self.session.erase(f"take tag {tag} off image {image}", path)

    def list_tags(self, annotation_set: str) -> Iterator[RemoNamed]:
        path = f"{SETS}/{_id(annotation_set)}/tags/"
        return map(class_from, self._pages(f"list the tags of annotation set {annotation_set}", path))

    def rename_tag(self, annotation_set: str, tag: str, name: str) -> RemoNamed:
        """Returns the renamed tag, which has a new id. Repeating it raises NotFound: the old id no longer exists."""
        path = f"{SETS}/{_id(annotation_set)}/tags/{_id(tag)}/"
        return class_from(self.session.fields(f"rename tag {tag}", "PUT", path, json={"name": name}))

    def delete_tag(self, annotation_set: str, tag: str) -> None:
        """Removes the tag from every image of the set. Does nothing if it does not exist."""
        path = f"{SETS}/{_id(annotation_set)}/tags/{_id(tag)}/"
        with suppress(NotFound):
            self.session.erase(f"delete tag {tag}", path)

    # Classes

    def create_class(self, name: str) -> RemoNamed:
        """Returns the class of that name in the common list, created if missing. Use the returned name: Remo changes
        capitals."""
        operation, path = f"create class '{name}'", "/api/common-class/"
        try:
            return class_from(self.session.fields(operation, "POST", path, json={"name": name}))
        except PlatformRefused as refused:
            if refused.status != 400 or "already exists" not in refused.message:
                raise
        folded = name.strip().casefold()  # 0.3 refuses an existing name instead of returning its class
        for item in self._pages(operation, path):
            if item.text("name").casefold() == folded:
                return class_from(item)
        raise PlatformRefused(
            NAME, operation, status=400, message="the name is taken, and no class of that name is listed"
        )

    def add_class(self, annotation_set: str, name: str) -> RemoNamed:
        path = f"{SETS}/{_id(annotation_set)}/classes/"
        operation = f"add class '{name}' to annotation set {annotation_set}"
        return class_from(self.session.fields(operation, "POST", path, json={"name": name}))

    def rename_class(self, annotation_set: str, class_id: str, name: str) -> RemoNamed:
        """Returns the renamed class, which has a new id. Repeating it raises NotFound."""
        path = f"{SETS}/{_id(annotation_set)}/classes/{_id(class_id)}/"
        return class_from(self.session.fields(f"rename class {class_id}", "PUT", path, json={"name": name}))

    def delete_class(self, annotation_set: str, class_id: str) -> None:
        """Deletes a class if it is in the set. That is checked first, because Remo would respond with 500."""
        ids = {label_class.id for label_class in self.read_annotation_set(annotation_set).classes}
        if class_id in ids:
            path = f"{SETS}/{_id(annotation_set)}/classes/{_id(class_id)}/"
            self.session.erase(f"delete class {class_id}", path)

    # Annotation sets

    def create_annotation_set(self, dataset: str, name: str, task: Task, classes: Sequence[str]) -> RemoAnnotationSet:
        """Creates an annotation set. Raises PlatformRefused with status 400 when the dataset has one of that name."""
        body = {"annotation_task": str(task), "classes": list(classes), "dataset_id": _number(dataset), "name": name}
        operation = f"create annotation set '{name}'"
        return annotation_set_from(self.session.fields(operation, "POST", f"{SETS}/", json=body))

    def create_annotation_set_by_class_ids(
        self, dataset: str, name: str, task: Task, classes: Sequence[RemoNamed]
    ) -> RemoAnnotationSet:
        """Creates an annotation set by the deprecated call, with classes of the common list and their ids.

        Repeating it creates no duplicate: Remo responds with an error.
        """
        body = {
            "task": TASK_NUMBERS[Task(task)],
            "classes": [{"id": _number(label_class.id), "name": label_class.name} for label_class in classes],
            "dataset": _number(dataset),
            "name": name,
            "type": "image",
        }
        operation = f"create annotation set '{name}'"
        return annotation_set_from(self.session.fields(operation, "POST", "/api/annotation-set/", json=body))

    def read_annotation_set(self, annotation_set: str) -> RemoAnnotationSet:
        """Returns an annotation set with its classes, without statistics."""
        path = f"{SETS}/{_id(annotation_set)}/"
        return annotation_set_from(self.session.fields(f"read annotation set {annotation_set}", "GET", path))

    def list_annotation_sets(self, dataset: str, limit: int | None = None) -> Iterator[RemoAnnotationSet]:
        """Returns the annotation sets with statistics, without classes. Raises NotFound for an archived dataset."""
        path = f"{DATASETS}/{_id(dataset)}/annotation-sets/"
        operation = f"list the annotation sets of dataset {dataset}"
        return map(annotation_set_from, self._pages(operation, path, limit=limit))

    def rename_annotation_set(self, annotation_set: str, name: str) -> RemoNamed:
        """Renames an annotation set. Raises PlatformRefused with status 400 when another set of the dataset has that
        name."""
        path = f"{SETS}/{_id(annotation_set)}/"
        operation = f"rename annotation set {annotation_set}"
        return class_from(self.session.fields(operation, "PUT", path, json={"name": name}))

    def delete_annotation_set(self, annotation_set: str) -> None:
        """Does nothing if it does not exist."""
        path = f"{SETS}/{_id(annotation_set)}/"
        with suppress(NotFound):
            self.session.erase(f"delete annotation set {annotation_set}", path)

    def export_annotations(
        self,
        annotation_set: str,
        into: BinaryIO,
        format: ExportFormat = "json",
        *,
        full_path: bool = False,
        coordinates: Coordinates = "pixel",
        without_annotations: bool = False,
    ) -> str:
        """Writes Remo's own export file to `into`. Returns its media type.

        "percent" gives fractions from 0 to 1. Only linked images have full paths. Images without annotations are left
        out unless `without_annotations` (0.6). For datasets read labels instead: Remo's COCO has names in lower case,
        polygons of area 0 and, with `without_annotations`, rows that are no annotations.
        """
        params = {
            "annotation_format": str(format),
            "full_path": _flag(full_path),
            "export_coordinates": str(coordinates),
        }
        if without_annotations:
            params["export_without_annotations"] = "true"
        path = f"{SETS}/{_id(annotation_set)}/export/"
        return self.session.download(f"export annotation set {annotation_set}", path, params, into)

    # Images

    def cache_image(self, image: str) -> None:
        """Keeps a high-resolution image in the server's memory. Raises NotFound for any other image."""
        path = f"/api/v1/ui/images/{_id(image)}/cache/"
        self.session.call(f"cache image {image}", "GET", path, advice=_NOT_HIGH)

    def downsample_image(self, image: str, x: int, y: int, width: int, height: int, downscale: float = 1.0) -> bytes:
        """Returns a downscaled part of a high-resolution image from (x, y), in pixels, as the bytes of a JPEG."""
        params = {"source_x": x, "source_y": y, "source_width": width, "source_height": height}
        path = f"/api/v1/ui/images/{_id(image)}/downsample/"
        response = self.session.call(
            f"cut from image {image}",
            "GET",
            path,
            params={**params, "downscale": f"{downscale:g}"},
            expect="bytes",
            advice=_NOT_HIGH,
        )
        data = bytes(response)
        if not data.startswith(b"\xff\xd8"):
            raise PlatformUnavailable(NAME, f"cut from image {image}", status=200, message="the response is no JPEG")
        return data

    def list_images(self, dataset: str) -> Iterator[RemoImage]:
        """Returns every image in all folders, with the name that Remo shows."""
        path = f"/api/v1/sdk/datasets/{_id(dataset)}/images/"
        images = map(image_from, self._pages(f"list the images of dataset {dataset}", path))
        return if_known(images, lambda: self._images_in(dataset))

    def _images_in(self, dataset: str, folder: str | None = None) -> Iterator[RemoImage]:
        """Returns the same for versions without that list, folder by folder."""
        for entry in self.list_contents(dataset, folder):
            if isinstance(entry, RemoFolder):
                yield from self._images_in(dataset, entry.id)
            else:
                yield entry

    def set_image_status(self, dataset: str, annotation_set: str, image: str, status: ImageStatus) -> None:
        """Sets an image to done, skipped or not annotated.

        0.3 has no call for that: the image's annotations are saved unchanged, with the status.
        """
        operation = f"call image {image} {status}"
        if self.session.server().uploads_in_sessions:
            path = f"{SETS}/{_id(annotation_set)}/images/{_id(image)}/status/"
            self.session.call(operation, "POST", path, json={"status": str(status)})
            return
        path = _image(dataset, annotation_set, image)
        saved = self.session.fields(operation, "GET", f"{path}/annotation/").list("annotation_info")
        what = "objects" if not saved or "coordinates" in saved[0] else "classes"
        self.session.call(operation, "POST", f"{path}/save-annotation/", json={what: saved, "status": str(status)})

    def save_annotation(self, dataset: str, annotation_set: str, image: str, payload: dict[str, Any]) -> None:
        """Replaces the annotations of an image by `objects` or `classes` in Remo's format.

        0.6 ignores a status for objects: call `set_image_status`.
        """
        path = f"{_image(dataset, annotation_set, image)}/save-annotation/"
        self.session.call(f"save the annotations of image {image}", "POST", path, json=payload)

    # Datasets

    def list_datasets(
        self, *, public: bool | None = None, archived: bool | None = None, limit: int | None = None
    ) -> Iterator[RemoDataset]:
        """Returns the datasets that are public or private, archived or active; None for both."""
        flags = {"is_public": public, "is_archived": archived}
        params = {name: _flag(flag) for name, flag in flags.items() if flag is not None}
        return map(dataset_from, self._pages("list datasets", f"{DATASETS}/", params, limit))

    def read_dataset(self, dataset: str) -> RemoDataset:
        return dataset_from(self.session.fields(f"read dataset {dataset}", "GET", f"{DATASETS}/{_id(dataset)}/"))

    def list_contents(
        self, dataset: str, folder: str | None = None, limit: int | None = None
    ) -> Iterator[RemoFolder | RemoImage]:
        """Returns folders and images at the top of a dataset, or in one folder."""
        path = f"{DATASETS}/{_id(dataset)}/contents/" + (f"{_id(folder)}/" if folder else "")
        return map(content_from, self._pages(f"list the contents of dataset {dataset}", path, limit=limit))

    def create_dataset(self, name: str) -> RemoDataset:
        """Creates a dataset. Raises PlatformRefused when the name is taken, and leaves no dataset behind then.

        Otherwise 0.6 would silently choose another name, and 0.3 would create a duplicate. After a lost response, find
        the dataset by its name.
        """
        if any(dataset.name == name for dataset in self.list_datasets()):
            raise self._taken(f"create dataset '{name}'")
        return self.make_dataset(name)

    def make_dataset(self, name: str) -> RemoDataset:
        """Creates a dataset whose name the caller has just checked. Raises PlatformRefused when a concurrent request
        took the name."""
        operation = f"create dataset '{name}'"
        created = dataset_from(self.session.fields(operation, "POST", "/api/dataset/", json={"name": name}))
        others: list[int] = []
        if not self.session.server().uploads_in_sessions:  # 0.3 keeps duplicates: the first one stays
            others = [int(dataset.id) for dataset in self.list_datasets() if dataset.name == name and dataset.ours]
        if created.name != name or min(others, default=int(created.id)) != int(created.id):
            self.delete_dataset(created.id)
            raise self._taken(operation, created.name)
        return created

    def rename_dataset(self, dataset: str, name: str) -> None:
        path = f"/api/dataset/{_id(dataset)}/"
        self.session.call(f"rename dataset {dataset}", "PATCH", path, json={"name": name})

    def archive_dataset(self, dataset: str, archived: bool = True) -> None:
        """Archives a dataset, or restores it. The annotation sets of an archived dataset are not found."""
        path = f"/api/user-dataset/{_id(dataset)}/"
        self.session.call(f"archive dataset {dataset}", "PATCH", path, json={"is_archived": archived})

    def delete_dataset(self, dataset: str) -> None:
        """Deletes a dataset with its contents. Does nothing if it does not exist."""
        with suppress(NotFound):
            path = f"/api/user-dataset/{_id(dataset)}/"
            self.session.erase(f"delete dataset {dataset}", path)

    def create_folder(self, dataset: str, name: str) -> RemoFolder:
        """Creates a folder. Repeating it creates a second one, or is refused: check the contents first."""
        path = f"/api/user-dataset/{_id(dataset)}/folders/"
        response = self.session.fields(f"create folder '{name}'", "POST", path, json={"name": name})
        return folder_from(response)

    def _taken(self, operation: str, other: str = "") -> PlatformRefused:
        message = "a dataset of that name is there" + (f", and Remo made '{other}' of it" if other else "")
        return PlatformRefused(
            NAME, operation, status=409, message=message, advice="Choose another name, or rename that one."
        )

    def _pages(self, operation: str, path: str, params: dict[str, str] | None = None, limit: int | None = None) -> Any:
        return self.session.pages(operation, path, params, page=self.page_size, most=limit)


def if_known(items: Iterator[_T], otherwise: Callable[[], Iterator[_T]]) -> Iterator[_T]:
    """Yields the items of a call, or those of `otherwise` if the server does not have the call."""
    try:
        first = next(items)
    except StopIteration:
        return
    except NotFound:
        yield from otherwise()
        return
    yield first
    yield from items


_NOT_HIGH = "Only images of high resolution (about 10 megapixels, or 10 MB, and more) can be cached and cut."


def _image(dataset: str, annotation_set: str, image: str) -> str:
    return f"/api/dataset/{_id(dataset)}/annotation-set/{_id(annotation_set)}/image/{_id(image)}"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _number(identity: str) -> int | str:
    return int(identity) if identity.isascii() and identity.isdecimal() else identity


def _id(identity: str) -> str:
    return quote(identity, safe="")
