"""Labelers' keys on this machine: files that only their owner can read, never a parameter, a log line or a result."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from urllib.parse import urlencode

from labelwright.platforms.protocol import LabelerAccess, Secret
from labelwright.security.private_files import private_folder


def labeling_link(service: str, access: LabelerAccess, campaign: str | None) -> Secret | None:
    """URL of the embedded service's labeling page; None when only the labeler knows the secret.

    The key is in the fragment, which browsers do not send to the server.
    """
    if access.secret is None:
        return None
    fragment = {"key": access.key, "secret": access.secret.value} | ({"campaign": campaign} if campaign else {})
    return Secret(f"{service}/label#{urlencode(fragment)}")


class LabelerKeys:
    """The keys under `home`/labelers, one file per connection and labeler, mode 0600."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "labelers"

    def path(self, connection: str, email: str) -> Path:
        readable = re.sub(r"[^a-z0-9@._-]", "_", f"{connection}-{email}".lower())[:80]
        return self._folder / f"{readable}-{hashlib.sha256(f'{connection} {email}'.encode()).hexdigest()[:8]}.json"

    def keep(self, connection: str, access: LabelerAccess) -> Path:
        """Stores the key. A stored secret is not replaced by a response without one."""
        existing = self.find(connection, access.email)
        if access.secret is None and existing is not None and existing.key == access.key:
            return self.path(connection, access.email)
        private_folder(self._folder)
        target = self.path(connection, access.email)
        payload = {"email": access.email, "key": access.key, "secret": access.secret.value if access.secret else None}
        draft = target.with_suffix(f".{os.getpid()}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(payload, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        return target

    def check_writable(self, connection: str, email: str) -> None:
        """Writes a file as large as any key and removes it. Raises OSError when a new key could not be stored."""
        private_folder(self._folder)
        draft = self.path(connection, email).with_suffix(f".{os.getpid()}.new")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(" " * 8192)
                file.flush()
                os.fsync(file.fileno())
        finally:
            draft.unlink(missing_ok=True)

    def find(self, connection: str, email: str) -> LabelerAccess | None:
        try:
            payload = json.loads(self.path(connection, email).read_text())
        except FileNotFoundError:
            return None
        return LabelerAccess(payload["email"], payload["key"], Secret(payload["secret"]) if payload["secret"] else None)
