"""Reads a long JSON list object by object: Sonoma Creek gives up to 100,000 media in one response."""

from __future__ import annotations

import re
from collections.abc import Generator
from json import JSONDecoder
from typing import Any

from labelwright.platforms.errors import PlatformUnavailable
from labelwright.platforms.http.json_fields import Fields

from .session import NAME

_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = JSONDecoder()


def objects(operation: str, body: bytes, name: str) -> Generator[Fields, None, Fields]:
    """Yields each object of the list `name` of a JSON object; returns the object's other members.

    Raises PlatformUnavailable for invalid JSON, PlatformRefused when the list is missing or not a list.
    """
    rest: dict[str, Any] = {}
    has_list, invalid = False, False
    try:
        text = body.decode("utf-8")
        position = _skip(text, 0, "{")
        ended = text[position] == "}"
        while not ended:
            key, position = _DECODER.raw_decode(text, position)
            position = _skip(text, position, ":")
            if key == name and text[position] == "[":
                has_list = True
                position = _skip(text, position, "[")
                number = 0
                while text[position] != "]":
                    item, position = _DECODER.raw_decode(text, position)
                    yield Fields(NAME, operation, item, f"{name}[{number}]")
                    number += 1
                    position = _skip_blanks(text, position)
                    if text[position] != "]":
                        position = _skip(text, position, ",")
                position = _skip_blanks(text, position + 1)
            else:
                rest[key], position = _DECODER.raw_decode(text, position)
                position = _skip_blanks(text, position)
            ended = text[position] == "}"
            position = position if ended else _skip(text, position, ",")
    except (ValueError, IndexError, TypeError):
        invalid = True
    if invalid:
        advice = "A proxy may have responded in place of the platform: try again."
        raise PlatformUnavailable(NAME, operation, status=200, message="the answer is not valid JSON", advice=advice)
    members = Fields(NAME, operation, rest)
    if not has_list:
        members.list(name)  # raises PlatformRefused: the list is missing, or is no list
    return members


def _skip(text: str, position: int, mark: str) -> int:
    """The position after blanks, the mark and blanks. Raises ValueError when the mark is not there."""
    position = _skip_blanks(text, position)
    if text[position] != mark:
        raise ValueError(mark)
    return _skip_blanks(text, position + 1)


def _skip_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position
