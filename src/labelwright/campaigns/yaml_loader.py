"""Reads campaign files as YAML, with line numbers for error messages. Does not know the fields."""

from __future__ import annotations

from typing import Any, NoReturn

import yaml

_MAX_VALUES = 1_000_000


class SpecError(ValueError):
    """A campaign file that cannot be used. The message lists every fault with its line."""


class _Loader(yaml.SafeLoader):
    """Adds the line to errors of values that look like a date or a number and are invalid."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError):
            kind = node.tag.rpartition(":")[2].replace("timestamp", "date")
            message = f"'{str(node.value)[:100]}' is not a valid {kind}; if it is text, put it in quotes"
            raise yaml.constructor.ConstructorError(None, None, message, node.start_mark) from None


def parse_document(text: str, source: str) -> tuple[dict[str, Any], yaml.Node | None]:
    """The document and its YAML node (for line numbers). Checks the YAML only. Raises SpecError."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _validate_yaml_structure(node, source)
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a SafeLoader
    except RecursionError:
        raise SpecError(f"{source}: the lists are nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source}, line {mark.line + 1}" if mark else source
        raise SpecError(f"{place}: this is not valid YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(document, dict):
        raise SpecError(f"{source}: a campaign is a list of keys and values, such as 'title: my-campaign'")
    return document, node


def line_of(node: yaml.Node | None, place: tuple[Any, ...]) -> int | None:
    """The line of the innermost part of `place` that is in the file."""
    line = None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _validate_yaml_structure(node: yaml.Node | None, source: str) -> None:
    """Raises SpecError for duplicate or non-text keys, and for recursive or huge aliases."""
    sizes: dict[int, int] = {}
    """Number of values by node, aliases expanded; 0 while it is being counted."""

    def refuse(place: yaml.Node, message: str) -> NoReturn:
        raise SpecError(f"{source}, line {place.start_mark.line + 1}: {message}")

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
                    refuse(key, f"'{key.value}' is listed twice")
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
