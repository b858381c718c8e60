"""Images listed in a CSV manifest."""

from __future__ import annotations

import csv
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from labelwright.domain import Reject, UnsafeName, safe_name
from labelwright.domain.image_limits import MOST_BYTES
from labelwright.domain.paths import in_home, is_file, path_fault, shown_path
from labelwright.ingest.checks.duplicates import FirstSeen
from labelwright.platforms.protocol import Secret

from .local import CannotRead, SourceError, SourceFile, other_name, printable, source_file
from .urls import UrlBook, UrlFetcher, name_from_url

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_COLUMNS = ("path", "url", "file_name", "name", "sha256", "group")


class ManifestSource:
    """Columns: `path`, `url` or `file_name` (one of them per row), and optionally `name`, `sha256` and `group`.

    UTF-8 with or without a byte order mark; commas, semicolons or tabs. Relative paths start at the CSV's folder and
    must stay inside it; absolute paths may be anywhere. The order is that of the lines.
    """

    def __init__(
        self,
        csv_path: str | Path,
        *,
        max_bytes: int = MOST_BYTES,
        allow_private: bool = False,
        timeout: float = 30.0,
    ) -> None:
        self._path = in_home(csv_path)
        self._fetcher = UrlFetcher(max_bytes, allow_private, timeout)
        self._fault = path_fault(str(csv_path))
        self._folder = "" if self._fault else os.path.realpath(self._path.parent)
        self._book: UrlBook | None = None

    def find(self) -> Iterator[SourceFile | Reject]:
        shown = shown_path(self._path)
        if self._fault:
            raise SourceError(f"The manifest '{shown}' cannot be read: {self._fault}. Correct the path.")
        if not is_file(self._path):
            raise SourceError(f"There is no manifest '{shown}'. Check the path that says where the CSV file is.")
        return self._find()

    def _find(self) -> Iterator[SourceFile | Reject]:
        book, count = UrlBook(), 0
        with FirstSeen() as names:
            for line, row in self._rows():
                count += 1
                file = self._row(row, book, names)
                if isinstance(file, Reject):
                    yield Reject(file.name, f"line {line} of {self._path.name}: {file.reason}")
                else:
                    yield file
        self._book = book
        if not count:
            raise SourceError(f"The manifest '{self._path}' lists no images. Add one line for each image.")

    def open(self, location: str) -> BinaryIO:
        if not location.startswith(("http://", "https://")):
            return open(location, "rb")  # noqa: PTH123
        return self._fetcher.fetch(self._full(location))

    def url_for(self, location: str, seconds: float) -> Secret | None:
        """The image's own URL with its signature; None for files."""
        return Secret(self._full(location)) if location.startswith(("http://", "https://")) else None

    def _full(self, location: str) -> str:
        book = self._book
        if book is None:
            book = UrlBook()
            for _, row in self._rows():
                if row["url"]:
                    with suppress(CannotRead):
                        book.enter(row["url"])
            self._book = book  # assigned when complete, since other threads read it
        return book.full(location)

    def _row(self, row: dict[str, str], book: UrlBook, names: FirstSeen) -> SourceFile | Reject:
        place = row["path"] or row["file_name"]
        shown = row["name"] or place or (name_from_url(row["url"]) if row["url"] else "")
        sha256 = row["sha256"].lower() or None
        fault = None
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            fault = f"'{sha256}' is not a SHA-256: that has 64 hexadecimal digits"
        elif place and row["url"]:
            fault = "both a path and a URL are given: leave one of them empty"
        elif not place and not row["url"]:
            fault = "neither a path nor a URL is given"
        if fault:
            return Reject(shown, fault)
        if row["url"]:
            return self._url(row, sha256, book, names)
        return self._file(place, row["name"], sha256, row["group"] or None)

    def _file(self, place: str, name: str, sha256: str | None, group: str | None) -> SourceFile | Reject:
        if fault := path_fault(place):
            return Reject(printable(name or place), fault)
        if Path(place).is_absolute():
            return source_file(Path(place), name or Path(place).name, sha256, group)
        place = self._on_disk(place)
        path = os.path.realpath(os.path.join(self._folder, place))  # noqa: PTH118
        if not path.startswith(self._folder + os.sep):
            why = f"'{place}' is outside the manifest's folder: use an absolute path"
            return Reject(name or place, why)
        return source_file(Path(path), name or posixpath.normpath(place), sha256, group)

    def _on_disk(self, place: str) -> str:
        """The path with forward slashes, unless a file has a backslash in its name. Tools write lists in Unicode NFC
        of files whose names are in NFD, and the other way round: a file of such a name is taken."""
        forward = place.replace("\\", "/").removeprefix("./")
        spellings = [forward, place, *(unicodedata.normalize(form, forward) for form in ("NFC", "NFD"))]
        paths = ((spelling, os.path.join(self._folder, spelling)) for spelling in spellings)  # noqa: PTH118
        # pathlib's exists() raises for names that are too long.
        return next((spelling for spelling, path in paths if os.path.exists(path)), forward)  # noqa: PTH110

    def _url(self, row: dict[str, str], sha256: str | None, book: UrlBook, names: FirstSeen) -> SourceFile | Reject:
        url, name, group = row["url"], row["name"], row["group"] or None
        try:
            location = book.enter(url)
        except CannotRead as error:
            return Reject(name or "(URL)", str(error))
        try:
            safe = safe_name(name or name_from_url(url))
            unique = safe if name else names.unique(safe)
        except UnsafeName as error:
            return Reject(printable(name or name_from_url(url)), str(error))
        source_name = other_name(name or name_from_url(url), safe) if unique == safe else None
        return SourceFile(unique, location, sha256=sha256, source_name=source_name, group=group)

    def _rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """The line number, and every known column with its text stripped ('' when the column or the cell is absent)."""
        reader = None
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                delimiter, skipped = _delimiter(file)
                reader = csv.reader(file, delimiter=delimiter)
                header = [cell.strip().lower() for cell in next(reader, [])]
                self._check_header(header, skipped + 1)
                for cells in reader:
                    if any(cell.strip() for cell in cells):
                        row = dict.fromkeys(_COLUMNS, "")
                        row.update((key, cell.strip()) for key, cell in zip(header, cells, strict=False) if key in row)
                        yield reader.line_num + skipped, row
        except UnicodeDecodeError:
            near = f" near line {reader.line_num + 1}" if reader is not None else ""
            raise SourceError(
                f"The manifest '{self._path}' is not UTF-8{near}. Save it again as 'CSV UTF-8' (in Excel: Save as)."
            ) from None
        except csv.Error as error:
            line = reader.line_num if reader is not None else 1
            raise SourceError(
                f"The manifest '{self._path}' cannot be read at line {line}: {error}. Correct that line."
            ) from None
        except OSError as error:
            raise SourceError(
                f"The manifest '{self._path}' cannot be read ({error.strerror}). "
                "Give the user that runs Labelwright read access."
            ) from None

    def _check_header(self, header: list[str], line: int) -> None:
        if not any(column in header for column in ("path", "url", "file_name")):
            raise SourceError(
                f"The manifest '{self._path}' has no column 'path', 'url' or 'file_name' in line {line} (it has: "
                f"{', '.join(filter(None, header)) or 'nothing'}). Name the column that says where the images are."
            )
        for column in _COLUMNS:
            if header.count(column) > 1:
                raise SourceError(f"The manifest '{self._path}' has two columns '{column}' in line {line}. Remove one.")


def _delimiter(file: TextIO) -> tuple[str, int]:
    """The delimiter, and the number of lines before the header (Excel's `sep=;`)."""
    line, skipped = file.readline(), 0
    if line.lower().startswith("sep=") and len(line.strip()) == 5:
        return line.strip()[4], 1
    file.seek(0)
    return max(",;\t", key=line.count), skipped
