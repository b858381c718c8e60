"""The team's key, with which labelers' keys are encrypted in the ledger (Fernet: AES and HMAC, of `cryptography`).

Several keys may be given while the team changes its key, the new one first: it encrypts, and all of them decrypt.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NotBase64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

HOW_TO_MAKE_ONE = "openssl rand -base64 32"
_BYTES = 32


class NoTeamKey(ValueError):
    """The text is no team key. The message says what one is, and does not show the text."""


class OtherTeamKey(ValueError):
    """The text was encrypted with another key than these, or it was damaged."""


class TeamKey:
    """Encrypts and decrypts texts."""

    def __init__(self, text: str) -> None:
        """text: one key or several, separated by white space or commas. Raises NoTeamKey."""
        keys = [Fernet(_key(part)) for part in text.replace(",", " ").split()]
        if not keys:
            raise NoTeamKey("it is empty")
        self._newest, self._keys = keys[0], MultiFernet(keys)

    def encrypt(self, text: str) -> str:
        return self._newest.encrypt(text.encode()).decode()

    def decrypt(self, sealed: str) -> str:
        """Raises OtherTeamKey."""
        try:
            return self._keys.decrypt(sealed).decode()
        except InvalidToken:
            raise OtherTeamKey("it was encrypted with another key, or damaged") from None

    def is_under_newest(self, sealed: str) -> bool:
        """Whether the newest key decrypts it, so that the older ones are not needed for it."""
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True


def _key(text: str) -> bytes:
    try:
        key = b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (NotBase64, ValueError):
        key = b""
    if len(key) != _BYTES:
        raise NoTeamKey(f"a key is {_BYTES} random bytes in base64; make one with: {HOW_TO_MAKE_ONE}")
    return urlsafe_b64encode(key)
