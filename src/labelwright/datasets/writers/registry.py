"""The table of formats, and the one loop that writes them: one file, or all of them in one pass over the labels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Protocol

from labelwright.datasets.files import whole_file
from labelwright.datasets.names import file_stem
from labelwright.datasets.splits import OnlyPart, Split, SplitCsv
from labelwright.datasets.spool.batch import Batch, Delivered
from labelwright.domain import Geometry, LabelSchema

from .automl import Classification, Detection, Segmentation
from .coco import Coco
from .images_csv import ImagesCsv
from .labels_csv import LabelsCsv
from .mltable import LINES_FILE, complete_folder


class Writer(Protocol):
    """The bytes of one file. A writer is used once; equal labels give equal bytes."""

    def head(self) -> bytes: ...

    def body(self, batch: Batch) -> bytes: ...

    def tail(self) -> Iterator[bytes]: ...


class NotDelivered(ValueError):
    """An image of the manifest has no labels, not even "nothing here": the gate would have said so."""


class UnknownFormat(ValueError):
    """A name that the table of formats does not have."""


def _nothing_more(path: Path) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. `ending` follows the title; `geometries`: it is written when the schema has one of these."""

    ending: str
    writer: Callable[[str, LabelSchema], Writer]
    geometries: frozenset[Geometry] = frozenset(Geometry)
    completed: Callable[[Path], None] = _nothing_more
    """Called with the path when the file stands there, for what belongs beside it."""

    def path(self, folder: Path, title: str) -> Path:
        return Path(folder) / (file_stem(title) + self.ending)

    def suits(self, schema: LabelSchema) -> bool:
        return any(label.geometry in self.geometries for label in schema.labels)


_DRAWN = frozenset({Geometry.BOX, Geometry.POLYGON, Geometry.ANY})
_OUTLINED = frozenset({Geometry.POLYGON, Geometry.ANY})
_WHOLE = frozenset({Geometry.IMAGE, Geometry.ANY})


def _detection(title: str, schema: LabelSchema) -> Writer:
    return Detection()


def _segmentation(title: str, schema: LabelSchema) -> Writer:
    return Segmentation(schema)


def _classification(title: str, schema: LabelSchema) -> Writer:
    return Classification()


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "csv": Format("_labels.csv", lambda title, schema: LabelsCsv()),
        "coco": Format("_coco.json", Coco),
        "detection": Format("_detection.jsonl", _detection, _DRAWN),
        "segmentation": Format("_segmentation.jsonl", _segmentation, _OUTLINED),
        "classification": Format("_classification.jsonl", _classification, _WHOLE),
        "detection_mltable": Format(f"_detection_mltable/{LINES_FILE}", _detection, _DRAWN, complete_folder),
        "segmentation_mltable": Format(
            f"_segmentation_mltable/{LINES_FILE}", _segmentation, _OUTLINED, complete_folder
        ),
        "classification_mltable": Format(
            f"_classification_mltable/{LINES_FILE}", _classification, _WHOLE, complete_folder
        ),
        "images": Format("_images.csv", lambda title, schema: ImagesCsv()),
    }
)

_BEHIND = 2
"""Batches that may wait for the disk: what bounds the memory when it is slow."""

JSONL = ("detection", "segmentation", "classification")
MLTABLE = tuple(f"{name}_mltable" for name in JSONL)


class Watcher(Protocol):
    """Sees every batch that is written: statistics, say."""

    def add(self, batch: Batch) -> None: ...


def write_many(
    formats: Sequence[str],
    labels: Delivered,
    schema: LabelSchema,
    *,
    title: str,
    folder: Path,
    watchers: Iterable[Watcher] = (),
    split: Split | None = None,
) -> dict[str, Path]:
    """Writes files of several formats in one pass, and says where each is. Each appears when all are whole.

    A format that the schema has no labels for is left out. Raises NotDelivered, UnknownFormat.
    """
    chosen = {name: format_named(name, split) for name in formats}
    chosen = {name: one for name, one in chosen.items() if one.suits(schema)}
    paths = {name: one.path(folder, title) for name, one in chosen.items()}
    watching = list(watchers)
    with ExitStack() as files:
        open_writers: list[tuple[Writer, BinaryIO]] = []
        for name, one in chosen.items():
            writer, file = one.writer(title, schema), files.enter_context(whole_file(paths[name]))
            file.write(writer.head())
            open_writers.append((writer, file))
        # A thread writes while the next batch is made: the system copies without Python's lock.
        with ThreadPoolExecutor(1, "dataset-writer") as behind:
            waiting: deque[Future[None]] = deque()
            for batch in labels.batches():
                if batch.missing:
                    names = ", ".join(image.name for image in batch.missing[:5])
                    raise NotDelivered(f"no labels were delivered for {names}: read them again, then check the gate")
                waiting.append(behind.submit(_put, [(file, writer.body(batch)) for writer, file in open_writers]))
                for watcher in watching:
                    watcher.add(batch)
                if len(waiting) > _BEHIND:
                    waiting.popleft().result()
            for written in waiting:
                written.result()
        for writer, file in open_writers:
            file.writelines(writer.tail())
    for name, one in chosen.items():
        one.completed(paths[name])
    return paths


def write_file(
    name: str, labels: Delivered, schema: LabelSchema, *, title: str, folder: Path, split: Split | None = None
) -> Path | None:
    """Writes one file; None when the schema has no labels for the format."""
    return write_many([name], labels, schema, title=title, folder=folder, split=split).get(name)


def _put(pieces: list[tuple[BinaryIO, bytes]]) -> None:
    for file, text in pieces:
        file.write(text)


def split_formats(split: Split) -> tuple[str, ...]:
    """What is written beside the rest when a split is wanted: who is where, and an MLTable for each part."""
    return ("split", *(f"{name}:{part}" for name in MLTABLE for part in split.parts))


def format_named(name: str, split: Split | None = None) -> Format:
    """A format of the table, or with a split ``split`` and ``<mltable>:<part>``. Raises UnknownFormat."""
    base, _, part = name.partition(":")
    if split is not None and name == "split":
        return Format("_split.csv", lambda title, schema: SplitCsv(split))
    whole = FORMATS.get(base)
    if whole is None or (part and (split is None or part not in split.parts or base not in MLTABLE)):
        raise UnknownFormat(f"there is no format '{name}'; there are {', '.join(FORMATS)}")
    if split is None or not part:
        return whole
    ending = whole.ending.replace("_mltable/", f"_{part}_mltable/")
    return replace(
        whole, ending=ending, writer=lambda title, schema: OnlyPart(whole.writer(title, schema), split, part)
    )
