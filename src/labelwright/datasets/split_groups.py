"""Groups of images that a split keeps together: those of a folder, of a pattern in their names, or of a manifest.

A group is assigned by the hash of its own name, so that it stays in its part when groups and images are added.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum


class SplitBy(StrEnum):
    """What is assigned as a whole; the values are those of `export.split.by` in campaign files."""

    IMAGE = "image"
    FOLDER = "folder"
    NAME_PATTERN = "name-pattern"
    GROUP = "group"

    @property
    def plural(self) -> str:
        """For messages."""
        return {SplitBy.IMAGE: "images", SplitBy.FOLDER: "folders"}.get(self, "groups")


@dataclass(frozen=True, slots=True)
class Grouping:
    """How images are grouped. `pattern`: a regular expression, for NAME_PATTERN. Raises ValueError."""

    by: SplitBy = SplitBy.IMAGE
    pattern: str = ""

    def __post_init__(self) -> None:
        if (self.by is SplitBy.NAME_PATTERN) != bool(self.pattern):
            raise ValueError("a split by name-pattern needs 'pattern', a regular expression; other splits have none")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"the pattern '{self.pattern}' is not a regular expression: {error}") from None

    def group_of(self, name: str, group: str | None) -> str | None:
        """The image's group by its name (relative, forward slashes) and the group of the manifest.

        None for an image without one, which is assigned by itself: its name does not match, or its cell is empty.
        """
        if self.by is SplitBy.FOLDER:
            return name.rpartition("/")[0]
        if self.by is SplitBy.GROUP:
            return group or None
        match = re.search(self.pattern, name) if self.by is SplitBy.NAME_PATTERN else None
        if match is None:
            return None
        return "/".join(text or "" for text in match.groups()) if match.re.groups else match[0]

    def digest_of(self, name: str, sha256: str, group: str | None) -> str:
        """The hexadecimal digits that decide on the image's part."""
        own = self.group_of(name, group)
        return sha256 if own is None else hashlib.sha256(f"{self.by.value}\n{own}".encode()).hexdigest()


BY_IMAGE = Grouping()
