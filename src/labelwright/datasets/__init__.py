"""Writes labels as datasets: pages on disk, validation, one writer per export format, statistics and receipts."""

from labelwright.domain.spreadsheets import defuse, undefuse

from .delivery import Delivery, ListedImage, Reason
from .names import file_stem, title_of
from .readers.labels_csv import read_labels_csv
from .receipts import dataset_receipt
from .splits import Split
from .spool.batch import Batch, Delivered, ManifestImages, StockedImage
from .spool.page_file import SpoolDamaged
from .spool.spool import Spool, SpooledLabels
from .statistics import Statistics, count
from .validation import Finding, NotReady, ValidationFailed, ValidationPassed, check_delivery, validate_labels
from .writers.errors import NotDelivered
from .writers.formats import Export, FileFormat, FileWriter, FolderFormat, FolderWriter, Format
from .writers.registry import FORMATS, UnknownFormat, campaign_formats, output_names
from .writers.writing import write_file, write_many

__all__ = [
    "FORMATS",
    "Batch",
    "Delivered",
    "Delivery",
    "Export",
    "FileFormat",
    "FileWriter",
    "Finding",
    "FolderFormat",
    "FolderWriter",
    "Format",
    "ListedImage",
    "ManifestImages",
    "NotDelivered",
    "NotReady",
    "Reason",
    "Split",
    "Spool",
    "SpoolDamaged",
    "SpooledLabels",
    "Statistics",
    "StockedImage",
    "UnknownFormat",
    "ValidationFailed",
    "ValidationPassed",
    "campaign_formats",
    "check_delivery",
    "count",
    "dataset_receipt",
    "defuse",
    "file_stem",
    "output_names",
    "read_labels_csv",
    "title_of",
    "undefuse",
    "validate_labels",
    "write_file",
    "write_many",
]
