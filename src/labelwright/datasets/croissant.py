"""`<title>_croissant.json`: describes the dataset's files in Croissant 1.0 (JSON-LD), for catalogues of datasets.

It lists every file at the top of the dataset with its SHA-256, and the columns of the CSV of labels as a record set. It
is written after the other files. `license`, `citation` and `description` are those of the campaign's metadata.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from .files import whole_file
from .names import file_stem
from .writers.labels_csv import COLUMNS, LABELS_CSV
from .writers.provenance import MODEL_VERSION, PLATFORM
from .writers.records import FRAME_COLUMNS

_MEDIA_TYPES = {".csv": "text/csv", ".json": "application/json", ".jsonl": "application/jsonlines"}
_INTEGERS = {"image_id", "image_width", "image_height", "frame"}
_NUMBERS = {"confidence", "xmin", "ymin", "xmax", "ymax", "time_seconds"}
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "samplingRate": "cr:samplingRate",
    "equivalentProperty": "cr:equivalentProperty",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The terms of the Croissant 1.0 specification, section "Appendix: JSON-LD context"."""


def write_croissant(
    folder: Path, title: str, *, published: datetime | None, platform: str, metadata: Mapping[str, Any]
) -> Path:
    """Describes the files of a folder. Returns the path of the description.

    Args:
        published: a moment that stays the same in every export.
        metadata: of the campaign; `license`, `citation`, `description` are taken from it.
    """
    path = folder / f"{file_stem(title)}_croissant.json"
    files = sorted(file for file in folder.iterdir() if file.is_file() and file != path)
    labels = LABELS_CSV.path(folder, title)
    digests = {file: _sha256(file) for file in files}
    whole = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": title,
        "description": metadata.get("description") or f"Images of {title} labeled on {platform}.",
        "version": f"1.0.0+{whole[:12]}",
        "citeAs": metadata.get("citation") or f"{title}, labeled on {platform}",
        **({"license": metadata["license"]} if metadata.get("license") else {}),
        **({"datePublished": published.date().isoformat()} if published is not None else {}),
        "distribution": [_file(file, digest) for file, digest in digests.items()],
        "recordSet": [_record_set(labels)] if labels in digests else [],
    }
    with whole_file(path) as file:
        file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file(path: Path, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
        "sha256": sha256,
    }


def _record_set(labels: Path) -> dict[str, Any]:
    """The rows of the CSV: one per object, and one for an image without objects."""
    with labels.open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    return {
        "@type": "cr:RecordSet",
        "@id": "labels",
        "name": "labels",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"labels/{column}",
                "name": column,
                "dataType": _data_type(column),
                "source": {"fileObject": {"@id": labels.name}, "extract": {"column": column}},
            }
            for column in (*COLUMNS, MODEL_VERSION, PLATFORM, *FRAME_COLUMNS)
            if column in header
        ],
    }


def _data_type(column: str) -> str:
    return "sc:Integer" if column in _INTEGERS else "sc:Float" if column in _NUMBERS else "sc:Text"
