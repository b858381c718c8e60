"""Writes outputs of several formats in one pass over the labels."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from labelwright.datasets.splits import Split, split_batch
from labelwright.datasets.spool.batch import Delivered
from labelwright.datasets.statistics import BatchWatcher
from labelwright.domain import LabelSchema

from .errors import NotDelivered
from .formats import WHOLE, Export, Output
from .image_files import ImageAccess
from .registry import find_output

_PENDING_BATCHES = 2
"""Batches that may wait for the disk: what bounds the memory when it is slow."""


def write_many(
    formats: Sequence[str],
    labels: Delivered,
    schema: LabelSchema,
    *,
    title: str,
    folder: Path,
    elsewhere: Mapping[str, Path] = MappingProxyType({}),
    watchers: Iterable[BatchWatcher] = (),
    split: Split | None = None,
    path_column: str = "",
    images: ImageAccess | None = None,
    videos: bool = False,
    platform: str = "",
) -> dict[str, Path]:
    """Writes several outputs in one pass over the labels. Returns the path of each file or folder.

    Args:
        formats: names of `FORMATS`; with a split also those of single parts, such as ``coco:train``. A format that the
            schema, the split or the labels have nothing for is left out.
        folder: where the files and folders go; they appear when all of them are whole.
        elsewhere: the folders of those formats that go into another one.
        path_column: see `Export`.
        images: opens the images, for formats that hold them.
        videos: whether the images are frames of videos.
        platform: see `Export`.

    Raises NotDelivered, UnknownFormat.
    """
    export = Export(title, schema, split, path_column, images, videos, labels.names_models, platform)
    selected = {name: find_output(name, export) for name in formats}
    selected = {name: output for name, output in selected.items() if output.format.suits(export)}
    paths = {
        name: output.format.path(elsewhere.get(name, folder), title, output.part) for name, output in selected.items()
    }
    observers = list(watchers)
    background = _BackgroundWriter(_PENDING_BATCHES * len(selected))
    with ExitStack() as stack:
        outputs: list[Output] = [
            stack.enter_context(output.format.open(paths[name], export, output.part, background.write))
            for name, output in selected.items()
        ]
        stack.callback(background.close)  # before any file is closed
        for batch in labels.batches():
            if batch.missing:
                names = ", ".join(image.name for image in batch.missing[:5])
                raise NotDelivered(f"no labels were delivered for {names}: read the labels again, then validate them")
            batches = {WHOLE: batch} if split is None else {WHOLE: batch, **split_batch(batch, split)}
            for output in outputs:
                output.add(batches)
            for observer in observers:
                observer.add(batch)
        background.flush()
        for output in outputs:
            output.finish()
    return {name: path for name, path in paths.items() if path.exists()}


def write_file(
    name: str,
    labels: Delivered,
    schema: LabelSchema,
    *,
    title: str,
    folder: Path,
    split: Split | None = None,
    path_column: str = "",
    images: ImageAccess | None = None,
) -> Path | None:
    """Writes one output. Returns its path, or None when there is nothing to write for the format."""
    written = write_many(
        [name], labels, schema, title=title, folder=folder, split=split, path_column=path_column, images=images
    )
    return written.get(name)


class _BackgroundWriter:
    """Writes to files in one thread, in order, while the next batch is formatted: the system copies without the GIL."""

    def __init__(self, most_pending: int) -> None:
        self._pool = ThreadPoolExecutor(1, "dataset-writer")
        self._most_pending = most_pending
        self._pending: deque[Future[int]] = deque()

    def write(self, file: BinaryIO, data: bytes) -> None:
        self._pending.append(self._pool.submit(file.write, data))
        if len(self._pending) > self._most_pending:
            self._pending.popleft().result()

    def flush(self) -> None:
        """Waits for all writes. Raises what they raised."""
        while self._pending:
            self._pending.popleft().result()

    def close(self) -> None:
        self._pool.shutdown()
