"""Include and exclude patterns for file names, similar to .gitignore."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from unicodedata import normalize


class Patterns:
    """`**` matches any folders, `*` and `?` characters within a name, `[a-c]` one of several characters.

    Case is ignored (`*.jpg` matches `IMG_1.JPG`), and so is in which Unicode normal form a letter is written. A pattern
    without a slash matches names at any depth; one that ends with a slash matches the whole folder.
    """

    def __init__(self, include: Iterable[str] = ("**/*",), exclude: Iterable[str] = ()) -> None:
        self.include = tuple(include)
        self.exclude = tuple(exclude)
        self._include = tuple(_compiled(pattern) for pattern in self.include)
        self._exclude = tuple(_compiled(pattern) for pattern in self.exclude)

    def take(self, name: str) -> bool:
        """Whether a file with this relative name (forward slashes) is included."""
        name = normalize("NFC", name)
        return any(pattern.fullmatch(name) for pattern in self._include) and not self.leave_out(name)

    def leave_out(self, name: str) -> bool:
        """Whether an exclude pattern matches this file or folder; an excluded folder is not searched."""
        name = normalize("NFC", name)
        return any(pattern.fullmatch(name) or pattern.fullmatch(name + "/") for pattern in self._exclude)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    text = normalize("NFC", pattern).replace("\\", "/").removeprefix("./").lstrip("/")
    if text.endswith("/"):
        text += "**"
    if "/" not in text:
        text = f"**/{text}"
    parts = text.split("/")
    regex = ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            regex += ".*" if last else "(?:[^/]+/)*"
        else:
            regex += _segment(part) + ("" if last else "/")
    return re.compile(regex, re.IGNORECASE | re.DOTALL)


def _segment(part: str) -> str:
    regex, position = "", 0
    while position < len(part):
        character = part[position]
        position += 1
        if character == "*":
            regex += "[^/]*"
        elif character == "?":
            regex += "[^/]"
        elif character == "[" and (end := part.find("]", position + 1)) > 0:
            inside = part[position:end].replace("\\", "\\\\").replace("[", "\\[")
            regex += "[" + ("^" + inside[1:] if inside[0] in "!^" else inside) + "]"
            position = end + 1
        else:
            regex += re.escape(character)
    return regex
