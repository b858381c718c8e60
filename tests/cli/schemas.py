"""Compares what a command printed with --json with its JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from labelwright.cli.output.json_schemas import schema_of


def output_in_schema(command: str, printed: str) -> Any:
    """Returns the output. It may have no field that its schema does not name."""
    output = json.loads(printed)
    jsonschema.validate(output, closed(schema_of(command)))
    return output


def closed(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, dict):
        inner = {key: closed(value) for key, value in schema.items()}
        return {**inner, "additionalProperties": False} if "properties" in inner and "title" in inner else inner
    return [closed(value) for value in schema] if isinstance(schema, list) else schema
