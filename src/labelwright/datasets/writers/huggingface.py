"""`<title>_huggingface/`: Parquet files that Hugging Face's `datasets` loads, with images and label names.

``data/<part>-00000.parquet`` and so on; `load_dataset` takes the folder. Columns: `image` (its bytes), `image_id`,
`file_name` (the source's), `width`, `height`, `sha256`, `labels` (of the whole image), and `objects`, lists of equal
length: `bbox` (``[x, y, width, height]`` in pixels), `category`, `area`, `segmentation` (polygons), `confidence`,
`attributes` (JSON), `labeler`, `labeled_at`, `origin`, `model_version`, `platform`. Frames of videos also have `video`,
`frame`, `time_seconds`.
Needs pyarrow: the extra `huggingface`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from labelwright.datasets.spool.batch import Batch
from labelwright.domain import LabelSchema

from .errors import LibraryMissing
from .formats import Export, FolderFormat
from .image_files import ImageAccess, image_stem, image_suffix, read_images
from .records import FRAME_COLUMNS, frame_record, object_records

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

_FILE_BYTES = 500 << 20
"""A file that has more is followed by the next one."""
_GROUP_BYTES = 32 << 20
"""Of images in a row group: what is held in memory."""
_TEXTS = ("attributes", "labeler", "labeled_at", "origin", "model_version", "platform")


class _Files:
    """The files of one part."""

    def __init__(self, folder: Path, part: str, schema: pyarrow.Schema) -> None:
        self._folder, self._part, self._schema = folder, part, schema
        self._number, self._size, self._pending = 0, 0, 0
        self._rows: list[dict[str, Any]] = []
        self._writer: pyarrow.parquet.ParquetWriter | None = None

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._pending += len(row["image"]["bytes"])
        if self._pending >= _GROUP_BYTES or len(self._rows) >= 1000:
            self._write()

    def close(self) -> None:
        """Writes what is left: at least one file, also of a part without images."""
        if self._rows or not self._number:
            self._write()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self) -> None:
        import pyarrow
        import pyarrow.parquet

        if self._writer is not None and self._size >= _FILE_BYTES:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            path = self._folder / f"{self._part}-{self._number:05d}.parquet"
            self._writer, self._size = pyarrow.parquet.ParquetWriter(path, self._schema), 0
            self._number += 1
        self._writer.write_table(pyarrow.Table.from_pylist(self._rows, schema=self._schema))
        self._size += self._pending
        self._rows, self._pending = [], 0


class HuggingFace:
    def __init__(self, export: Export, folder: Path) -> None:
        if export.images is None:
            raise ValueError("this format holds the images: it needs access to them")
        schema = _arrow_schema(export.schema, videos=export.videos)
        self._images: ImageAccess = export.images
        self._platform = export.platform
        self._ids = {name: number for number, name in enumerate(export.schema.names)}
        (folder / "data").mkdir()
        self._files = {part: _Files(folder / "data", part or "train", schema) for part in export.parts or ("",)}

    def add(self, part: str, batch: Batch) -> None:
        contents = read_images(batch.images, self._images)
        objects = object_records(batch, self._platform)
        for index, (image, content) in enumerate(zip(batch.images, contents, strict=True)):
            self._files[part].add(
                {
                    "image": {"bytes": content, "path": image_stem(image) + image_suffix(image)},
                    "image_id": image.position,
                    "file_name": image.file_name,
                    "width": image.size.width,
                    "height": image.size.height,
                    "sha256": image.sha256,
                    "labels": [self._ids[tag.label] for tag in batch.tags.get(index, ())],
                    "objects": self._columns(objects[index]),
                    **frame_record(image),
                }
            )

    def finish(self) -> None:
        for files in self._files.values():
            files.close()

    def _columns(self, objects: list[dict[str, Any]]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {
            "bbox": [item["bbox"] for item in objects],
            "category": [self._ids[item["label"]] for item in objects],
            "area": [item["area"] for item in objects],
            "segmentation": [item.get("segmentation", []) for item in objects],
            "confidence": [item.get("confidence", 1.0) for item in objects],
        }
        for name in _TEXTS:
            columns[name] = [item.get(name) for item in objects]
        columns["attributes"] = [
            None if text is None else orjson.dumps(text).decode() for text in columns["attributes"]
        ]
        return columns


def _arrow_schema(labels: LabelSchema, *, videos: bool) -> pyarrow.Schema:
    """The columns, with the features of `datasets` in the metadata: names of labels, images. Raises LibraryMissing."""
    try:
        import pyarrow
    except ImportError:
        raise LibraryMissing(
            "the format huggingface needs pyarrow: pip install 'labelwright[huggingface]' where campaigns are exported"
        ) from None

    number, text, whole = pyarrow.float64(), pyarrow.string(), pyarrow.int64()
    listed = pyarrow.list_
    objects: dict[str, tuple[pyarrow.DataType, dict[str, Any]]] = {
        "bbox": (listed(listed(number, 4)), _list(_list(_value("float64"), 4))),
        "category": (listed(whole), _list(_label(labels))),
        "area": (listed(number), _list(_value("float64"))),
        "segmentation": (listed(listed(listed(number))), _list(_list(_list(_value("float64"))))),
        "confidence": (listed(number), _list(_value("float64"))),
        **{name: (listed(text), _list(_value("string"))) for name in _TEXTS},
    }
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", text)])
    columns: dict[str, tuple[pyarrow.DataType, Any]] = {
        "image": (image, {"_type": "Image"}),
        "image_id": (whole, _value("int64")),
        "file_name": (text, _value("string")),
        "width": (whole, _value("int64")),
        "height": (whole, _value("int64")),
        "sha256": (text, _value("string")),
        "labels": (listed(whole), _list(_label(labels))),
        "objects": (
            pyarrow.struct([(name, kind) for name, (kind, _) in objects.items()]),
            {name: feature for name, (_, feature) in objects.items()},
        ),
    }
    if videos:
        kinds = ((text, "string"), (whole, "int64"), (number, "float64"))
        columns |= {name: (kind, _value(dtype)) for name, (kind, dtype) in zip(FRAME_COLUMNS, kinds, strict=True)}
    features = {name: feature for name, (_, feature) in columns.items()}
    return pyarrow.schema(
        [(name, kind) for name, (kind, _) in columns.items()],
        metadata={"huggingface": orjson.dumps({"info": {"features": features}})},
    )


def _value(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "_type": "Value"}


def _list(feature: dict[str, Any], length: int = -1) -> dict[str, Any]:
    return {"feature": feature, "length": length, "_type": "List"}


def _label(labels: LabelSchema) -> dict[str, Any]:
    return {"names": list(labels.names), "_type": "ClassLabel"}


HUGGING_FACE = FolderFormat("_huggingface", HuggingFace, "huggingface", library="pyarrow")
