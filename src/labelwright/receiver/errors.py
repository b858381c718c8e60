"""Refusals of the receiver."""

from __future__ import annotations


class RequestRefused(Exception):
    """The HTTP status and message of a refused request. The message is shown to strangers: it reveals nothing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
