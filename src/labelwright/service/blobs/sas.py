"""Shared access signatures: URLs that grant named rights until a named time.

They look like Azure's, and any Azure Blob client accepts them; the signature is an HMAC-SHA256 over all claims of the
URL, by a key that never leaves the data directory.
"""

from __future__ import annotations

import hmac
import os
import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

VERSION = "2019-02-02"
_EXPIRY = "%Y-%m-%dT%H:%M:%SZ"


class SignatureRefused(Exception):
    """The URL does not grant the right. `code` is Azure's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Signer:
    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, data_dir: Path) -> Signer:
        """Returns the signer of a data directory; its key is created at the first start."""
        path = data_dir / "signing.key"
        try:
            # Written whole under another name first, so that no one ever reads half a key.
            draft = path.with_suffix(f".{secrets.token_hex(4)}")
            if not path.exists():
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(secrets.token_bytes(32))
                os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
        return cls(path.read_bytes())

    def mark(self) -> str:
        """A unique name of this data directory, which does not reveal the key."""
        return hmac.digest(self._key, b"mark", "sha256").hex()[:16]

    def sign(self, container: str, blob: str | None, rights: str, lifetime: timedelta) -> str:
        """Returns a signed query string for the container, or for one blob in it."""
        expires = (datetime.now(UTC) + lifetime).strftime(_EXPIRY)
        kind = "c" if blob is None else "b"
        signature = self._signature(container, blob, rights, expires, VERSION, kind)
        return f"se={quote(expires, safe='')}&sp={rights}&sv={VERSION}&sr={kind}&sig={quote(signature, safe='')}"

    def check(self, query: Mapping[str, str], container: str, blob: str | None) -> str:
        """Returns the rights that the query grants on a container or blob. Raises SignatureRefused."""
        kind, signature = query.get("sr", ""), query.get("sig", "")
        rights, expires = query.get("sp", ""), query.get("se", "")
        of_blob = blob if kind == "b" else None
        expected = self._signature(container, of_blob, rights, expires, query.get("sv", ""), kind)
        genuine = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass"))
        if not genuine or kind not in ("b", "c") or (kind == "b" and blob is None):
            raise SignatureRefused("AuthenticationFailed", "The signature is missing or was not made for this.")
        if datetime.now(UTC) >= datetime.strptime(expires, _EXPIRY).replace(tzinfo=UTC):
            raise SignatureRefused("AuthenticationFailed", "The signature has expired: ask for a fresh URL.")
        return rights

    def _signature(self, container: str, blob: str | None, *claims: str) -> str:
        # Lengths in front of each part: no two sets of claims make the same text.
        parts = (container, "" if blob is None else blob, *claims)
        text = "".join(f"{len(part)}:{part}\n" for part in parts)
        return b64encode(hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")).decode()
