"""What the groups of fields of a campaign specification have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

STORED = {"stored": True}
"""Validation context of campaigns in the ledger: rules added later do not invalidate them."""


def at(position: int) -> dict[str, Any]:
    """The field's position in Prefect's parameter form."""
    return {"position": position}


def in_order(schema: dict[str, Any]) -> None:
    """Fields without an explicit position come in the order of the class."""
    for number, field in enumerate(schema.get("properties", {}).values()):
        field.setdefault("position", number)


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, json_schema_extra=in_order)


class Faults(ValueError):
    """Several faults of one field: the place within it and the message of each."""

    def __init__(self, faults: list[tuple[tuple[Any, ...], str]]) -> None:
        super().__init__("; ".join(message for _, message in faults))
        self.faults = faults
