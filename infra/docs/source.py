"""Prepares the source of the documentation site: docs/, the generated reference, changelog, table of contents.

`python infra/docs/source.py FOLDER`, with Labelwright installed. Sphinx then builds FOLDER: see `make docs`.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import reference

ROOT = Path(__file__).resolve().parents[2]


def sections() -> list[tuple[str, list[str]]]:
    document = tomllib.loads((Path(__file__).parent / "pages.toml").read_text(encoding="utf-8"))
    return [(section["title"], section["pages"]) for section in document["sections"]]


def name_of(page: str) -> str:
    """The file of `deploying`, or of `Deploying <deploying>`, where the table of contents has a shorter title."""
    return page.rpartition("<")[2].rstrip(">")


def prepare(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    (folder / "reference").mkdir()
    for name, page in reference.PAGES.items():
        (folder / "reference" / f"{name}.md").write_text(page(), encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")
    (folder / "changelog.md").write_text(changelog, encoding="utf-8")
    written = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.md")} - {"index"}
    contents = [(title, [page for page in pages if name_of(page) in written]) for title, pages in sections()]
    rest = sorted(written - {name_of(page) for _, pages in contents for page in pages})
    trees = [_tree(title, pages) for title, pages in [*contents, ("More", rest)] if pages]
    with (folder / "index.md").open("a", encoding="utf-8") as index:
        index.write("\n" + "\n".join(trees))


def _tree(title: str, pages: list[str]) -> str:
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```", ""])


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
