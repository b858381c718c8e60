"""`<title>_detection_mltable/` and its like: JSON Lines, and the `MLTable` file that tells Azure ML how to read it."""

from __future__ import annotations

from pathlib import Path

from labelwright.datasets.files import whole_file

LINES_FILE = "labels.jsonl"

MLTABLE = f"""\
type: mltable
paths:
  - file: ./{LINES_FILE}
transformations:
  - read_json_lines:
      encoding: utf8
      invalid_lines: error
      include_path_column: false
  - convert_column_types:
      - columns: image_url
        column_type: stream_info
"""


def complete_folder(lines: Path) -> None:
    """Puts `MLTable` beside the lines. It comes last: a folder without it is not an MLTable yet."""
    with whole_file(lines.with_name("MLTable")) as file:
        file.write(MLTABLE.encode())
