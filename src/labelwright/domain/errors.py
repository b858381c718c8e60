"""Errors that several packages raise and the command line turns into exit codes."""

from __future__ import annotations


class CannotRun(ValueError):
    """The request cannot be carried out as given. The message says what to change."""


class NothingDone(CannotRun):
    """The command was understood and changed nothing. The message says why, and which command goes on."""


class EventsNotSent(Exception):
    """Prefect did not take the events. Send them again later."""


class EventsRejected(Exception):
    """Prefect refuses one of the events, and will refuse it every time."""
