"""`<title>_webdataset/`: shards of samples for WebDataset, `<part>-000000.tar` and so on.

A sample is an image and a JSON file of the same key, which is made of the image's SHA-256 and id: readers cut names at
the first dot. The JSON has `image_id`, `file_name` (the source's), `width`, `height`, `sha256`, `objects` and `labels`
(of the whole image), and those of a frame of a video; see `records`. Shards have no times, owners or other marks of a
machine.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import orjson

from labelwright.datasets.spool.batch import Batch, StockedImage

from .formats import Export, FolderFormat
from .image_files import ImageAccess, image_suffix, read_images
from .records import frame_record, object_records, tag_record

_SAMPLES, _BYTES = 10_000, 1 << 30
"""Most of a shard."""


class _Shards:
    """The shards of one part."""

    def __init__(self, folder: Path, part: str) -> None:
        self._folder, self._part = folder, part
        self._number, self._samples, self._size = 0, 0, 0
        self._shard: tarfile.TarFile | None = None

    def add(self, key: str, files: dict[str, bytes]) -> None:
        size = sum(map(len, files.values()))
        if self._shard is None or self._samples >= _SAMPLES or self._size + size > _BYTES:
            self.close()
            path = self._folder / f"{self._part}-{self._number:06d}.tar"
            self._shard = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed in close
            self._number, self._samples, self._size = self._number + 1, 0, 0
        for suffix, content in files.items():
            entry = tarfile.TarInfo(key + suffix)
            entry.size = len(content)
            self._shard.addfile(entry, io.BytesIO(content))
        self._samples, self._size = self._samples + 1, self._size + size

    def close(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None


class WebDataset:
    def __init__(self, export: Export, folder: Path) -> None:
        if export.images is None:
            raise ValueError("this format holds the images: it needs access to them")
        self._images: ImageAccess = export.images
        self._platform = export.platform
        self._shards = {part: _Shards(folder, part or "train") for part in export.parts or ("",)}

    def add(self, part: str, batch: Batch) -> None:
        contents = read_images(batch.images, self._images)
        objects = object_records(batch, self._platform)
        for index, (image, content) in enumerate(zip(batch.images, contents, strict=True)):
            record = {
                "image_id": image.position,
                "file_name": image.file_name,
                "width": image.size.width,
                "height": image.size.height,
                "sha256": image.sha256,
                "objects": objects[index],
                "labels": [tag_record(tag, self._platform) for tag in batch.tags.get(index, ())],
                **frame_record(image),
            }
            self._shards[part].add(_key(image), {image_suffix(image): content, ".json": orjson.dumps(record)})

    def finish(self) -> None:
        for shards in self._shards.values():
            shards.close()


def _key(image: StockedImage) -> str:
    return f"{image.sha256[:32]}-{image.position}"


WEBDATASET = FolderFormat("_webdataset", WebDataset, "webdataset")
