"""Addresses that others fetch images from: the image's own one, or one that opens this image and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from labelwright.campaigns.image_source import addresses_to_copy, open_source, shared_url
from labelwright.campaigns.spec import ImagesFrom
from labelwright.ingest.checks.inventory import InventoryItem, build_inventory
from labelwright.ingest.sources.azure_container import ContainerSource
from labelwright.ingest.sources.local import FolderSource, SharesUrls
from labelwright.ingest.sources.manifest import ManifestSource
from labelwright.ingest.sources.urls import UrlFetcher, UrlSource
from labelwright.ingest.upload.azure_client import translated
from labelwright.platforms.errors import AccessDenied
from labelwright.settings import Settings

from .conftest import picture
from .stores import _KEY, Azurite

CONTAINER = "https://acc.blob.core.windows.net/images"
DAY = 86_400.0


def test_a_url_is_shared_with_its_signature_and_shown_without() -> None:
    source = UrlSource(["https://s.example.com/a.jpg?sig=CANARY", "https://s.example.com/b.jpg"])
    signed, plain = (source.url_for(file.location, DAY) for file in source.find())  # type: ignore[union-attr]
    assert signed is not None
    assert signed.value == "https://s.example.com/a.jpg?sig=CANARY"
    assert "CANARY" not in repr(signed)
    assert plain is not None
    assert plain.value == "https://s.example.com/b.jpg"


def test_a_manifest_shares_its_urls_and_not_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    manifest = tmp_path / "list.csv"
    manifest.write_text("url,path\nhttps://s.example.com/a.jpg?sig=CANARY,\nftp://nowhere,\n,a.jpg\n")
    for source in (ManifestSource(manifest), ManifestSource(manifest)):
        result = source.url_for("https://s.example.com/a.jpg#1", DAY)
        assert result is not None
        assert result.value.endswith("?sig=CANARY")
        assert source.url_for(str(tmp_path / "a.jpg"), DAY) is None


def test_threads_find_every_signature_of_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls: list[str] = []

    def fetch(_: UrlFetcher, url: str) -> io.BytesIO:
        urls.append(url)
        return io.BytesIO(picture(seed=len(urls) + hash(url) % 1000))

    monkeypatch.setattr(UrlFetcher, "fetch", fetch)
    manifest = tmp_path / "list.csv"
    manifest.write_text("\n".join(["url", *(f"https://s.example.com/{item}.jpg?sig=1" for item in range(8))]))
    for _ in range(20):
        assert all(
            isinstance(item, InventoryItem) or "exactly" in item.reason
            for item in build_inventory(ManifestSource(manifest))
        )
    assert all(url.endswith("?sig=1") for url in urls)


def test_a_folder_shares_nothing(tmp_path: Path) -> None:
    source = FolderSource(tmp_path)
    assert not isinstance(source, SharesUrls)
    assert shared_url(source, str(tmp_path / "a.jpg"), Settings()) is None


def test_a_containers_signature_is_never_handed_out() -> None:
    for source in (ContainerSource(CONTAINER, sas="sp=rl&sig=x"), ContainerSource(f"{CONTAINER}?sp=rl&sig=x")):
        assert source.url_for("a.jpg", DAY) is None


def test_a_public_container_needs_no_signature() -> None:
    result = ContainerSource(CONTAINER).url_for("река/a 1.jpg", DAY)
    assert result is not None
    assert result.value == f"{CONTAINER}/%D1%80%D0%B5%D0%BA%D0%B0/a%201.jpg"


def test_account_key_signs_a_url_for_one_image() -> None:
    for value in ({"sas": "sp=rl&sig=x"}, {}):
        result = ContainerSource(CONTAINER, key=_KEY, **value).url_for("sub/a 1.jpg", 14 * DAY)
        assert result is not None
        parts = urlsplit(result.value)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{CONTAINER}/sub/a%201.jpg"
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert (query["sp"], query["sr"]) == ("r", "b")
        lasts = datetime.fromisoformat(query["se"]) - datetime.now(UTC)
        assert timedelta(days=13.9) < lasts <= timedelta(days=14)
        assert _KEY not in result.value
        assert "sig" not in repr(result)


def test_the_key_and_the_days_come_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELWRIGHT_CONTAINER_KEY", _KEY)
    monkeypatch.setenv("LABELWRIGHT_IMAGE_URL_DAYS", "2")
    settings = Settings()
    assert _KEY not in repr(settings)
    result = shared_url(open_source(ImagesFrom(container=CONTAINER), settings), "a.jpg", settings)
    assert result is not None
    until = parse_qs(urlsplit(result.value).query)["se"][0]
    assert timedelta(days=1.9) < datetime.fromisoformat(until) - datetime.now(UTC) <= timedelta(days=2)


@pytest.mark.parametrize(
    ("variables", "query"),
    [
        ({"CONTAINER_SAS": "?sp=rl&sig=x", "CONTAINER_KEY": _KEY}, {"sp": ["rl"], "sig": ["x"]}),
        ({"CONTAINER_KEY": _KEY, "CONTAINER_IDENTITY": "true"}, {"sp": ["r"], "sr": ["b"]}),
        ({}, {}),
    ],
    ids=["by its signature", "by the key", "public"],
)
def test_azure_copies_an_image_from_where_it_can_read_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], query: dict[str, list[str]]
) -> None:
    address = copied_from(monkeypatch, variables)
    assert address is not None
    parts = urlsplit(address("sub/a 1.jpg"))
    assert parts.path == "/images/sub/a%201.jpg"
    urls = parse_qs(parts.query)
    assert {name: urls.get(name) for name in query} == query
    assert bool(urls) == bool(query)


def test_what_only_an_identity_opens_is_no_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert copied_from(monkeypatch, {"CONTAINER_IDENTITY": "true"}) is None
    assert ContainerSource(CONTAINER, identity=True).url_for("a.jpg", DAY) is None


def copied_from(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Callable[[str], str] | None:
    for name, value in variables.items():
        monkeypatch.setenv(f"LABELWRIGHT_{name}", value)
    images, settings = ImagesFrom(container=CONTAINER), Settings()
    return addresses_to_copy(images, open_source(images, settings), settings)


def test_missing_identity_is_reported_without_retry() -> None:
    from azure.core.exceptions import ClientAuthenticationError

    error = translated(ClientAuthenticationError("DefaultAzureCredential failed: ..."), "image container", "list")
    assert type(error) is AccessDenied
    assert "az login" in str(error)


@pytest.fixture
def azurite(tmp_path: Path) -> Iterator[Azurite]:
    store = Azurite(tmp_path)
    yield store
    store.stop()


@pytest.mark.azurite
def test_a_signed_address_opens_its_image_and_nothing_else(azurite: Azurite) -> None:
    from azure.storage.blob import ContainerClient

    url = azurite.new_container()
    with ContainerClient.from_container_url(url) as client:
        for name in ("река/a 1.jpg", "b.jpg"):
            client.upload_blob(name, picture(seed=len(name)))
    source = ContainerSource(url.partition("?")[0], key=_KEY)
    variables = {file.name: file.location for file in source.find()}  # type: ignore[union-attr]
    shared = source.url_for(variables["река/a 1.jpg"], DAY)
    assert shared is not None
    assert requests.get(shared.value, timeout=120).content == picture(seed=len("река/a 1.jpg"))
    other = shared.value.replace(urlsplit(shared.value).path.rpartition("/")[2], "../b.jpg")
    assert requests.get(other, timeout=120).status_code == 403
    headers = {"x-ms-blob-type": "BlockBlob"}
    assert requests.put(shared.value, data=b"x", headers=headers, timeout=120).status_code == 403
    listing = shared.value.partition("/%")[0] + "?restype=container&comp=list&" + urlsplit(shared.value).query
    assert requests.get(listing, timeout=120).status_code == 403
