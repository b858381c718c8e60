"""The journal of a restore: what was about to be sent, and what it became on the server."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """What a restore did, in a folder of its own: a line an effect, written before and after it. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        path = self.folder / f"{name}.jsonl"
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    continue  # the last line of a process that was killed

    def write(self, name: str, **said: Any) -> None:
        with self._lock, (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            if file.tell() and not _ends_well(self.folder / f"{name}.jsonl"):
                file.write("\n")
            file.write(json.dumps(said) + "\n")

    def project(self) -> str | None:
        return next((str(line["id"]) for line in self.lines("project") if "id" in line), None)

    def targets(self, page: str) -> dict[str, str]:
        """Of each medium of the backup its id on the server."""
        return {line["medium"]: line["target"] for line in self.lines(f"page-{page}") if "target" in line}

    def refused(self, page: str) -> dict[str, str]:
        """Of each medium whose annotations the server did not take, why."""
        found: dict[str, str] = {}
        for line in self.lines(f"page-{page}"):
            if "refused" in line:
                found[line["refused"]] = line["words"]
            found.pop(line.get("annotated", ""), None)
        return found

    def begun(self, page: str) -> bool:
        """Whether this page was begun before and not ended."""
        lines = list(self.lines(f"page-{page}"))
        return bool(lines) and "end" not in lines[-1]

    def all_targets(self) -> dict[str, tuple[str, str]]:
        """Of each id on the server: page and medium."""
        found: dict[str, tuple[str, str]] = {}
        for path in sorted(self.folder.glob("page-*.jsonl")):
            page = path.stem.removeprefix("page-")
            found |= {target: (page, medium) for medium, target in self.targets(page).items()}
        return found


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, io.SEEK_END)
        return file.read(1) == b"\n"
