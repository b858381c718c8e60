"""Commands that messages name, as a person types them into a shell."""

from __future__ import annotations


def quoted(title: str) -> str:
    """The title as one word of a POSIX shell, always in single quotes."""
    return "'" + title.replace("'", "'\"'\"'") + "'"
