"""Journal of a restore: what was about to be sent, and the ids it got on the server."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Journal files in a folder of their own. Each effect has a line before it and one after it. Thread-safe."""

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

    def write(self, name: str, **record: Any) -> None:
        """Appends a line to the file of this name."""
        with self._lock, (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            if file.tell() and not _ends_with_newline(self.folder / f"{name}.jsonl"):
                file.write("\n")
            file.write(json.dumps(record) + "\n")

    def project(self) -> str | None:
        """Id of the restored project, or None when none was created yet."""
        return next((str(line["id"]) for line in self.lines("project") if "id" in line), None)

    def targets(self, page: str) -> dict[str, str]:
        """Ids on the server by ids of the backup's media."""
        return {line["medium"]: line["target"] for line in self.lines(f"page-{page}") if "target" in line}

    def refused(self, page: str) -> dict[str, str]:
        """The server's reasons by the ids of media whose annotations it refused."""
        reasons: dict[str, str] = {}
        for line in self.lines(f"page-{page}"):
            if "refused" in line:
                reasons[line["refused"]] = line["words"]
            reasons.pop(line.get("annotated", ""), None)
        return reasons

    def is_interrupted(self, page: str) -> bool:
        """Whether the page was begun and not ended."""
        lines = list(self.lines(f"page-{page}"))
        return bool(lines) and "end" not in lines[-1]

    def all_targets(self) -> dict[str, tuple[str, str]]:
        """Page and medium of the backup by ids on the server."""
        targets: dict[str, tuple[str, str]] = {}
        for path in sorted(self.folder.glob("page-*.jsonl")):
            page = path.stem.removeprefix("page-")
            targets |= {target: (page, medium) for medium, target in self.targets(page).items()}
        return targets


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, io.SEEK_END)
        return file.read(1) == b"\n"
