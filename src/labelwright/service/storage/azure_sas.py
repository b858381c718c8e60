"""Azure's shared access signatures: by the account key, or by a user delegation key of an identity."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.storage.blob import BlobServiceClient, LinearRetry, generate_blob_sas, generate_container_sas

from labelwright.service.config import AzureStorage

from .protocol import StorageRefused

_LOAN = timedelta(days=7) - timedelta(minutes=5)
"""For how long Azure lends a key at most, with room for clocks that differ."""

Key = Callable[[datetime], tuple[datetime, dict[str, Any]]]
"""Until when one wants to sign; until when one can, and the key as the SDK's functions take it."""


class Signatures:
    def __init__(self, account: str, key: Key, *, https: bool) -> None:
        self._account = account
        self._key = key
        self._more: dict[str, Any] = {"protocol": "https"} if https else {}

    def container(self, name: str, rights: str, lifetime: timedelta) -> str:
        until, key = self._key(datetime.now(UTC) + lifetime)
        signature = generate_container_sas(self._account, name, permission=rights, expiry=until, **key, **self._more)
        return str(signature)

    def blob(self, container: str, name: str, rights: str, lifetime: timedelta) -> str:
        until, key = self._key(datetime.now(UTC) + lifetime)
        signature = generate_blob_sas(
            self._account, container, name, permission=rights, expiry=until, **key, **self._more
        )
        return str(signature)


def open_account(account_settings: AzureStorage) -> tuple[BlobServiceClient, Signatures]:
    """Opens an account. Raises StorageRefused."""
    # Short: a dropbox is made inside a transaction, and others wait for that.
    again = LinearRetry(backoff=1, random_jitter_range=1, retry_total=2)
    patience: dict[str, Any] = {"connection_timeout": 10, "read_timeout": 60, "retry_policy": again}
    if account_settings.connection_string:
        try:
            service = BlobServiceClient.from_connection_string(account_settings.connection_string, **patience)
        except ValueError:
            raise StorageRefused("the storage's connection string cannot be read: copy it whole") from None
        # The SDK takes a signature, where there is one, for a key.
        parts = {part.partition("=")[0].strip().lower() for part in account_settings.connection_string.split(";")}
        account_key = getattr(service.credential, "account_key", None)
        if not account_key or "accountkey" not in parts:
            raise StorageRefused(
                "the storage's connection string has no AccountKey in it, by which URLs are signed: take one that has,"
                " or give account_url and an identity"
            )
        return service, _signatures(service, lambda until: (until, {"account_key": account_key}))
    try:
        from azure.identity import DefaultAzureCredential
    except ModuleNotFoundError:
        raise StorageRefused("an identity for Azure needs: pip install 'labelwright[azure]'") from None
    service = BlobServiceClient(str(account_settings.account_url), DefaultAzureCredential(), **patience)
    return service, _signatures(service, LentKey(service))


def _signatures(service: BlobServiceClient, key: Key) -> Signatures:
    if not service.account_name:
        raise StorageRefused("the storage's URL names no account: https://ACCOUNT.blob.core.windows.net, say")
    return Signatures(service.account_name, key, https=service.scheme == "https")


class LentKey:
    """A user delegation key, renewed before it expires."""

    def __init__(self, service: BlobServiceClient) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._lent: tuple[datetime, Any] = (datetime.min.replace(tzinfo=UTC), None)

    def __call__(self, until: datetime) -> tuple[datetime, dict[str, Any]]:
        with self._lock:
            ends, key = self._lent
            now = datetime.now(UTC)
            # A signature for longer than any loan ends with a fresh one.
            if ends < until and ends < now + _LOAN - timedelta(hours=1):
                ends = now + _LOAN
                key = self._service.get_user_delegation_key(now - timedelta(minutes=5), ends)
                self._lent = (ends, key)
        return min(until, ends), {"user_delegation_key": key}
