"""Containers that are opened by this machine's identity: an outage is tried again, a missing right needs a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labelwright.ingest import ContainerSource
from labelwright.platforms import AccessDenied, PlatformError, PlatformUnavailable
from labelwright.security import azure_identity
from labelwright.stores.azure_ml.blobs import Account, open_blobs

from .identity import BlobAccount, TokenEndpoint

Open = Callable[[str], object]


def look(url: str) -> object:
    """As the store of datasets does."""
    account = Account("account", url, "127.0.0.1", "https")
    return open_blobs(account, threads=2, timeout=5).look("river.csv")


def read(url: str) -> object:
    """As the source of images does."""
    return next(iter(ContainerSource(url, identity=True, threads=2, timeout=5).find()))


OPENED = pytest.mark.parametrize("open_container", [look, read], ids=["store", "images"])


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenEndpoint]:
    for name in ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")  # no programs of a developer's machine
    with TokenEndpoint().running() as endpoint:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", endpoint.url)
        yield endpoint


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[BlobAccount]:
    with BlobAccount().running(tmp_path) as blobs:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(blobs.certificate))
        yield blobs


def failure(call: Open, url: str) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        call(url)
    return caught.value


@OPENED
@pytest.mark.parametrize("status", [500, 503, 429, 410, 404])
def test_token_endpoint_that_is_away_is_an_outage(
    tokens: TokenEndpoint, account: BlobAccount, open_container: Open, status: int
) -> None:
    tokens.status = status
    error = failure(open_container, account.url)
    assert isinstance(error, PlatformUnavailable)
    assert f"answered {status}" in error.message
    assert "role" not in str(error)
    tokens.status = 200
    account.refuse(503, "ServerBusy")
    assert failure(open_container, account.url).message == "ServerBusy"  # with a token now
    assert tokens.issued >= 1


@OPENED
def test_silent_token_endpoint_is_an_outage(tokens: TokenEndpoint, account: BlobAccount, open_container: Open) -> None:
    tokens.silent = True
    error = failure(open_container, account.url)
    assert isinstance(error, PlatformUnavailable)
    assert "did not answer" in error.message


def test_wait_of_the_token_endpoint_is_kept(tokens: TokenEndpoint, account: BlobAccount) -> None:
    tokens.status, tokens.headers = 503, {"Retry-After": "1"}
    error = failure(look, account.url)
    assert isinstance(error, PlatformUnavailable)
    assert error.retry_after == 1


@OPENED
def test_expired_token_is_an_outage(tokens: TokenEndpoint, account: BlobAccount, open_container: Open) -> None:
    account.refuse(401, "InvalidAuthenticationInfo", "Lifetime validation failed. The token is expired.")
    error = failure(open_container, account.url)
    assert isinstance(error, PlatformUnavailable)
    assert "the token has expired" in error.message


def test_token_of_another_tenant_needs_a_person(tokens: TokenEndpoint, account: BlobAccount) -> None:
    account.refuse(401, "InvalidAuthenticationInfo", "Issuer validation failed. Issuer did not match.")
    error = failure(read, account.url)
    assert isinstance(error, AccessDenied)
    assert "tenant" in error.advice


@OPENED
@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AuthorizationPermissionMismatch", "role Storage Blob Data"),
        ("AuthorizationFailure", "network rules"),
        ("AuthenticationFailed", "has expired"),
    ],
)
def test_missing_right_needs_a_person(
    tokens: TokenEndpoint, account: BlobAccount, open_container: Open, code: str, advice: str
) -> None:
    account.refuse(403, code)
    error = failure(open_container, account.url)
    assert isinstance(error, AccessDenied)
    assert advice in error.advice


def test_machine_without_an_identity_needs_a_person(
    tokens: TokenEndpoint, account: BlobAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.status = 400  # as a virtual machine answers that has none assigned
    error = failure(look, account.url)
    assert isinstance(error, AccessDenied)
    assert "az login" in error.advice


@pytest.mark.parametrize(("tag", "expected"), [(azure_identity._AZURE_TAG, True), ("a desktop", False)])
def test_no_answer_of_the_machine_endpoint_is_an_outage_in_azure_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tag: str, expected: bool
) -> None:
    file = tmp_path / "chassis_asset_tag"
    file.write_text(f"{tag}\n")
    monkeypatch.setattr(azure_identity, "_TAG_FILE", file)
    assert azure_identity._is_expected("169.254.169.254") is expected
    assert azure_identity._is_expected("login.microsoftonline.com")
