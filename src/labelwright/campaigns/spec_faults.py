"""Messages for everything that is wrong with a campaign file: each with its line, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from .spec_group import Faults
from .yaml_loader import line_of, misread, node_at

Place = tuple[Any, ...]


class FaultList:
    """Collects the faults of one file, in the order of its lines."""

    def __init__(self, source: str, node: yaml.Node | None, models: Mapping[str, type[BaseModel]]) -> None:
        """models: the model of each group by its key; of the whole document by the empty key."""
        self._source, self._node, self._models = source, node, models
        self._lines: list[tuple[int, str]] = []

    def add_lines(self, faults: Iterable[tuple[int, str]]) -> None:
        self._lines += [(line, f"{self._source}, line {line}: {message}") for line, message in faults]

    def add_validation(self, error: ValidationError, *group: str) -> None:
        """group: the place of the group that was validated by itself."""
        for fault in error.errors(include_url=False):
            cause, place = fault.get("ctx", {}).get("error"), (*group, *fault["loc"])
            if isinstance(cause, Faults):
                for inner, message in cause.faults:
                    self.add((*place, *inner), message)
            else:
                self.add(place, self._message(fault, place), fault["type"])

    def add(self, place: Place, message: str, kind: str = "") -> None:
        line = line_of(self._node, place)
        where = f"{self._source}, line {line}" if line else self._source
        key = ".".join(str(part) for part in place)
        unquoted = misread(node_at(self._node, place)) if kind in _OTHER_TYPE else None
        if unquoted is not None:
            message = unquoted
        elif kind == "missing":
            key, message = "", f"'{key}' is missing"
        elif kind == "extra_forbidden" or message.startswith(key):
            key = ""
        text = f"{where}: {key + ': ' if key else ''}{message}"
        if not any(text == other for _, other in self._lines) and not self._is_known(line, place):
            self._lines.append((line or 0, text))

    def _is_known(self, line: int | None, place: Place) -> bool:
        """Whether the value is one that YAML could not read, which its own fault says."""
        node = node_at(self._node, place)
        if line is None or not isinstance(node, yaml.ScalarNode):
            return False
        return any(other == line and f"'{node.value[:100]}' is not a valid" in text for other, text in self._lines)

    def _message(self, fault: Mapping[str, Any], at: Place) -> str:
        if fault["type"] != "extra_forbidden":
            return str(fault["msg"]).removeprefix("Value error, ")
        *group, key = at
        known = list(self._model_of(group).model_fields)
        place = ".".join(str(part) for part in at)
        return f"unknown key '{place}'{nearest(str(key), known)} (allowed here: {', '.join(known)})"

    def _model_of(self, place: Iterable[Any]) -> type[BaseModel]:
        model = self._models[""]
        for part in place:
            model = self._models.get(part, model) if isinstance(part, str) else model
        return model

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __iter__(self) -> Iterator[str]:
        """The messages in the order of their lines; those without a line come last."""
        return iter([text for _, text in self._in_order()])

    def line_numbers(self) -> list[int | None]:
        """The line of each message, None for one without a line."""
        return [line or None for line, _ in self._in_order()]

    def _in_order(self) -> list[tuple[int, str]]:
        return sorted(self._lines, key=lambda fault: fault[0] or float("inf"))


_OTHER_TYPE = frozenset({"string_type", "model_type", "model_attributes_type", "dict_type", "list_type", "enum"})
"""Faults of values that are no text, list or group: perhaps YAML has read a text as something else."""


def nearest(word: str, candidates: Iterable[str]) -> str:
    close = difflib.get_close_matches(word.lower(), list(candidates), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""
