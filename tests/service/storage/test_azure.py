"""What Azurite does not do as Azure does: copies that take long or fail, names that are not free yet, lent keys."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import UserDelegationKey

from labelwright.service import AzureStorage, ServiceConfig
from labelwright.service.storage.azure import AzureStore, CopyFailed, await_copy
from labelwright.service.storage.azure_sas import LentKey, Signatures, open_account
from labelwright.service.storage.protocol import StorageDown, StorageRefused

STRING = "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"


class CopyingBlob:
    """A blob whose copy is in one state after the other."""

    def __init__(self, *states):
        self._states = list(states)
        self.calls = []

    def get_blob_properties(self):
        status = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        return SimpleNamespace(
            copy=SimpleNamespace(status=status, id="c1", status_description="500 InternalError", progress="1/9")
        )

    def abort_copy(self, copy):
        self.calls.append(f"abort {copy}")

    def delete_blob(self):
        self.calls.append("delete")


def test_a_pending_copy_is_awaited():
    blob = CopyingBlob("pending", "pending", "success")
    await_copy(blob, time.monotonic() + 10, pause=0)
    assert blob.calls == []


@pytest.mark.parametrize("status", ["failed", "aborted"])
def test_a_failed_copy_is_told_and_leaves_nothing(status):
    blob = CopyingBlob("pending", status)
    with pytest.raises(CopyFailed, match=f"{status}: 500 InternalError"):
        await_copy(blob, time.monotonic() + 10, pause=0)
    assert blob.calls == ["delete"]


def test_a_copy_is_given_up_at_its_deadline():
    blob = CopyingBlob("pending")
    with pytest.raises(CopyFailed, match="too long: 1/9 bytes"):
        await_copy(blob, time.monotonic() + 0.05, pause=0.01)
    assert blob.calls == ["abort c1", "delete"]


def refusal(kind, code):
    error = kind(message="no")
    error.error_code = code
    return error


class Account:
    """An account that refuses everything in Azure's words."""

    def __init__(self, error):
        self._error = error

    def get_container_client(self, _name):
        return self

    def create_container(self, **_more):
        raise self._error

    def delete_container(self, _name):
        raise self._error


@pytest.fixture
def store(tmp_path):
    return AzureStore(ServiceConfig(tmp_path), AzureStorage(STRING))


def test_a_name_that_is_still_being_deleted_is_not_free(store):
    store._account = Account(refusal(ResourceExistsError, "ContainerBeingDeleted"))
    assert store.create_dropbox(None, "dropbox-a") is False


def test_a_dropbox_that_is_being_deleted_is_deleted(store):
    store._account = Account(refusal(HttpResponseError, "ContainerBeingDeleted"))
    store.delete_dropbox("dropbox-a")


def test_any_other_refusal_is_told_without_the_url_that_was_asked(store):
    store._account = Account(refusal(HttpResponseError, "AuthorizationFailure"))
    with pytest.raises(StorageDown, match=r"did not delete a dropbox \(AuthorizationFailure\)"):
        store.delete_dropbox("dropbox-a")


class Lender:
    def __init__(self):
        self.loans = []

    def get_user_delegation_key(self, start, end):
        self.loans.append((start, end))
        key = UserDelegationKey()
        key.signed_oid, key.signed_tid, key.signed_service, key.signed_version = "o", "t", "b", "2024-11-04"
        key.signed_start, key.signed_expiry = start.strftime("%Y-%m-%dT%H:%M:%SZ"), end.strftime("%Y-%m-%dT%H:%M:%SZ")
        key.value = "c2VjcmV0"
        return key


def test_a_lent_key_is_used_again_while_it_lasts():
    lender = Lender()
    signatures = Signatures("acct", LentKey(lender), https=True)
    for _ in range(50):
        signed = signatures.blob("c", "a é.png", "r", timedelta(minutes=5))
    assert "skoid=o" in signed
    assert "spr=https" in signed
    assert len(lender.loans) == 1


def test_signature_expires_with_its_key_within_azures_limit():
    lender = Lender()
    until, _ = LentKey(lender)(datetime.now(UTC) + timedelta(days=7))
    ((start, end),) = lender.loans
    assert until == end
    assert end - start <= timedelta(days=7)
    assert "sp=rwdl" in Signatures("acct", LentKey(lender), https=True).container("c", "rwdl", timedelta(days=7))


@pytest.mark.parametrize(
    "text", ["", "hunter2", STRING.replace("AccountKey=c2VjcmV0;", "SharedAccessSignature=hunter2;")]
)
def test_a_connection_string_that_cannot_sign_is_refused_and_not_repeated(text):
    with pytest.raises((StorageRefused, ValueError)) as fault:
        open_account(AzureStorage(text))
    assert "hunter2" not in str(fault.value)


def test_storage_is_named_in_one_way():
    for both in ({}, {"connection_string": STRING, "account_url": "https://acct.blob.core.windows.net"}):
        with pytest.raises(ValueError, match="either connection_string or account_url"):
            AzureStorage(**both)


def test_an_identity_signs_with_a_lent_key():
    pytest.importorskip("azure.identity", reason="the extra labelwright[azure] is not installed")
    service, signatures = open_account(AzureStorage(account_url="https://acct.blob.core.windows.net"))
    assert service.account_name == "acct"
    assert isinstance(signatures._key, LentKey)
