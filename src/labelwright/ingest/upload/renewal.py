"""Renews signatures that expire while they are in use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from .azure_client import DropboxExpired

_C = TypeVar("_C")
_T = TypeVar("_T")


class Renewable(Generic[_C]):
    """A client whose signature may expire. Thread-safe.

    `renew` creates a client with a new signature. Without it, a refused signature is final. A new signature that is
    refused too lacks a permission or was revoked: it is not renewed again.
    """

    def __init__(self, client: _C, renew: Callable[[], _C] | None) -> None:
        self._client, self._renew = client, renew
        self._may_be_renewed = renew is not None
        self._lock = threading.Lock()

    def use(self, call: Callable[[_C], _T]) -> _T:
        """Calls with the client, and again with a renewed one if the signature is refused. Raises DropboxExpired."""
        client = self._client
        try:
            result = call(client)
        except DropboxExpired:
            renewed = self._renewed(client)
            if renewed is None:
                raise
            client = renewed
            result = call(client)
        if client is self._client:
            self._may_be_renewed = self._renew is not None  # it was accepted, so it may run out later
        return result

    def _renewed(self, refused: _C) -> _C | None:
        """A client other than the refused one; None if there is none."""
        with self._lock:
            # Of many threads that are refused at once, only the first renews.
            if self._client is refused:
                if self._renew is None or not self._may_be_renewed:
                    return None
                self._client, self._may_be_renewed = self._renew(), False
            return self._client
