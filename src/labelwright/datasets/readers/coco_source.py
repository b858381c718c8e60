"""Reads the images and objects of some categories from a COCO file, with outlines instead of masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelwright.datasets.masks import Loop, outlines
from labelwright.domain import Box, InvalidShape, Size
from labelwright.domain.geometry import bounds
from labelwright.domain.paths import is_file
from labelwright.domain.planar import clip_ring, distinct

from .coco import FARTHEST, CocoFile, CocoRefused, box_of, nearly_inside, run_lengths


@dataclass(frozen=True, slots=True)
class CocoObject:
    """One annotation. Shapes are in pixels and lie inside the image."""

    id: int
    category: str
    box: Box
    outlines: tuple[tuple[tuple[float, float], ...], ...]
    """One polygon or several that are one object; none where the file has only a box."""
    crowd: bool
    cut: bool = False
    """Whether an outline reached beyond the image by more than ROUNDING, and was cut to it."""
    box_cut: bool = False
    """The same for the box."""


@dataclass(frozen=True, slots=True)
class CocoImage:
    id: int
    file: str
    """Relative to the folder of images, as in the file."""
    size: Size


class CocoSource:
    """The images of a COCO file that have an object of the categories, and these objects.

    Raises CocoRefused for a file that is not COCO, and for categories that it does not have.
    """

    def __init__(self, file: Path, categories: Sequence[str]) -> None:
        self.file = file
        self._file = CocoFile(file)
        self._coco = self._file.coco
        ids = {name: number for number, name in self._file.categories.items()}
        missing = [name for name in categories if name not in ids]
        if missing or not categories:
            has = ", ".join(list(ids)[:100]) or "none"
            raise CocoRefused(f"{file} has no category {', '.join(map(repr, missing)) or 'in the list'}; it has: {has}")
        duplicates = [name for name, times in Counter(categories).items() if times > 1]
        if duplicates:
            raise CocoRefused(f"category {duplicates[0]!r} is listed twice")
        self.categories = tuple(categories)
        self._names = {ids[name]: name for name in categories}

    def images(self) -> list[CocoImage]:
        """In the order of their ids."""
        # getImgIds with several categories gives the images that have all of them.
        ids = sorted({image for category in self._names for image in self._coco.getImgIds(catIds=[category])})
        return [self._image(record) for record in self._coco.loadImgs(ids)]

    def objects(self, image: CocoImage) -> tuple[list[CocoObject], list[str]]:
        """Objects of the categories, crowds too, in the order of `getAnnIds`; and what had to be left out, and why."""
        objects: list[CocoObject] = []
        left_out: list[str] = []
        for annotation in self._coco.loadAnns(self._coco.getAnnIds(imgIds=[image.id], catIds=list(self._names))):
            try:
                objects.append(self._object(annotation, image))
            except (InvalidShape, ValueError, KeyError, TypeError, IndexError) as error:
                left_out.append(f"annotation {annotation.get('id')} of {image.file}: {error}")
        return objects, left_out

    def _image(self, record: dict[str, Any]) -> CocoImage:
        try:
            size = Size(int(record["width"]), int(record["height"]))
            return CocoImage(int(record["id"]), str(record["file_name"]), size)
        except (KeyError, ValueError, TypeError) as error:
            raise CocoRefused(f"{self.file}: image {record.get('id')} cannot be read: {error!r}") from None

    def _object(self, annotation: dict[str, Any], image: CocoImage) -> CocoObject:
        parts, cut = self._outlines(annotation, image.size)
        return CocoObject(
            id=int(annotation["id"]),
            category=self._names[int(annotation["category_id"])],
            box=self._box(annotation, image.size),
            outlines=tuple(tuple(part) for part in parts),
            crowd=bool(annotation.get("iscrowd")),
            cut=cut,
            box_cut=bool(annotation.get("bbox")) and not nearly_inside(box_of(annotation["bbox"]), image.size),
        )

    def _box(self, annotation: dict[str, Any], size: Size) -> Box:
        if annotation.get("bbox"):
            return box_of(annotation["bbox"]).clamp(size)
        shape = self._file.shape_of(annotation, size)
        if shape is None:
            raise InvalidShape("it has neither a segmentation nor a bbox")
        return shape.box

    def _outlines(self, annotation: dict[str, Any], size: Size) -> tuple[list[Loop], bool]:
        shape = annotation.get("segmentation")
        if not shape:
            return [], False
        if isinstance(shape, dict):  # of crowds and others
            return outlines(run_lengths(shape, size)), False
        parts = [_inside(points, size) for points in shape]
        return [loop for loops, _ in parts for loop in loops], any(cut for _, cut in parts)


def _inside(flat: Sequence[float], size: Size) -> tuple[list[Loop], bool]:
    """The parts of a ring that lie in the image, without repeated corners, and whether it was cut. No part is left when
    the ring has no area. Raises InvalidShape."""
    pairs = isinstance(flat, list) and len(flat) % 2 == 0
    if not pairs or not all(abs(float(value)) <= FARTHEST for value in flat):  # false for NaN
        raise InvalidShape("an outline whose numbers are not pairs, or too far from its image")
    ring = distinct(zip(map(float, flat[::2]), map(float, flat[1::2]), strict=True))
    doubled_area = sum(x * ny - nx * y for (x, y), (nx, ny) in zip(ring, [*ring[1:], *ring[:1]], strict=True))
    if len(ring) < 3 or not doubled_area:
        return [], False
    if all(0 <= x <= size.width and 0 <= y <= size.height for x, y in ring):
        return [ring], False
    return clip_ring(ring, size.width, size.height), not nearly_inside(bounds(ring), size)


def image_files(images: Sequence[CocoImage], folder: Path) -> dict[int, Path]:
    """The path of each image, by its id. Raises CocoRefused with the names of missing files."""
    paths = {image.id: folder / image.file for image in images}
    missing = [str(path) for path in paths.values() if not is_file(path)]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise CocoRefused(f"{len(missing)} of {len(images)} images are not in {folder}: {shown}")
    return paths


def upload_names(images: Sequence[CocoImage]) -> dict[int, str]:
    """The file name to upload each image under, by its id.

    The image's own name, or its path with underscores when two names differ in nothing but folder and ending: some
    servers show no endings.
    """
    stems = Counter(Path(image.file).stem for image in images)

    def name(image: CocoImage) -> str:
        path = Path(image.file)
        return path.name if stems[path.stem] == 1 else f"{'_'.join(path.parts)}{path.suffix}"

    return {image.id: name(image) for image in images}


__all__ = ["CocoImage", "CocoObject", "CocoRefused", "CocoSource", "image_files", "upload_names"]
