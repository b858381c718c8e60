"""A long JSON answer, read object by object: Sonoma Creek gives up to 100,000 media in one."""

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
    """Each object of the list `name` of a JSON object; returns the object's other members.

    Raises PlatformUnavailable for what is not JSON, PlatformRefused when the list is missing or is none.
    """
    rest: dict[str, Any] = {}
    found, broken = False, False
    try:
        text = body.decode("utf-8")
        at = _after(text, 0, "{")
        ended = text[at] == "}"
        while not ended:
            key, at = _DECODER.raw_decode(text, at)
            at = _after(text, at, ":")
            if key == name and text[at] == "[":
                found = True
                at = _after(text, at, "[")
                number = 0
                while text[at] != "]":
                    one, at = _DECODER.raw_decode(text, at)
                    yield Fields(NAME, operation, one, f"{name}[{number}]")
                    number += 1
                    at = _blank(text, at)
                    if text[at] != "]":
                        at = _after(text, at, ",")
                at = _blank(text, at + 1)
            else:
                rest[key], at = _DECODER.raw_decode(text, at)
                at = _blank(text, at)
            ended = text[at] == "}"
            at = at if ended else _after(text, at, ",")
    except (ValueError, IndexError, TypeError):
        broken = True
    if broken:
        advice = "Something between here and the platform may have answered in its place: try again."
        raise PlatformUnavailable(NAME, operation, status=200, message="the answer is not valid JSON", advice=advice)
    members = Fields(NAME, operation, rest)
    if not found:
        members.list(name)  # refuses: it is missing, or something else
    return members


def _after(text: str, at: int, mark: str) -> int:
    """Behind a mark and blanks. Raises ValueError when it is not there."""
    at = _blank(text, at)
    if text[at] != mark:
        raise ValueError(mark)
    return _blank(text, at + 1)


def _blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at
