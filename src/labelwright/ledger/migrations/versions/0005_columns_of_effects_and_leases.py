"""Columns instead of texts that were taken apart: `effects.item` and `leases.process`.

An older version that still runs finds neither of the two old columns, and stops before it acts on anything.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"

NUMBERS = ("batch", "first_image", "last_image", "generation", "attempt")
TEXTS = {"store": 80, "workspace": 200, "folder": 80, "earlier_item": 200}
REPAIR = "images gone from the platform"

_IMAGES = re.compile(r"(\d{1,9})-(\d{1,9})")
_IMAGES_IN_STORE = re.compile(r"(\S+) (.*) (\S{1,12}) (\d{1,9})-(\d{1,9})", re.DOTALL)
_ATTEMPT = re.compile(r"[a-z_ -]+-(\d{1,9})-(\d{1,9})")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _alter_effects()
    else:
        _rebuild_effects()
    _split_processes()


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    plain = sa.String(length) if length else sa.Text()
    return plain.with_variant(sa.String(collation="C"), "postgresql")


def _item_columns(**defaults: str | None) -> list[sa.Column[Any]]:
    texts = [
        sa.Column(name, _text(length), nullable=False, server_default=defaults.get("text"))
        for name, length in TEXTS.items()
    ]
    numbers = [
        sa.Column(name, sa.Integer, nullable=False, server_default=defaults.get("number"), autoincrement=False)
        for name in NUMBERS
    ]
    return [*texts, *numbers]


def _alter_effects() -> None:
    """In place: a new table would lose the rights that were granted to workers."""
    columns = _item_columns(text="", number="0")
    for column in columns:
        op.add_column("effects", column)
    op.drop_constraint("effects_pkey", "effects", type_="primary")
    table = _table("effects", "item")
    for row, values in _items_as_columns():
        op.execute(
            table.update()
            .where(table.c.campaign == row.campaign, table.c.step == row.step, table.c.item == row.item)
            .values(values)
        )
    op.drop_column("effects", "item")
    op.create_primary_key("effects_pkey", "effects", ["campaign", "step", *TEXTS, *NUMBERS])
    for column in columns:
        op.alter_column("effects", column.name, server_default=None)


def _rebuild_effects() -> None:
    """SQLite changes no primary key of a table."""
    op.create_table(
        "effects_of_5",
        sa.Column("campaign", _text(200), sa.ForeignKey("campaigns.title", ondelete="CASCADE"), nullable=False),
        sa.Column("step", _text(80), nullable=False),
        *_item_columns(),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", _text()),
        sa.PrimaryKeyConstraint("campaign", "step", *TEXTS, *NUMBERS),
    )
    table = _table("effects_of_5", "intended_at", "done_at", "outcome")
    rest = ("intended_at", "done_at", "outcome")
    for row, values in _items_as_columns():
        copied = {name: row._mapping[name] for name in ("campaign", "step", *rest)}
        op.execute(table.insert().values(copied | values))
    op.drop_table("effects")
    op.rename_table("effects_of_5", "effects")


def _table(name: str, *more: str) -> sa.TableClause:
    """Without types: values are copied as the driver hands them out."""
    return sa.table(name, *(sa.column(column) for column in ("campaign", "step", *TEXTS, *NUMBERS, *more)))


def _items_as_columns() -> list[tuple[sa.Row[Any], dict[str, str | int]]]:
    rows = op.get_bind().execute(
        sa.text(
            "SELECT campaign, step, item, intended_at, done_at, outcome FROM effects"
            " ORDER BY campaign, step, intended_at, item"
        )
    )
    repairs: dict[str, int] = {}
    converted = []
    for row in rows:
        if row.step == REPAIR:  # the item was the moment
            repairs[row.campaign] = repairs.get(row.campaign, 0) + 1
            columns: dict[str, str | int] = {"attempt": repairs[row.campaign]}
        else:
            columns = _columns_of(row.step, row.item)
        converted.append((row, dict.fromkeys(TEXTS, "") | dict.fromkeys(NUMBERS, 0) | columns))
    return converted


def _columns_of(step: str, item: str) -> dict[str, str | int]:
    """The columns of a version 4 item. An unknown one is kept as it is."""
    columns: dict[str, str | int] = {"earlier_item": item}
    if step == "send images" and re.fullmatch(r"\d{1,9}", item):
        columns = {"batch": int(item)}
    elif step == "add images" and (match := _IMAGES.fullmatch(item)):
        columns = {"first_image": int(match[1]), "last_image": int(match[2])}
    elif step in ("keep the images", "repair the images"):
        store, _, workspace = item.partition(" ")
        columns = {"store": store, "workspace": workspace}
    elif step == "keep images" and (match := _IMAGES_IN_STORE.fullmatch(item)):
        columns = {
            "store": match[1],
            "workspace": match[2],
            "folder": match[3],
            "first_image": int(match[4]),
            "last_image": int(match[5]),
        }
    elif step in ("start launch", "start finish") and (match := _ATTEMPT.fullmatch(item)):
        columns = {"generation": int(match[1]), "attempt": int(match[2])}
    return columns


def _split_processes() -> None:
    leases = sa.table("leases", *map(sa.column, ("name", "process", "machine", "pid", "process_start")))
    op.add_column("leases", sa.Column("machine", _text(300), nullable=False, server_default=""))
    op.add_column("leases", sa.Column("pid", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("leases", sa.Column("process_start", _text(40)))
    for name, process in op.get_bind().execute(sa.select(leases.c.name, leases.c.process)).all():
        machine, _, rest = process.rpartition(" ")
        machine, _, pid = machine.rpartition(" ")
        values = {"machine": machine, "pid": int(pid) if pid.isdecimal() else 0}
        start = None if rest == "?" else rest
        op.execute(leases.update().where(leases.c.name == name).values(**values, process_start=start))
    with op.batch_alter_table("leases") as batch:
        batch.drop_column("process")
        batch.alter_column("machine", server_default=None)
        batch.alter_column("pid", server_default=None)
