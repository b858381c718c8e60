"""What the receiver answers when it does not take something."""

from __future__ import annotations


class Refused(Exception):
    """Answered with this HTTP status and these words, which tell a stranger nothing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
