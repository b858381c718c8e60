"""`Idempotency-Key`: a changing request that is repeated within a day gets the first response again.

Responses are stored encrypted with a key derived from the caller's secret: they may hold a labeler's new secret, which
must not be readable in the database.
"""

from __future__ import annotations

import asyncio
import hmac
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography.fernet import Fernet  # azure-storage-blob brings it
from sqlalchemy import and_, delete, insert, select

from .access import Identity
from .api.errors import Invalid
from .database import Database, answers, now, timestamp

KEPT = timedelta(days=1)
KEY = r"^[!-~]([ -~]{0,253}[!-~])?$"
"""What may stand in the header."""


class StoredResponses:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._under_way: dict[tuple[int, str], tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def alone(self, who: Identity, key: str) -> AsyncIterator[None]:
        """Serializes requests with the same key."""
        place = (who.user_id, key)
        lock, waiting = self._under_way.get(place, (asyncio.Lock(), 0))
        self._under_way[place] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._under_way[place]
            if waiting == 1:
                del self._under_way[place]
            else:
                self._under_way[place] = (lock, waiting - 1)

    def recall(self, who: Identity, key: str, fingerprint: str) -> tuple[int, bytes] | None:
        """Returns the stored response. Raises Invalid when the key was used for a different request."""
        with self._database.read() as connection:
            place = and_(answers.c.user_id == who.user_id, answers.c.key == key)
            fresh = answers.c.date_created > timestamp(datetime.now(UTC) - KEPT)
            row = connection.execute(select(answers).where(place, fresh)).one_or_none()
        if row is None:
            return None
        if not hmac.compare_digest(row.fingerprint, fingerprint):
            raise Invalid("this Idempotency-Key came with another call or another body: use a new one")
        return row.status, _cipher(who, key).decrypt(row.body)

    def keep(self, who: Identity, key: str, fingerprint: str, status: int, body: bytes) -> None:
        with self._database.write() as connection:
            connection.execute(delete(answers).where(answers.c.date_created <= timestamp(datetime.now(UTC) - KEPT)))
            values = {
                "user_id": who.user_id,
                "key": key,
                "fingerprint": fingerprint,
                "status": status,
                "body": _cipher(who, key).encrypt(body),
                "date_created": now(),
            }
            connection.execute(insert(answers).values(values))


def fingerprint_of(method: str, path: str, query: bytes, body: bytes) -> str:
    head = f"{method} {path}?".encode() + query
    return sha256(sha256(head).digest() + sha256(body).digest()).hexdigest()


def _cipher(who: Identity, key: str) -> Fernet:
    secret = hmac.digest(who.secret.encode("utf-8", "surrogatepass"), f"idempotency {key}".encode(), "sha256")
    return Fernet(urlsafe_b64encode(secret))
