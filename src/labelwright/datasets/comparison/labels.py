"""The labels of a version in columns, read from its CSV: a million objects take some hundred megabytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from labelwright.datasets.readers.labels_csv import is_defused
from labelwright.domain.spreadsheets import undefuse

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS = 100_000
"""Read at once."""
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_SIZE = ("image_width", "image_height")
_SOURCE = ("origin", "model_version")
_TIME = "labeled_at"
_NEEDED = ("image_id", "file_name", *_SIZE, "label", *_CORNERS, "polygon", "attributes", "labeler", *_SOURCE)


@dataclass(frozen=True)
class LabelColumns:
    """Objects of a version, in the order of its images. Whole-image labels are objects whose corners are NaN."""

    names: list[str]
    """File names of the images, by their place in `sha256`."""
    sha256: list[str]
    """Of each image."""
    sizes: NDArray[np.float64]
    """Width and height of each image, in pixels."""
    images: NDArray[np.int32]
    """Of each object: place of its image."""
    labels: list[str]
    codes: NDArray[np.int32]
    """Of each object: place of its label in `labels`."""
    corners: NDArray[np.float64]
    """Objects x 4: xmin, ymin, xmax, ymax in pixels."""
    details: dict[int, tuple[str, str]]
    """Polygon and attributes as texts, by the object's place, for objects that have one of them.

    A mask is its box, unless `masks.with_masks` has read its run lengths, which then are its polygon.
    """
    labelers: list[str]
    labeled_by: NDArray[np.int32]
    """Of each object: place of its labeler in `labelers`; those that are not known are an empty name."""
    origins: list[str]
    origin_of: NDArray[np.int32]
    """Of each object: place of its origin in `origins`: person, prediction, corrected, or empty."""
    models: list[str]
    model_of: NDArray[np.int32]
    """Of each object: place of the model's version in `models`, empty where there is none."""
    times: list[str] | None = None
    """Of each object: when it was changed last, as text, empty where it is not known. None: not read."""
    lacks_masks: bool = False
    """Whether it has masks of which only the boxes around them can be read."""

    def drawn(self) -> NDArray[np.int64]:
        """Places of the objects, without labels of whole images."""
        return np.flatnonzero(~np.isnan(self.corners[:, 0]))

    def starts(self) -> NDArray[np.int64]:
        """For each image the place of its first object, and behind the last image the number of objects."""
        return np.searchsorted(self.images, np.arange(len(self.sha256) + 1))


def read_columns(path: Path, hashes: Mapping[int, str], *, times: bool = False) -> LabelColumns:
    """Reads `<title>_labels.csv`. `hashes`: SHA-256 of the campaign's images, by image id.

    times: also read when objects were changed, which takes memory.
    """
    columns = _Columns(hashes, times=times)
    for chunk in _chunks(path, times=times):
        columns.add(chunk)
    return columns.finished()


def _chunks(path: Path, *, times: bool) -> Iterator[Any]:
    import pandas as pd

    texts = ("file_name", "label", "polygon", "attributes", "labeler", *_SOURCE, *([_TIME] if times else []))
    available = pd.read_csv(path, nrows=0).columns
    reader = pd.read_csv(
        path,
        usecols=[name for name in (*_NEEDED, *texts) if name in available],
        dtype=dict.fromkeys(texts, "str"),
        keep_default_na=False,
        na_values={name: [""] for name in _CORNERS},
        chunksize=_ROWS,
    )
    defused = is_defused(path)
    for chunk in reader:
        for name in texts:
            if name not in chunk:
                chunk[name] = ""
            elif defused:
                chunk[name] = chunk[name].map(undefuse)
        yield chunk


class _Columns:
    def __init__(self, hashes: Mapping[int, str], *, times: bool) -> None:
        self._hashes = hashes
        self._places: dict[int, int] = {}
        self._names: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        self._labels: dict[str, int] = {}
        self._labelers: dict[str, int] = {}
        self._origins: dict[str, int] = {}
        self._models: dict[str, int] = {}
        self._details: dict[int, tuple[str, str]] = {}
        self._parts: dict[str, list[Any]] = {"images": [], "codes": [], "corners": [], "labeled_by": []}
        self._parts |= {"origin_of": [], "model_of": []}
        self._times: list[str] | None = [] if times else None
        self._count = 0

    def add(self, chunk: Any) -> None:
        images = chunk[["image_id", "file_name", *_SIZE]].drop_duplicates("image_id")
        for image_id, name, width, height in images.itertuples(index=False):
            if image_id not in self._places:
                self._places[image_id] = len(self._names)
                self._names.append(name)
                self._sizes.append((width, height))
        objects = chunk[chunk["label"] != ""]
        self._parts["images"].append(objects["image_id"].map(self._places).to_numpy(np.int32))
        self._parts["codes"].append(_codes(objects["label"], self._labels))
        self._parts["labeled_by"].append(_codes(objects["labeler"], self._labelers))
        self._parts["origin_of"].append(_codes(objects["origin"], self._origins))
        self._parts["model_of"].append(_codes(objects["model_version"], self._models))
        self._parts["corners"].append(objects[list(_CORNERS)].to_numpy(np.float64))
        if self._times is not None:
            self._times += objects[_TIME].tolist()
        detailed = ((objects["polygon"] != "") | (objects["attributes"] != "")).to_numpy()
        rows = objects[["polygon", "attributes"]][detailed].itertuples(index=False, name=None)
        for place, row in zip(np.flatnonzero(detailed).tolist(), rows, strict=True):
            self._details[self._count + place] = row
        self._count += len(objects)

    def finished(self) -> LabelColumns:
        joined = {}
        for name in list(self._parts):  # one after the other, so that only one column is there twice
            parts = self._parts.pop(name)
            joined[name] = np.concatenate(parts) if parts else _empty(name)
        hashes = [self._hashes.get(image_id, "") for image_id in self._places]
        return LabelColumns(
            self._names,
            hashes,
            np.array(self._sizes, dtype=np.float64).reshape(-1, 2),
            joined["images"],
            list(self._labels),
            joined["codes"],
            joined["corners"],
            self._details,
            list(self._labelers),
            joined["labeled_by"],
            list(self._origins),
            joined["origin_of"],
            list(self._models),
            joined["model_of"],
            self._times,
        )


def _codes(values: Any, table: dict[str, int]) -> NDArray[np.int32]:
    """Places of texts in a table, to which new ones are added."""
    import pandas as pd

    codes, texts = pd.factorize(values)
    places = np.array([table.setdefault(text, len(table)) for text in texts], dtype=np.int32)
    return places[codes] if len(places) else np.empty(0, dtype=np.int32)


def _empty(name: str) -> NDArray[Any]:
    return np.empty((0, 4)) if name == "corners" else np.empty(0, dtype=np.int32)
