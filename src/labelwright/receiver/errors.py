"""Refusals of the receiver."""

from __future__ import annotations

NOT_STORED = "LW8105"
"""The code of responses to notifications that the ledger did not take."""

_CODES = {400: "LW8103", 401: "LW8101", 403: "LW8106", 404: "LW8102", 408: "LW8104", 413: "LW8104", 503: "LW8106"}
"""The code in the reference of errors, by HTTP status."""


class RequestRefused(Exception):
    """The HTTP status and message of a refused request. The message is shown to strangers: it reveals nothing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    @property
    def code(self) -> str:
        """Its code in the reference of errors."""
        return _CODES[self.status]
