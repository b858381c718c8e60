"""Reads campaign files as YAML, with line numbers for error messages. Does not know the fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

_MAX_VALUES = 1_000_000
_YAML = "tag:yaml.org,2002:"


class SpecError(ValueError):
    """A campaign file that cannot be used. The message lists every fault with its line."""

    error_code = "LW1201"

    def __init__(self, message: str, lines: Sequence[int | None] = ()) -> None:
        super().__init__(message)
        self._lines = tuple(lines)

    @property
    def faults(self) -> list[tuple[str, int | None]]:
        """The message of each fault, and its line in the file where it has one."""
        messages = str(self).split("\n")
        lines = self._lines if len(self._lines) == len(messages) else (None,) * len(messages)
        return list(zip(messages, lines, strict=True))


@dataclass(frozen=True, slots=True)
class Document:
    """A campaign file as YAML reads it."""

    values: dict[str, Any]
    node: yaml.Node | None
    """For line numbers."""
    faults: list[tuple[int, str]] = field(default_factory=list)
    """Line and message of what is wrong with the YAML, besides the fields: keys listed twice, invalid dates."""


class _Loader(yaml.SafeLoader):
    """Collects values that look like a date or a number and are invalid, with their lines. Keys are texts as written:
    `no` is the language code, not false."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.faults: list[tuple[int, str]] = []

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError):
            kind = node.tag.rpartition(":")[2].replace("timestamp", "date")
            message = f"'{str(node.value)[:100]}' is not a valid {kind}; if it is text, put it in quotes"
            self.faults.append((node.start_mark.line + 1, f"this is not valid YAML: {message}"))
            return None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep) for key, value in node.value}


def _text(_loader: _Loader, node: yaml.Node) -> str:
    return str(node.value)


_Loader.add_constructor(f"{_YAML}value", _text)  # `=` and `<<` in a list are texts
_Loader.add_constructor(f"{_YAML}merge", _text)


def parse_document(text: str, source: str) -> tuple[dict[str, Any], yaml.Node | None]:
    """The document and its YAML node (for line numbers). Checks the YAML only. Raises SpecError."""
    document = read_document(text, source)
    if document.faults:
        text = "\n".join(f"{source}, line {line}: {message}" for line, message in document.faults)
        raise SpecError(text, [line for line, _ in document.faults])
    return document.values, document.node


def read_document(text: str, source: str) -> Document:
    """The document with the faults of its YAML. Raises SpecError for one that cannot be read to its end."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        faults = _structure_faults(node, source)
        loader = _Loader(text)
        try:
            document = loader.get_single_data()
        finally:
            loader.dispose()
    except RecursionError:
        raise SpecError(f"{source}: the lists are nested too deeply") from None
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", error))
        place = f"{source}, line {mark.line + 1}" if mark else source
        line = mark.line + 1 if mark else None
        raise SpecError(f"{place}: this is not valid YAML: {problem}{_advice(problem)}", [line]) from None
    if not isinstance(document, dict):
        listed = "".join(f"\n{source}, line {line}: {message}" for line, message in faults)
        raise SpecError(f"{source}: a campaign is a list of keys and values, such as 'title: my-campaign'{listed}")
    return Document(document, node, faults + loader.faults)


def _advice(problem: str) -> str:
    """What to write instead, for what people write without quotes."""
    if "\\t" in problem:
        return ". Indent with blanks, not with tabs"
    if "cannot start any token" in problem or "undefined alias" in problem or "undefined tag" in problem:
        return ". Put a text that begins with @, %, *, &, ! or ` in quotes"
    if "mapping values are not allowed" in problem:
        return ". Put a text with a colon and a blank in quotes"
    if "end of stream" in problem:
        return ". A quote or a bracket is not closed; put a text that begins with an apostrophe in double quotes"
    return ""


def node_at(node: yaml.Node | None, place: tuple[Any, ...]) -> yaml.Node | None:
    """The node of `place`; None when it is not in the file."""
    for part in place:
        inner = _inner(node, part)
        if inner is None:
            return None
        node = inner[1]
    return node


def line_of(node: yaml.Node | None, place: tuple[Any, ...]) -> int | None:
    """The line of the innermost part of `place` that is in the file."""
    line = None
    for part in place:
        inner = _inner(node, part)
        if inner is None:
            return line
        line, node = inner
    return line


def _inner(node: yaml.Node | None, part: Any) -> tuple[int, yaml.Node] | None:
    """The line and the node of a key or a position."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


_READ_AS = {"bool": "true or false", "int": "a number", "float": "a number", "timestamp": "a date"}


def misread(node: yaml.Node | None) -> str | None:
    """A sentence on a text without quotes that YAML takes for something else; None for every other node."""
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return None
    kind = node.tag.removeprefix(_YAML)
    if kind == "null" and not node.value:
        return "there is nothing: what follows a # is a comment. Put text that begins with # in quotes"
    if kind == "null":
        return f'YAML reads {node.value} as nothing: put it in quotes: "{node.value}"'
    if kind == "bool":
        value = yaml.SafeLoader.bool_values[node.value.lower()]
        return f'YAML reads {node.value} as {str(value).lower()}: put it in quotes: "{node.value}"'
    if kind in _READ_AS:
        return f'YAML reads {node.value} as {_READ_AS[kind]}: put it in quotes: "{node.value}"'
    return None


def _structure_faults(node: yaml.Node | None, source: str) -> list[tuple[int, str]]:
    """Line and message of keys that are no text, or listed twice. Raises SpecError for recursive or huge aliases."""
    sizes: dict[int, int] = {}
    """Number of values by node, aliases expanded; 0 while it is being counted."""
    faults: list[tuple[int, str]] = []

    def refuse(place: yaml.Node, message: str) -> NoReturn:
        line = place.start_mark.line + 1
        raise SpecError(f"{source}, line {line}: {message}", [line])

    def size_of(node: yaml.Node) -> int:
        size = sizes.get(id(node))
        if size is not None:
            return size or refuse(node, "an alias contains itself")
        sizes[id(node)], parts = 0, []
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    refuse(key, "a key must be text, not a list")
                if key.value in keys:
                    faults.append((key.start_mark.line + 1, f"'{key.value}' is listed twice"))
                keys.add(key.value)
                parts.append(value)
        elif isinstance(node, yaml.SequenceNode):
            parts = node.value
        size = 1 + sum(size_of(part) for part in parts)
        if size > _MAX_VALUES:
            refuse(node, f"with its aliases expanded, this has more than {_MAX_VALUES} values")
        sizes[id(node)] = size
        return size

    if node is not None:
        size_of(node)
    return faults
