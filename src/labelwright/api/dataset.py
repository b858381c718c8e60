"""A registered version of a dataset as an object."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from labelwright.campaigns.notebook_tables import facts_as_html, rows_as_html

if TYPE_CHECKING:
    import pandas as pd
    from pycocotools.coco import COCO

    from labelwright.datasets.comparison.diff import Comparison
    from labelwright.tasks.context import CampaignContext


@dataclass(frozen=True, slots=True)
class DatasetImage:
    """An image of a version. `name` is that of the source; width and height are what labelers see, in pixels."""

    name: str
    sha256: str
    width: int
    height: int
    location: str
    """Where the campaign took it from: a path, an address or the name of a blob."""
    _context: CampaignContext = field(repr=False)

    @property
    def path(self) -> Path | None:
        """The file on this machine; None for images that are elsewhere: `read` gets them."""
        path = Path(self.location)
        return path if path.is_absolute() and path.is_file() else None

    def read(self) -> bytes:
        """The bytes of the file. Raises CannotRun when it is gone, or is not the file that was labeled."""
        from labelwright.domain.errors import OriginalImageGone
        from labelwright.ingest import CannotRead, SourceError

        try:
            with self._context.source.open(self.location) as file:
                data = file.read()
        except (CannotRead, SourceError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise OriginalImageGone(f"{self.name} cannot be read ({reason}): put the original image back") from None
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise OriginalImageGone(f"{self.name} was changed after it was labeled: put the original image back")
        return data


@dataclass(frozen=True, slots=True)
class Verification:
    """How a version compares with what was registered. It is true when nothing is wrong."""

    wrong: list[str]
    unchecked: list[str]
    """What could not be compared, and why."""
    repair: str
    """How to repair what is wrong; empty when nothing is."""

    def __bool__(self) -> bool:
        return not self.wrong


class Dataset:
    """A version of a dataset. Versions never change. See `Dataset.open`, `datasets` and `Campaign.datasets`."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        """record: a version as the ledger lists it."""
        self._record = dict(record)

    @classmethod
    def open(cls, name: str, version: str | int | None = None) -> Dataset:
        """A version of a dataset, such as `river_labels`; by default the newest. Raises CannotRun."""
        from labelwright.campaigns.lineage import find_dataset
        from labelwright.tasks.context import the_ledger

        return cls(find_dataset(the_ledger(), name, None if version is None else str(version)))

    @property
    def name(self) -> str:
        return str(self._record["name"])

    @property
    def version(self) -> str:
        return str(self._record["version"])

    @property
    def campaign(self) -> str:
        """Title of its campaign."""
        return str(self._record["campaign"])

    @property
    def platform(self) -> str:
        return str(self._record["platform"])

    @property
    def store(self) -> str:
        """local or azure_ml."""
        return str(self._record["store"])

    @property
    def location(self) -> str:
        """The folder of the version, or its address in Azure ML."""
        return str(self._record["location"])

    @property
    def newest(self) -> bool:
        """Whether no other version was exported later, when this object was made."""
        return bool(self._record["newest"])

    @cached_property
    def receipt(self) -> dict[str, Any]:
        """Counts, hashes, what was left out, and the versions of the programs. Raises DatasetGone, DatasetElsewhere."""
        from labelwright.tasks.export.registered import receipt_of

        return receipt_of(self.name, self.version)[1]

    @overload
    def to_coco(self, as_: Literal["dict"] = "dict") -> dict[str, Any]: ...

    @overload
    def to_coco(self, as_: Literal["pycocotools"]) -> COCO: ...

    def to_coco(self, as_: Literal["dict", "pycocotools"] = "dict") -> Any:
        """The labels as COCO has them: a dict, or an object of pycocotools with its index made.

        Raises CannotRun for a dataset of images, and when the campaign does not export coco.
        """
        with self._file("_coco.json", "coco") as path:
            document = json.loads(path.read_bytes())
        if as_ == "dict":
            return document
        from pycocotools.coco import COCO

        coco = COCO()
        coco.dataset = document
        coco.createIndex()
        return coco

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each object, and one with the label "" for each image without objects; corners in pixels.

        Of a dataset of images, one row for each image. Raises CannotRun when the campaign does not export csv.
        """
        if self._kind == "images":
            import pandas as pd

            with self._file("_images.csv", "csv") as path:
                return pd.read_csv(path, keep_default_na=False)
        from labelwright.datasets.readers.labels_csv import read_labels_csv

        with self._file("_labels.csv", "csv") as path:
            return read_labels_csv(path)

    def images(self) -> Iterator[DatasetImage]:
        """The images of this version, in the order of their ids in the files."""
        with self._file(f"_{self._kind}.csv", "csv") as path:
            positions = set(_image_ids(path))
        rows = enumerate(self._context.ledger.manifests.image_rows(self.campaign), 1)
        for position, row in rows:
            if position in positions:
                name = row.source_name or row.name
                yield DatasetImage(name, row.sha256, row.width, row.height, row.location, self._context)

    def diff(self, other: Dataset | None = None, *, tolerance: float = 0.0, most: int = 1000) -> Comparison:
        """What changed from another version to this one; by default from the version that was exported before.

        tolerance: pixels that a corner may move without counting as moved. most: changes that are listed one by one.
        Raises CannotRun, also when there is no version before.
        """
        from labelwright.domain.errors import UnknownDataset
        from labelwright.tasks.export.comparison import compare_versions

        if other is None:
            earlier = [
                dataset
                for dataset in datasets(self.campaign)
                if dataset.name == self.name and dataset._exported_at < self._exported_at
            ]
            if not earlier:
                raise UnknownDataset(f"{self.name} has no version before {self.version}: name the one to compare with")
            other = max(earlier, key=lambda dataset: dataset._exported_at)
        return compare_versions(other._record, self._record, tolerance=tolerance, most=most)

    def lineage(self, object_id: int) -> dict[str, Any]:
        """Where an object comes from: its image, campaign, labeler and other datasets.

        object_id: the id of its annotation in `to_coco`. Raises CannotRun for an id that the version does not have.
        """
        from labelwright.campaigns.lineage import lineage
        from labelwright.tasks.export.statistics import object_of

        found = object_of(self._record, object_id)
        return {"object": found, **lineage(self._context.ledger, self._context.settings, found["sha256"])}

    def verify(self, *, deep: bool = False) -> Verification:
        """Compares files and images with what was registered. deep: read every byte, not only sizes and stored MD5s.

        Raises CannotRun, DatasetElsewhere, PlatformError.
        """
        from labelwright.campaigns.dataset_places import refuse_elsewhere
        from labelwright.tasks.export.registered import verify_registered

        refuse_elsewhere(self._record, self._context.settings, f"labelwright datasets verify {self.name}")
        (found,) = verify_registered(self.name, self.version, deep=deep)
        return Verification(found["wrong"], found["unchecked"], found["repair"])

    @cached_property
    def _context(self) -> CampaignContext:
        from labelwright.tasks.context import CampaignContext

        return CampaignContext(self.campaign)

    @property
    def _kind(self) -> str:
        return "images" if self.name.endswith("_images") else "labels"

    @property
    def _exported_at(self) -> Any:
        return self._record["exported_at"]

    @contextmanager
    def _file(self, ending: str, format_name: str) -> Iterator[Path]:
        """A file of the version, which may be a copy that lasts as long as the context. Raises CannotRun."""
        from labelwright.campaigns.dataset_places import refuse_elsewhere
        from labelwright.datasets.names import file_stem
        from labelwright.domain.errors import DatasetFileMissing
        from labelwright.tasks.export.registration import as_registered
        from labelwright.tasks.export.stores import store_that_holds

        context = self._context
        refuse_elsewhere(self._record, context.settings, "this")
        store = store_that_holds(self.location, context.spec.export, context.settings)
        with tempfile.TemporaryDirectory() as folder:
            path = store.file(as_registered(self._record), file_stem(self.campaign) + ending, Path(folder))
            if path is None:
                raise DatasetFileMissing(
                    f"{self.name}, version {self.version}, has no file {file_stem(self.campaign)}{ending}: it is a "
                    f"dataset of {self._kind}, its campaign's export.formats lack {format_name}, or the file is gone "
                    f"(labelwright datasets verify {self.name})"
                )
            yield path

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, version {self.version})"

    def _repr_html_(self) -> str:
        names = ("campaign", "platform", "images", "location", "exported_at")
        return facts_as_html(f"{self.name}, version {self.version}", {name: self._record.get(name) for name in names})


class Datasets(Sequence[Dataset]):
    """Registered versions. Notebooks show them as a table."""

    def __init__(self, items: Iterable[Dataset]) -> None:
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: Any) -> Any:
        return Datasets(self._items[place]) if isinstance(place, slice) else self._items[place]

    def __repr__(self) -> str:
        return f"Datasets({self._items})"

    def _repr_html_(self) -> str:
        rows = ((item.name, item.version, item.campaign, item.platform, item.location) for item in self._items)
        return rows_as_html(("dataset", "version", "campaign", "platform", "location"), rows)


def datasets(campaign: str | None = None) -> Datasets:
    """Every registered version of the ledger, or of one campaign, those of the newest campaign first."""
    from labelwright.campaigns.lineage import list_datasets
    from labelwright.tasks.context import the_ledger

    return Datasets(Dataset(record) for record in list_datasets(the_ledger(), campaign))


def _image_ids(path: Path) -> Iterator[int]:
    from labelwright.domain.spreadsheets import large_cells

    with large_cells(), path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        place = next(rows).index("image_id")
        for row in rows:
            yield int(row[place])
