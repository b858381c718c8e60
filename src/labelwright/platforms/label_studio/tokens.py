"""Authorization headers: personal access tokens are exchanged for access tokens of minutes, legacy tokens sent as such.

A personal access token is a JWT (a "refresh" token). `POST /api/token/refresh` returns an access token, good for 300
seconds by default. The personal access token itself is refused as a Bearer.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labelwright.platforms.http.logins import Login
from labelwright.platforms.protocol import Secret

_EARLY = 30.0
"""Seconds before its end at which an access token is replaced."""
_UNKNOWN_LIFETIME = 240.0


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token, and until when (monotonic time) it is used."""

    token: Secret
    ends: float


class Tokens:
    """The Authorization header for a token of either kind. `refresh` exchanges a personal access token."""

    def __init__(self, token: Secret, login: Login[AccessToken], refresh: Callable[[], Secret]) -> None:
        self._token, self._login, self._refresh = token, login, refresh
        self.is_personal = token.value.count(".") == 2

    def header(self) -> Mapping[str, Secret]:
        if not self.is_personal:
            return {"Authorization": Secret(f"Token {self._token.value}")}
        current = self._login.session
        if current is not None and time.monotonic() >= current.ends:
            self._login.ended(current)
        return {"Authorization": Secret(f"Bearer {self._login.enter(self._exchange).token.value}")}

    def forget(self, header: Mapping[str, Secret]) -> bool:
        """Drops a header that the server no longer accepts. Returns whether a refresh can replace it."""
        current = self._login.session
        if self.is_personal and current is not None and header["Authorization"].value.endswith(current.token.value):
            self._login.ended(current)
        return self.is_personal

    def _exchange(self) -> AccessToken:
        token = self._refresh()
        return AccessToken(token, time.monotonic() + max(lifetime(token.value) - _EARLY, 1.0))


def lifetime(token: str) -> float:
    """Returns the seconds from issue to expiry of a JWT, by the server's clock alone; 240 when it does not say."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - float(claims["iat"])
    except (ValueError, KeyError, IndexError, TypeError):
        return _UNKNOWN_LIFETIME
