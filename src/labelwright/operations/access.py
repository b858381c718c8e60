"""Who looks at the operations page: login by the admin's or the reader's key, or the user that a proxy names.

A session is a cookie that this service encrypted and nobody else can make or read. It ends after twelve hours, at the
logout, and when the key that it was opened with is replaced.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from cryptography.fernet import Fernet, InvalidToken

from labelwright.settings import OperationsSettings

SESSION_SECONDS = 12 * 3600
FORM_SECONDS = 12 * 3600


class Accounts(Protocol):
    """The admin's key pair, as the labeling service keeps it."""

    def identify_admin(self, key: str, secret: str) -> str | None:
        """The admin's e-mail address, when the pair is the admin's. Slow on purpose."""
        ...

    def is_admin_key(self, key: str) -> bool:
        """Whether this is the admin's key at present."""
        ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who may look at the page."""

    name: str
    may_act: bool
    by_proxy: bool = False
    """Named by a header, without a session that could be ended here."""


class Door:
    """Lets visitors in and recognizes them."""

    def __init__(self, accounts: Accounts, configured: OperationsSettings, key_file: Path) -> None:
        """Raises OSError when the key of the sessions cannot be written."""
        self._accounts, self._configured = accounts, configured
        self._cipher = Fernet(_session_key(key_file))

    def open_session(self, key: str, secret: str) -> str | None:
        """Returns the value of a new session's cookie; None for a wrong key or secret. Slow on purpose."""
        if self._is_reader(key, secret):
            return self._seal({"name": "reader", "reader": self._reader_proof()})
        name = self._accounts.identify_admin(key, secret)
        return None if name is None else self._seal({"name": name, "admin": key})

    def visitor(self, headers: Mapping[str, str], cookie: str | None) -> Visitor | None:
        """The person from whom a request comes; None when it has neither session nor the proxy's header."""
        header = self._configured.user_header
        if header and (name := headers.get(header, "").strip()):
            return Visitor(name, name in self._configured.admins, by_proxy=True)
        session = self._unseal(cookie or "", SESSION_SECONDS)
        if "admin" in session and self._accounts.is_admin_key(session["admin"]):
            return Visitor(session["name"], may_act=True)
        if "reader" in session and hmac.compare_digest(session["reader"], self._reader_proof()):
            return Visitor(session["name"], may_act=False)
        return None

    def form_token(self, visitor: Visitor) -> str:
        """A token for one form of this visitor: proves where the form comes from, and names what it starts."""
        return self._seal({"form": uuid4().hex, "of": visitor.name})

    def form_id(self, token: str, visitor: Visitor) -> str | None:
        """The name of the form with that token; None when the token is not this visitor's, or too old."""
        content = self._unseal(token, FORM_SECONDS)
        return content["form"] if content.get("of") == visitor.name else None

    def _is_reader(self, key: str, secret: str) -> bool:
        expected = self._configured.reader_secret
        if self._configured.reader_key is None or expected is None:
            return False
        same_key = hmac.compare_digest(key.encode(), self._configured.reader_key.encode())
        return hmac.compare_digest(secret.encode(), expected.get_secret_value().encode()) and same_key

    def _reader_proof(self) -> str:
        secret = self._configured.reader_secret
        pair = f"{self._configured.reader_key} {secret.get_secret_value() if secret else os.urandom(16).hex()}"
        return hashlib.sha256(pair.encode()).hexdigest()

    def _seal(self, content: dict[str, str]) -> str:
        return self._cipher.encrypt(json.dumps(content).encode()).decode()

    def _unseal(self, token: str, seconds: int) -> dict[str, str]:
        """The content of a token; empty for one that is not ours or too old."""
        try:
            content: dict[str, str] = json.loads(self._cipher.decrypt(token.encode(), ttl=seconds))
        except (InvalidToken, UnicodeEncodeError):
            return {}
        return content


def _session_key(path: Path) -> bytes:
    """The key that encrypts sessions, kept in a file of its owner so that they outlive a restart."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(Fernet.generate_key())
    with suppress(FileExistsError):  # another process was faster
        os.link(draft, path)
    draft.unlink()
    return path.read_bytes()
