"""Errors of the ledger."""

from __future__ import annotations


class LedgerError(Exception):
    """The ledger cannot be used, or refuses the call. The message says what to do next."""

    error_code = "LW2001"


class UnknownCampaign(LedgerError):
    """No campaign of that title."""

    error_code = "LW2002"

    def __init__(self, title: str) -> None:
        super().__init__(f"the ledger knows no campaign '{title}'. See them all with: labelwright status")
