"""Labels in, bytes out: one writer a file format, and the gate before anything is registered."""

from labelwright.domain.spreadsheets import defuse, undefuse

from .names import file_stem, title_of
from .readers.labels_csv import read_labels_csv
from .receipts import dataset_receipt
from .splits import Split
from .spool.batch import Batch, Delivered, ManifestImages, StockedImage
from .spool.page_file import SpoolDamaged
from .spool.spool import Spool, SpooledLabels
from .statistics import Statistics, count
from .validation import Finding, GatePassed, GateRefused, check
from .writers.registry import (
    FORMATS,
    JSONL,
    MLTABLE,
    Format,
    NotDelivered,
    UnknownFormat,
    Writer,
    write_file,
    write_many,
)

__all__ = [
    "FORMATS",
    "JSONL",
    "MLTABLE",
    "Batch",
    "Delivered",
    "Finding",
    "Format",
    "GatePassed",
    "GateRefused",
    "ManifestImages",
    "NotDelivered",
    "Split",
    "Spool",
    "SpoolDamaged",
    "SpooledLabels",
    "Statistics",
    "StockedImage",
    "UnknownFormat",
    "Writer",
    "check",
    "count",
    "dataset_receipt",
    "defuse",
    "file_stem",
    "read_labels_csv",
    "title_of",
    "undefuse",
    "write_file",
    "write_many",
]
