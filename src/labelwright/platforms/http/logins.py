"""Logins shared by all adapters of this process: one per connection, kept until the server ends its session.

Every task creates its own adapter. If each of them logged in, a sweep would log in once per campaign, and servers
throttle logins (CVAT: 100 anonymous calls a minute).
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Generic, TypeVar

from labelwright.platforms.errors import AccessDenied
from labelwright.platforms.protocol import Secret

_T = TypeVar("_T")


class Login(Generic[_T]):
    """The session of a login: a token, or cookies. Safe to share between threads; its repr shows no secret."""

    def __init__(self) -> None:
        self._session: _T | None = None
        self._attempts = 0  # that came to an end
        self._denied: AccessDenied | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Login({'open' if self._session is not None else 'none'})"

    @property
    def session(self) -> _T | None:
        """None before the first login, and after the session ended."""
        return self._session

    def enter(self, log_in: Callable[[], _T]) -> _T:
        """Returns the session; calls `log_in` when there is none.

        One thread logs in while the others wait for its session. When the server refuses the credential, the waiting
        threads raise the same AccessDenied instead of trying the same password again.
        """
        current, attempts = self._session, self._attempts
        if current is not None:
            return current
        with self._lock:
            if self._session is not None:
                return self._session
            if self._denied is not None and self._attempts != attempts:
                raise copy.copy(self._denied)
            self._denied = None
            try:
                self._session = session = log_in()
            except AccessDenied as denied:
                self._denied = denied
                raise
            finally:
                self._attempts += 1
            return session

    def ended(self, session: _T) -> None:
        """Forgets a session that the server no longer accepts. A newer one of another thread is kept."""
        with self._lock:
            if self._session is session:
                self._session = None


_logins: dict[str, Login[Any]] = {}
_lock = threading.Lock()


def shared_login(platform: str, url: str, key: str, secret: Secret) -> Login[Any]:
    """Returns this process's login for a server and a credential. Another key or secret has another login.

    Only a hash of the credential is kept.
    """
    name = sha256(repr((platform, url.strip().rstrip("/"), key, secret.value)).encode()).hexdigest()
    with _lock:
        return _logins.setdefault(name, Login())


def forget_logins() -> None:
    """Forgets all sessions: the next call on any connection logs in again."""
    with _lock:
        _logins.clear()


def _after_fork() -> None:
    """Resets a forked process: it inherits locks that a thread of its parent may hold, and logs in by itself."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _logins.clear()


os.register_at_fork(after_in_child=_after_fork)
