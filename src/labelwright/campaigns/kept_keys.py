"""Where labelers' keys are kept: in the ledger, encrypted with the team's key, or in the home folder.

Without a team key they are files in the home folder of the machine that received them (`labeler_keys`). The ledger then
records which machine that is, and a salted hash, so that every other machine can say where the key is, and a machine
whose copy was replaced elsewhere does not hand out the dead one.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import cached_property
from hmac import compare_digest

from sqlalchemy.exc import SQLAlchemyError

from labelwright.domain.errors import CannotRun, PathUnusable
from labelwright.ledger import KeyRecord, Ledger
from labelwright.platforms.protocol import LabelerAccess, Secret
from labelwright.security.team_key import OtherTeamKey, TeamKey
from labelwright.settings import Settings

from .connections import Connections
from .labeler_keys import LabelerKeys

SETTING = "LABELWRIGHT_TEAM_KEY"
_NONE_MADE = "no key was made, an old one still holds"


class KeyNotHere(CannotRun):
    """The labeler's key exists, and this machine cannot read it. The message says where it is and what to do."""

    error_code = "LW1306"


class KeptKeys:
    """The keys of the campaigns in a ledger, as far as this machine can read them."""

    def __init__(self, settings: Settings, ledger: Ledger, connections: Connections) -> None:
        self._settings, self._connections = settings, connections
        self._files, self._records = LabelerKeys(settings.home), ledger.labeler_keys

    @cached_property
    def team_key(self) -> TeamKey | None:
        """The team's key; None when none is configured. Raises SettingsError."""
        return self._connections.team_key()

    def find(self, connection: str, labeler: str) -> LabelerAccess | None:
        """The labeler's present key; None when there is none. Raises KeyNotHere, SettingsError."""
        record, copy = self._records.find(connection, labeler), self._files.find(connection, labeler)
        if record is None:
            if copy is not None and copy.secret is not None:  # of an earlier version
                self._record(connection, copy)
            return copy
        if record.sealed is None:
            is_present = copy is not None and _proves(record.proof, copy)
            if copy is not None and not is_present and self._received(record):
                self._record(connection, copy)  # a process that died had stored the file and not the record
                return copy
            if copy is None or not is_present:
                raise KeyNotHere(_gone(record) if self._received(record) else _where(record, copy))
            if self.team_key is not None:
                self._records.seal(record, _encrypted(self.team_key, connection, copy))
            return copy
        try:
            return self._decrypted(record)
        except KeyNotHere:
            if copy is None or not _proves(record.proof, copy):
                raise
            return copy

    def is_kept(self, connection: str, labeler: str) -> bool:
        """Whether a key of the labeler is kept, here or on another machine."""
        if self._files.find(connection, labeler) is not None:
            return True
        record = self._records.find(connection, labeler)
        return record is not None and (record.sealed is not None or not self._received(record))

    def keep(self, connection: str, access: LabelerAccess) -> None:
        """Stores a key that the platform made. A stored secret is not replaced by a response without one.

        Raises SettingsError.
        """
        if access.secret is None:
            if self._records.find(connection, access.email) is None:
                self._files.keep(connection, access)
            return
        if self.team_key is None:
            self._files.keep(connection, access)
        self._record(connection, access)

    def check_writable(self, connection: str, labeler: str) -> None:
        """Raises CannotRun, SettingsError when a new key could not be stored, before the platform makes one."""
        try:
            self._records.check_writable()
            if self.team_key is None:
                self._files.check_writable(connection, labeler)
        except OSError as error:
            path = self._files.path(connection, labeler)
            raise PathUnusable(f"{path} cannot be written ({error.strerror}): {_NONE_MADE}") from None
        except SQLAlchemyError as error:
            fault = getattr(error, "orig", None) or type(error).__name__
            raise CannotRun(f"the ledger cannot be written ({fault}): {_NONE_MADE}") from None

    def share(self, labelers: Iterable[tuple[str, str]]) -> int:
        """Encrypts with the team's newest key what is not yet: keys that only this machine has, and those under an
        earlier team key. Returns how many. Raises SettingsError.

        labelers: connection and e-mail address of each.
        """
        if self.team_key is None:
            return 0
        shared = 0
        for connection, labeler in sorted(set(labelers)):
            before = self._records.find(connection, labeler)
            try:
                access = self.find(connection, labeler)
            except KeyNotHere:
                continue
            record = self._records.find(connection, labeler)
            if access is None or record is None:
                continue
            if record.sealed is None or not self.team_key.is_under_newest(record.sealed):
                self._records.seal(record, _encrypted(self.team_key, connection, access))
                record = self._records.find(connection, labeler)
            shared += record != before
        return shared

    def _received(self, record: KeyRecord) -> bool:
        """Whether the key was received in this home folder, by this machine or by another one that shares it."""
        shared = record.host == socket.gethostname() or self._settings.is_shared(record.folder)
        return shared and record.folder == str(self._settings.home)

    def _record(self, connection: str, access: LabelerAccess) -> None:
        sealed = None if self.team_key is None else _encrypted(self.team_key, connection, access)
        self._records.put(
            connection,
            access.email,
            sealed=sealed,
            proof=_proof_of(access),
            host=socket.gethostname(),
            folder=str(self._settings.home),
        )

    def _decrypted(self, record: KeyRecord) -> LabelerAccess:
        ledger_has = f"the key of {record.labeler} is in the ledger, encrypted with the team's key"
        if self.team_key is None:
            raise KeyNotHere(
                f"{ledger_has}, and this machine does not have that: set {SETTING}_FILE to a file with it, as on "
                f"{record.host}. Without it: labelwright labeler-key TITLE --rotate makes a new key"
            )
        try:
            access = json.loads(self.team_key.decrypt(record.sealed or ""))
        except OtherTeamKey:
            raise KeyNotHere(
                f"{ledger_has}, and {SETTING} of this machine is another one. Give it the team's key; where the team "
                "has changed it, the new and the old one with a space between, until labelwright labeler-key TITLE "
                "was run once. If the old one is lost: labelwright labeler-key TITLE --rotate makes a new labeler's key"
            ) from None
        if (access["connection"], access["labeler"]) != (record.connection, record.labeler):
            raise KeyNotHere(f"{ledger_has}, but it is another labeler's: labelwright labeler-key TITLE --rotate")
        return LabelerAccess(record.labeler, access["key"], Secret(access["secret"]))


def _gone(record: KeyRecord) -> str:
    return (
        f"the key of {record.labeler} was kept in {record.folder} and is gone: restore that folder's `labelers`, or "
        "make a new key with labelwright labeler-key TITLE --rotate"
    )


def _where(record: KeyRecord, copy: LabelerAccess | None) -> str:
    kept = f"{record.host}, in {record.folder}, since {record.kept_at:%Y-%m-%d %H:%M} UTC"
    begin = (
        f"the key of {record.labeler} is kept on the machine {kept}"
        if copy is None
        else f"the key of {record.labeler} that is here was replaced: the present one is kept on the machine {kept}"
    )
    return (
        f"{begin}. Run labelwright labeler-key TITLE there; for every machine to have it, set {SETTING}_FILE on all "
        "of them and run it there once. If that machine is gone: labelwright labeler-key TITLE --rotate makes a new key"
    )


def _encrypted(team_key: TeamKey, connection: str, access: LabelerAccess) -> str:
    secret = access.secret.value if access.secret else ""
    return team_key.encrypt(
        json.dumps({"connection": connection, "labeler": access.email, "key": access.key, "secret": secret})
    )


def _proof_of(access: LabelerAccess, salt: bytes | None = None) -> str:
    """Salt and hash, slow to guess from. Recognizes the key, and does not tell it."""
    salt = salt or os.urandom(16)
    secret = access.secret.value if access.secret else ""
    text = json.dumps([access.key, secret]).encode()
    hashed = hashlib.scrypt(text, salt=salt, n=1 << 14, r=8, p=1, dklen=32)
    return f"{b64encode(salt).decode()} {b64encode(hashed).decode()}"


def _proves(proof: str, access: LabelerAccess) -> bool:
    salt, _, _ = proof.partition(" ")
    return compare_digest(_proof_of(access, b64decode(salt)), proof)
