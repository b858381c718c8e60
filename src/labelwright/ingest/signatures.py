"""Signatures that run out while they are in use, and are replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from .azure import DropboxExpired

_C = TypeVar("_C")
_T = TypeVar("_T")


class Renewable(Generic[_C]):
    """A client whose signature may run out. Safe to share between threads.

    `renew` makes a client with a new signature. Without it, a refused signature is the end. A new signature that is
    refused too lacks a right or was revoked: no further one is asked for.
    """

    def __init__(self, client: _C, renew: Callable[[], _C] | None) -> None:
        self._client, self._renew = client, renew
        self._lock = threading.Lock()

    def use(self, call: Callable[[_C], _T]) -> _T:
        """Call with the client, and once more with a new one when its signature is refused. Raises DropboxExpired."""
        client = self._client
        try:
            return call(client)
        except DropboxExpired:
            if self._renew is None:
                raise
        renewed = self._renewed(client)
        try:
            return call(renewed)
        except DropboxExpired:
            if renewed is self._client:
                self._renew = None
            raise

    def _renewed(self, refused: _C) -> _C:
        with self._lock:
            # Of many threads that are refused at once only the first asks for a new signature.
            if self._client is refused and self._renew is not None:
                self._client = self._renew()
            return self._client
