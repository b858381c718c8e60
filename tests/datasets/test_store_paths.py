"""Tables of a store that keeps the images say by which path it lists each of them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from labelwright.datasets import Split, Spool, read_labels_csv, write_many

from .samples import NAMES, SCHEMA, STOCK, delivered


@pytest.mark.parametrize("column", ["azureml_path", ""])
def test_tables_have_the_path_of_every_image(tmp_path: Path, column: str) -> None:
    delivered(tmp_path / "spool")
    stock = [image._replace(store_path=f"/{image.name}") for image in STOCK]
    labels = Spool(tmp_path / "spool").delivered(stock)
    paths = write_many(
        ["csv", "images", "split"],
        labels,
        SCHEMA,
        title="t",
        folder=tmp_path / "out",
        split=Split(80, 20),
        path_column=column,
    )
    for name, path in paths.items():
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert (header[-1] == "azureml_path") == bool(column), name
        assert all(len(row) == len(header) for row in rows), name
        if column:
            assert {row[-1] for row in rows} == {f"/{name}" for name in NAMES}, name
            position = header.index("image_id")
            assert all(row[-1] == f"/{NAMES[int(row[position]) - 1]}" for row in rows), name
    assert len(read_labels_csv(paths["csv"])) == 8
