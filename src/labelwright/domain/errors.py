"""Errors that several packages raise and the command line turns into exit codes."""

from __future__ import annotations


class CannotRun(ValueError):
    """The request cannot be carried out as given. The message says what to change."""
