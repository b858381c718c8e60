"""COCO annotation files as labels to start from: the images and objects of some categories, as outlines.

The file is read by `coco`, with pycocotools: what it reads, counts and decodes, we do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelwright.datasets.masks import Loop, outlines
from labelwright.domain import Box, InvalidShape, Size
from labelwright.domain.geometry import bounds
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
    """Whether an outline reached beyond the image, by more than a rounding, and was cut to it."""
    box_cut: bool = False
    """The same of the box."""


@dataclass(frozen=True, slots=True)
class CocoImage:
    id: int
    file: str
    """As the file has it, relative to the folder of images."""
    size: Size


class CocoSource:
    """The images of a COCO file on which one of the categories is, and the objects of these categories.

    Raises CocoRefused for a file that is none, and for categories that it does not have.
    """

    def __init__(self, file: Path, categories: Sequence[str]) -> None:
        self.file = file
        self._file = CocoFile(file)
        self._coco = self._file.coco
        known = {name: number for number, name in self._file.categories.items()}
        missing = [name for name in categories if name not in known]
        if missing or not categories:
            has = ", ".join(list(known)[:100]) or "none"
            raise CocoRefused(f"{file} has no category {', '.join(map(repr, missing)) or 'asked for'}; it has: {has}")
        twice = [name for name, times in Counter(categories).items() if times > 1]
        if twice:
            raise CocoRefused(f"category {twice[0]!r} is asked for twice")
        self.categories = tuple(categories)
        self._names = {known[name]: name for name in categories}

    def images(self) -> list[CocoImage]:
        """In the order of their ids."""
        # getImgIds with several categories gives the images that have all of them.
        ids = sorted({image for category in self._names for image in self._coco.getImgIds(catIds=[category])})
        return [self._image(one) for one in self._coco.loadImgs(ids)]

    def objects(self, image: CocoImage) -> tuple[list[CocoObject], list[str]]:
        """Those of the categories, crowds too, as `getAnnIds` gives them; and what had to be left out, and why."""
        found: list[CocoObject] = []
        left_out: list[str] = []
        for one in self._coco.loadAnns(self._coco.getAnnIds(imgIds=[image.id], catIds=list(self._names))):
            try:
                found.append(self._object(one, image))
            except (InvalidShape, ValueError, KeyError, TypeError, IndexError) as fault:
                left_out.append(f"annotation {one.get('id')} of {image.file}: {fault}")
        return found, left_out

    def _image(self, one: dict[str, Any]) -> CocoImage:
        try:
            return CocoImage(int(one["id"]), str(one["file_name"]), Size(int(one["width"]), int(one["height"])))
        except (KeyError, ValueError, TypeError) as fault:
            raise CocoRefused(f"{self.file}: image {one.get('id')} cannot be read: {fault!r}") from None

    def _object(self, one: dict[str, Any], image: CocoImage) -> CocoObject:
        parts, cut = self._outlines(one, image.size)
        return CocoObject(
            id=int(one["id"]),
            category=self._names[int(one["category_id"])],
            box=self._box(one, image.size),
            outlines=tuple(tuple(part) for part in parts),
            crowd=bool(one.get("iscrowd")),
            cut=cut,
            box_cut=bool(one.get("bbox")) and not nearly_inside(box_of(one["bbox"]), image.size),
        )

    def _box(self, one: dict[str, Any], size: Size) -> Box:
        if one.get("bbox"):
            return box_of(one["bbox"]).clamp(size)
        shape = self._file.shape_of(one, size)
        if shape is None:
            raise InvalidShape("it has neither a segmentation nor a bbox")
        return shape.box

    def _outlines(self, one: dict[str, Any], size: Size) -> tuple[list[Loop], bool]:
        shape = one.get("segmentation")
        if not shape:
            return [], False
        if isinstance(shape, dict):  # of crowds and others
            return outlines(run_lengths(shape, size)), False
        parts = [_inside(points, size) for points in shape]
        return [loop for loops, _ in parts for loop in loops], any(cut for _, cut in parts)


def _inside(flat: Sequence[float], size: Size) -> tuple[list[Loop], bool]:
    """What of a ring lies in the image, and whether it was cut; nothing when no area is left. Doubles are left out."""
    pairs = isinstance(flat, list) and len(flat) % 2 == 0
    if not pairs or not all(abs(float(value)) <= FARTHEST for value in flat):  # false for NaN
        raise InvalidShape("an outline of numbers that are no pairs, or not within its image or near it")
    ring = distinct(zip(map(float, flat[::2]), map(float, flat[1::2]), strict=True))
    twice = sum(x * ny - nx * y for (x, y), (nx, ny) in zip(ring, [*ring[1:], *ring[:1]], strict=True))
    if len(ring) < 3 or not twice:
        return [], False
    if all(0 <= x <= size.width and 0 <= y <= size.height for x, y in ring):
        return [ring], False
    return clip_ring(ring, size.width, size.height), not nearly_inside(bounds(ring), size)


def image_files(images: Sequence[CocoImage], folder: Path) -> dict[int, Path]:
    """Where each image is. Raises CocoRefused that names those which are not there."""
    places = {one.id: folder / one.file for one in images}
    missing = [str(path) for path in places.values() if not path.is_file()]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise CocoRefused(f"{len(missing)} of {len(images)} images are not in {folder}: {shown}")
    return places


def upload_names(images: Sequence[CocoImage]) -> dict[int, str]:
    """The file name that each image is sent under: its own, or the whole path where two would look the same on a server
    that shows names without ending."""
    stems = Counter(Path(one.file).stem for one in images)

    def name(one: CocoImage) -> str:
        path = Path(one.file)
        return path.name if stems[path.stem] == 1 else f"{'_'.join(path.parts)}{path.suffix}"

    return {one.id: name(one) for one in images}


__all__ = ["CocoImage", "CocoObject", "CocoRefused", "CocoSource", "image_files", "upload_names"]
