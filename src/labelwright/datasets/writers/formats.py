"""What an export format is: a file or a folder, made by a writer that is handed the labels batch by batch.

    FileFormat      one file; with a split, one more for each part. Its writer returns bytes (FileWriter).
    FolderFormat    one folder that the writer fills itself (FolderWriter); it is told the part of every batch.

A writer is used once. Equal labels must give equal bytes: no times, no random names, no order of a set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Protocol, runtime_checkable

from labelwright.datasets.files import whole_file, whole_folder
from labelwright.datasets.names import file_stem
from labelwright.datasets.splits import Split
from labelwright.datasets.spool.batch import Batch
from labelwright.domain import Geometry, LabelSchema

from .image_files import ImageAccess
from .losses import Content

WHOLE = ""
"""Instead of the name of a part: all images."""


@dataclass(frozen=True, slots=True)
class Export:
    """What a writer is made for."""

    title: str
    schema: LabelSchema
    split: Split | None = None
    path_column: str = ""
    """Name of the further column of CSV files for `StockedImage.store_path`; empty: no such column."""
    images: ImageAccess | None = None
    """Opens the images, for formats that hold them."""
    videos: bool = False
    """Whether the images are frames of videos."""
    models: bool = False
    """Whether it is known of an object which model predicted it: CSV files have a further column for it."""
    platform: str = ""
    """Where the objects were labeled, as campaign files name it; empty: formats do not say it."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the split's parts; without a split, none."""
        return self.split.parts if self.split is not None else ()


class _Omitted(Exception):
    """A writer has nothing to write."""


class FileWriter(Protocol):
    """Makes the bytes of one file."""

    def head(self) -> bytes:
        """Called once, first."""

    def body(self, batch: Batch) -> bytes:
        """Called for each batch, in the order of the manifest."""

    def tail(self) -> Iterator[bytes]:
        """Called once, last."""


@runtime_checkable
class OmitsFile(Protocol):
    """A writer that finds out from the labels whether there is anything to write."""

    omitted: bool
    """Read after `tail`: whether no file is to be there."""


class FolderWriter(Protocol):
    """Writes files below the folder that it was made with."""

    def add(self, part: str, batch: Batch) -> None:
        """Called for each batch of each part, in the order of the manifest; without a split, `part` is ``""``."""

    def finish(self) -> None:
        """Called once, last: also when there was no batch."""


class Output(Protocol):
    """An open file or folder of an export."""

    def add(self, batches: Mapping[str, Batch]) -> None:
        """Takes the whole batch (`WHOLE`), and with a split what of it is in each part."""

    def finish(self) -> None:
        """Called once, when everything that was given to `WriteBytes` is written."""


WriteBytes = Callable[[BinaryIO, bytes], None]
"""Writes to a file, in the order of the calls, perhaps in another thread."""


class Format(Protocol):
    """An entry of the table of formats: see `registry.FORMATS`."""

    @property
    def campaign_name(self) -> str:
        """Its name in the `export.formats` of a campaign file, which several may share; empty: not offered there."""

    @property
    def cannot_hold(self) -> Mapping[Content, str]:
        """What the format loses, and what becomes of it: the receipt has the number of each."""

    def suits(self, export: Export) -> bool:
        """Whether there is anything to write with this schema and split."""

    def parts(self, export: Export) -> tuple[str, ...]:
        """Parts of the split that are an output of their own, beside the whole."""

    def path(self, folder: Path, title: str, part: str = WHOLE) -> Path: ...

    def open(self, path: Path, export: Export, part: str, write: WriteBytes) -> AbstractContextManager[Output]:
        """Begins an output. It appears at `path`, whole, when the context ends well."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """One file, and with a split one more for each part."""

    name: str
    """Follows the title; ``{part}`` becomes an underscore and the part, or nothing: ``"_coco{part}.json"``."""
    writer: Callable[[Export], FileWriter]
    campaign_name: str = ""
    geometries: frozenset[Geometry] = frozenset(Geometry)
    """The file is written when a label of the schema has one of these."""
    beside: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """Further files of the same folder, name to content. They appear after the file."""
    only_with_split: bool = False
    """Written once when there is a split, and not at all without."""
    cannot_hold: Mapping[Content, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the format loses, and what becomes of it."""

    def suits(self, export: Export) -> bool:
        return _has_geometry(export.schema, self.geometries) and (export.split is not None or not self.only_with_split)

    def parts(self, export: Export) -> tuple[str, ...]:
        return () if self.only_with_split else export.parts

    def path(self, folder: Path, title: str, part: str = WHOLE) -> Path:
        return Path(folder) / (file_stem(title) + self.name.format(part=f"_{part}" if part else ""))

    @contextmanager
    def open(self, path: Path, export: Export, part: str, write: WriteBytes) -> Iterator[Output]:
        writer, omitted = self.writer(export), False
        with suppress(_Omitted), whole_file(path) as file:
            yield _FileOutput(writer, file, part, write)
            omitted = isinstance(writer, OmitsFile) and writer.omitted
            if omitted:
                raise _Omitted
        if omitted:
            self._remove(path)
            return
        for name, content in self.beside.items():
            with whole_file(path.with_name(name)) as file:
                file.write(content)

    def _remove(self, path: Path) -> None:
        """Removes the file of an earlier export, and the folder if it was only for this file."""
        for name in (path.name, *self.beside):
            path.with_name(name).unlink(missing_ok=True)
        if self.beside:
            path.parent.rmdir()


@dataclass(frozen=True, slots=True)
class FolderFormat:
    """One folder for everything; its writer decides how the parts of a split are laid out in it."""

    name: str
    """Follows the title: ``"_yolo"``."""
    writer: Callable[[Export, Path], FolderWriter]
    """Is given the folder to write into: empty, and moved to its place when all is whole."""
    campaign_name: str = ""
    geometries: frozenset[Geometry] = frozenset(Geometry)
    cannot_hold: Mapping[Content, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the format loses, and what becomes of it."""
    convention: str = ""
    """What readers have to know of its coordinates: for the receipt."""
    library: str = ""
    """The module without which it cannot be written; the extra that installs it has the format's name."""

    def suits(self, export: Export) -> bool:
        return _has_geometry(export.schema, self.geometries)

    def parts(self, export: Export) -> tuple[str, ...]:
        return ()

    def path(self, folder: Path, title: str, part: str = WHOLE) -> Path:
        return Path(folder) / (file_stem(title) + self.name)

    @contextmanager
    def open(self, path: Path, export: Export, part: str, write: WriteBytes) -> Iterator[Output]:
        with whole_folder(path) as folder:
            yield _FolderOutput(self.writer(export, folder), export.parts or (WHOLE,))


@dataclass(frozen=True, slots=True)
class _FileOutput:
    writer: FileWriter
    file: BinaryIO
    part: str
    write: WriteBytes

    def __post_init__(self) -> None:
        self.write(self.file, self.writer.head())

    def add(self, batches: Mapping[str, Batch]) -> None:
        if self.part in batches:
            self.write(self.file, self.writer.body(batches[self.part]))

    def finish(self) -> None:
        self.file.writelines(self.writer.tail())


@dataclass(frozen=True, slots=True)
class _FolderOutput:
    writer: FolderWriter
    parts: tuple[str, ...]

    def add(self, batches: Mapping[str, Batch]) -> None:
        for part in self.parts:
            if part in batches:
                self.writer.add(part, batches[part])

    def finish(self) -> None:
        self.writer.finish()


def _has_geometry(schema: LabelSchema, geometries: frozenset[Geometry]) -> bool:
    return any(label.geometry in geometries for label in schema.labels)
