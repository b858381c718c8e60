"""Labels in, bytes out: one writer a file format, and the gate before anything is registered."""

from labelwright.domain.spreadsheets import defuse, undefuse

from .formats import FORMATS, JSONL, MLTABLE, Format, NotDelivered, UnknownFormat, Writer, write_file, write_many
from .gate import Finding, GatePassed, GateRefused, check
from .page import SpoolDamaged
from .reading import read_labels_csv
from .receipts import dataset_receipt
from .records import Batch, Delivered, Stock, StockedImage
from .split import Split
from .spool import Spool, SpooledLabels
from .statistics import Statistics, count
from .titles import file_stem, title_of

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
    "NotDelivered",
    "Split",
    "Spool",
    "SpoolDamaged",
    "SpooledLabels",
    "Statistics",
    "Stock",
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
