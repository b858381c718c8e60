"""Counts stand-in words among assigned names: `python tests/naming.py [FOLDER ...]`, or `make names`.

A name counts where it is assigned: variables (loops and comprehensions too), `except ... as`, and parameters. A
stand-in word says nothing about what the name holds.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("src/labelwright", "flows", "tasks")
STAND_INS = frozenset(
    {"one", "found", "told", "said", "made", "known", "wanted", "given"}
    | {"named", "some", "there", "chosen", "asked", "seen", "answer", "verb"}
)


def assigned_names(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg


def count(folder: Path) -> tuple[int, Counter[str]]:
    """The number of assigned names in all Python files of a folder, and how often each stand-in word is one."""
    total, stand_ins = 0, Counter[str]()
    for path in folder.rglob("*.py"):
        names = list(assigned_names(path.read_text(encoding="utf-8")))
        total += len(names)
        stand_ins.update(name for name in names if name in STAND_INS)
    return total, stand_ins


def share(folders: Iterable[str]) -> tuple[float, int, Counter[str]]:
    """The share of stand-in words (0 to 1), the number of assigned names, and the stand-in words."""
    total, stand_ins = 0, Counter[str]()
    for folder in folders:
        names, words = count(ROOT / folder)
        total += names
        stand_ins += words
    return stand_ins.total() / max(total, 1), total, stand_ins


if __name__ == "__main__":
    for group in ([folder] for folder in sys.argv[1:]) if sys.argv[1:] else (PRODUCT, ("tests",)):
        part, total, stand_ins = share(group)
        print(f"{' '.join(group)}: {part:.2%} of {total} assigned names; {dict(stand_ins.most_common())}")
