"""Reads JSON of a platform field by field. A field that is missing or of another type is refused by its name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

from labelwright.platforms.errors import PlatformRefused

from .error_messages import cut_masked

_LARGEST = 2**1023
_ADVICE = "Is this the platform and the version that the settings name?"


class Fields:
    """A JSON object of a response. `where` is its path in the response, as in `images[3]`.

    Every method raises PlatformRefused with the field's name: a response of another format will not change when the
    request is repeated.
    """

    def __init__(self, platform: str, operation: str, json: Any, where: str = "") -> None:
        self.platform = platform
        self.operation = operation
        self.where = where
        if not isinstance(json, dict):
            self._malformed(where or "the answer", f"is {_kind(json)}, not an object")
        self.json: dict[str, Any] = json

    def has(self, name: str) -> bool:
        """Returns whether the field exists and is not null."""
        return self.json.get(name) is not None

    def text(self, name: str) -> str:
        value = self._value(name)
        if not isinstance(value, str):
            self.refuse(name, f"is {_kind(value)}, not a text")
        return value

    def id(self, name: str) -> str:
        """Returns an id, a number or a text, as text."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            self.refuse(name, f"is {_kind(value)}, not an id")
        return str(value)

    def whole(self, name: str) -> int:
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, f"is {_kind(value)}, not a whole number")
        return value

    def number(self, name: str) -> float:
        return self.as_number(name, self._value(name))

    def as_number(self, name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(name, f"is {_kind(value)}, not a number")
        if isinstance(value, int) and abs(value) > _LARGEST:  # more than a float can hold
            self.refuse(name, "is too large a number")
        return value

    def list(self, name: str) -> list[Any]:
        value = self._value(name)
        if not isinstance(value, list):
            self.refuse(name, f"is {_kind(value)}, not a list")
        return value

    def moment(self, name: str) -> datetime | None:
        """Returns a time in UTC; None when it is missing or cannot be read. Without a time zone it is taken as UTC."""
        value = self.json.get(name)
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else None
            if moment is None or moment.tzinfo is UTC:
                return moment
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            return None

    def inner(self, name: str) -> Fields:
        return Fields(self.platform, self.operation, self._value(name), self._place(name))

    def each(self, name: str) -> Iterator[Fields]:
        """Yields the objects of a list."""
        for number, item in enumerate(self.list(name)):
            yield Fields(self.platform, self.operation, item, f"{self._place(name)}[{number}]")

    def refuse(self, name: str, fault: str) -> NoReturn:
        self._malformed(self._place(name), fault)

    def _value(self, name: str) -> Any:
        if name not in self.json:
            self.refuse(name, "is missing")
        return self.json[name]

    def _place(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where and name else self.where or name

    def _malformed(self, place: str, fault: str) -> NoReturn:
        raise PlatformRefused(
            self.platform, self.operation, status=200, message=cut_masked(f"{place} {fault}"), advice=_ADVICE
        ) from None


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}.get(
        type(value), "an object"
    )
