"""Videos in a campaign file: `images.video`, and which of their frames are taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def listed_paths(value: Any) -> Any:
    """A single path as a list of one; other values are left to the validation."""
    return [value] if isinstance(value, str) else value


def choice_faults(video: Sequence[str], every: int | None, per_second: float | None) -> list[str]:
    given = [name for name, value in (("every", every), ("per_second", per_second)) if value is not None]
    if given and not video:
        return [f"{' and '.join(given)} belongs to video: for other images use include and exclude"]
    if video and len(given) != 1:
        return [
            "videos need exactly one of every and per_second, such as every: 15 (each 15th frame) or per_second: 2; "
            f"given: {' and '.join(given) or 'none of them'}"
        ]
    return []
