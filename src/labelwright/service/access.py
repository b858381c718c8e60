"""API keys, their secrets, and the users' roles.

Secrets are kept as scrypt hashes, because a secret from a configuration may be a poor one. A secret that was verified
once is remembered in this process as a keyed digest, so that scrypt runs once per key and not once per request. Wrong
secrets always run it, one after the other: about twenty guesses a second for the whole service.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from .admin_file import AdminFile, KeyPair
from .api.errors import Invalid, Unknown
from .config import ServiceConfig
from .database import Database, answers, now, users

ADMIN, LABELER = "admin", "labeler"

EMAIL = r"^[!-.0-?A-~]+@[!-.0-?A-~]+$"
"""Printable ASCII without blanks and slashes, so that it can stand in a path."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The user a request comes from."""

    user_id: int
    email: str
    role: str
    secret: str = field(repr=False)

    @property
    def admin(self) -> bool:
        return self.role == ADMIN


def checked_email(text: str) -> str:
    email = text.strip().lower()
    if len(email) > 254 or not re.fullmatch(EMAIL, email):
        raise Invalid(f"'{text[:80]}' is not an e-mail address")
    return email


class Access:
    """The users of this service: labelers and the admin."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._process_key = secrets.token_bytes(32)
        self._verified: dict[str, tuple[str, bytes]] = {}
        self._hashing = threading.Lock()
        self._rotating = threading.Lock()
        self._nobody = _hash(secrets.token_hex(16))

    def recognize(self, key: str, secret: str) -> Identity | None:
        """Returns the owner of a key pair that was verified before. Fast; None if it was not verified yet."""
        row = self._row(key)
        if row is None or not self._remembered(key, secret, row.secret_hash):
            return None
        return Identity(row.id, row.email, row.role, secret)

    def identify(self, key: str, secret: str) -> Identity | None:
        """Returns the owner of a key pair, or None for a wrong one. Slow on purpose (scrypt)."""
        row = self._row(key)
        # An unknown key costs as much as a wrong secret: time does not tell which it was.
        if not self._matches(key, secret, row.secret_hash if row else self._nobody) or row is None:
            return None
        return Identity(row.id, row.email, row.role, secret)

    def identify_admin(self, key: str, secret: str) -> str | None:
        """The admin's e-mail address, when the key pair is the admin's. Slow on purpose (scrypt)."""
        who = self.identify(key, secret)
        return who.email if who is not None and who.admin else None

    def is_admin_key(self, key: str) -> bool:
        """Whether this is the admin's key at present."""
        row = self._row(key)
        return row is not None and row.role == ADMIN

    def _row(self, key: str) -> Row[Any] | None:
        with self._database.read() as connection:
            return connection.execute(select(users).where(users.c.key == key)).one_or_none()

    def _remembered(self, key: str, secret: str, secret_hash: str) -> bool:
        cached = self._verified.get(key)
        return cached is not None and cached[0] == secret_hash and hmac.compare_digest(cached[1], self._digest(secret))

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._process_key, secret.encode("utf-8", "surrogatepass"), "sha256")

    def _matches(self, key: str, secret: str, secret_hash: str) -> bool:
        if self._remembered(key, secret, secret_hash):
            return True
        with self._hashing:
            if not _verify(secret, secret_hash):
                return False
        self._verified[key] = (secret_hash, self._digest(secret))
        return True

    def labeler(self, connection: Connection, email: str) -> tuple[int, KeyPair]:
        """Returns the user of an e-mail address, creating it if needed, and its new key pair."""
        row = connection.execute(select(users.c.id, users.c.key).where(users.c.email == email)).one_or_none()
        if row:
            return row.id, KeyPair(row.key, None)
        pair, secret_hash = _fresh_pair()
        values = {"email": email, "role": LABELER, "key": pair.key, "secret_hash": secret_hash, "date_created": now()}
        result = connection.execute(insert(users).values(values))
        new_ids = result.inserted_primary_key
        assert new_ids is not None  # noqa: S101
        return int(new_ids[0]), pair

    def rotate(self, email: str, file: AdminFile) -> KeyPair:
        """Replaces a user's key pair; the old one stops working when this returns.

        An admin's pair is written to its file before it is valid: where `file` cannot be written the old pair stays,
        and OSError is raised.
        """
        with self._rotating:  # else a second rotation would write its pair over one that counts and is not in place yet
            self.recover(file)
            return self._rotate(email, file)

    def _rotate(self, email: str, file: AdminFile) -> KeyPair:
        pair, secret_hash = _fresh_pair()
        with self._database.write() as connection:
            row = connection.execute(select(users).where(users.c.email == email)).one_or_none()
            if row is None:
                raise Unknown(f"there is no user '{email}'")
            if row.role == ADMIN:
                file.prepare(pair.key, pair.secret or "")
            changed = update(users).where(users.c.id == row.id).values(key=pair.key, secret_hash=secret_hash)
            connection.execute(changed)
            # They are readable only with the old secret.
            connection.execute(delete(answers).where(answers.c.user_id == row.id))
        self._verified.pop(row.key, None)
        if row.role == ADMIN:
            file.switch()
        return pair

    def recover(self, file: AdminFile) -> None:
        """Completes a rotation that a killed process or a full disk interrupted: a prepared pair that is valid in the
        database moves into the file, any other one is deleted."""
        prepared = file.prepared()
        if prepared is None:
            return
        with self._database.read() as connection:
            row = connection.execute(select(users).where(users.c.role == ADMIN)).one_or_none()
        if row and row.key == prepared.key and self._matches(row.key, prepared.secret or "", row.secret_hash):
            file.switch()
        else:
            file.forget()

    def admin(self, config: ServiceConfig) -> KeyPair:
        """Returns the admin's key pair, as configured or newly created.

        `secret` is None when it was created by an earlier start.

        Raises OSError, and changes nothing, when the file cannot be written.
        """
        file = AdminFile(config.data_dir)
        self.recover(file)
        email = checked_email(config.admin_email)
        with self._database.read() as connection:
            row = connection.execute(select(users).where(users.c.role == ADMIN)).one_or_none()
        if row and config.admin_secret is None and config.admin_key in (None, row.key):
            if row.email != email:
                self._set_admin(row.id, {"email": email})
            return KeyPair(row.key, None)
        key = config.admin_key or (row.key if row else secrets.token_hex(16))
        secret = config.admin_secret or secrets.token_hex(16)
        same = row and row.key == key and row.email == email and self._matches(key, secret, row.secret_hash)
        if not (same and file.holds(key, secret)):
            file.prepare(key, secret)
        if not same:
            self._set_admin(row.id if row else None, {"email": email, "key": key, "secret_hash": _hash(secret)})
        file.switch()
        return KeyPair(key, secret)

    def _set_admin(self, user_id: int | None, values: dict[str, str]) -> None:
        with self._database.write() as connection:
            if user_id is None:
                connection.execute(insert(users).values(role=ADMIN, date_created=now(), **values))
            else:
                connection.execute(update(users).where(users.c.id == user_id).values(**values))


def _fresh_pair() -> tuple[KeyPair, str]:
    secret = secrets.token_hex(16)
    return KeyPair(secrets.token_hex(16), secret), _hash(secret)


def _hash(secret: str, salt: bytes | None = None) -> str:
    salt = salt or secrets.token_bytes(16)
    digest = hashlib.scrypt(secret.encode("utf-8", "surrogatepass"), salt=salt, n=2**14, r=8, p=1)
    return f"scrypt:{salt.hex()}:{digest.hex()}"


def _verify(secret: str, secret_hash: str) -> bool:
    salt = bytes.fromhex(secret_hash.split(":")[1])
    return hmac.compare_digest(_hash(secret, salt), secret_hash)
