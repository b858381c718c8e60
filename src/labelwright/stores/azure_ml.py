"""Datasets in Azure ML: files in a blob container under names that never change, and data assets that point to them.

In the container (all of it immutable but the one file under `label_sets/`)::

    image_sets/<title>/<digest of names and hashes>/<image>        and <digest>.json when all of them are there
    deliveries/<dataset>/<content hash>/<file>                     and receipt.json
    label_sets/<title>_labels.csv                                  the newest labels, a copy that Azure makes

In the workspace, versioned by the content hash (SDK v2) or numbered by the service (SDK v1)::

    <title>_images            the folder of images
    <title>_labels            v2: an MLTable for AutoML; v1: the CSV as a TabularDataset
    <title>_labels_csv, <title>_labels_<task>, <title>_labels_<task>_<part>            v2 only
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from labelwright.domain import Image
from labelwright.ingest.stocktaking import StockItem
from labelwright.ingest.stored import differences
from labelwright.ingest.upload import Dropbox, UploadReport
from labelwright.platforms.errors import PlatformRefused, PlatformUnavailable
from labelwright.settings import WorkspaceSettings

from .azure_blobs import Blobs, account_of, md5_of, open_blobs
from .azure_ml_calls import AZURE_ML, Calls, place_of
from .azure_ml_deliveries import Asset, asset_of, assets_in, csv_in, delivery_path, measured
from .azure_ml_names import asset_name
from .protocol import (
    RECEIPT,
    ContentMismatch,
    DatasetGone,
    ImageSource,
    RegisteredDataset,
    StoredFile,
    UnsafeDataset,
    hash_of_files,
)

VERSION_DIGITS = 16
"""Of the content hash, as a version of SDK v2: two runs that export the same content mean the same version."""


class AzureMlStore:
    """See protocol.DatasetStore, TakesFiles, KeepsImages. Raises PlatformError, SettingsError beside what they say."""

    def __init__(self, workspace: WorkspaceSettings, *, engine: str, threads: int, timeout: float) -> None:
        self._workspace = workspace
        self._engine = engine
        self._threads = threads
        self._timeout = timeout
        self._account = account_of(workspace)
        self._place = place_of(workspace)

    def __repr__(self) -> str:
        return f"AzureMlStore({self._place!r}, engine={self._engine!r})"

    @cached_property
    def _blobs(self) -> Blobs:
        return open_blobs(self._account, threads=self._threads, timeout=self._timeout)

    @cached_property
    def _calls(self) -> Calls:
        return Calls(self._engine, self._workspace, self._timeout, self._account.endpoint)

    # --- the images

    def image_folder(self, title: str, digest: str) -> str:
        return f"image_sets/{asset_name(title)}/{digest}"

    def has_images(self, folder: str) -> bool:
        return self._blobs.look(f"{folder}.json") is not None

    def keep_images(self, folder: str, items: Sequence[StockItem], source: ImageSource) -> UploadReport:
        left, copied = list(items), 0
        if source.signed_url is not None:
            copied, left = self._copied(left, partial(self._copy_in, folder, source.signed_url, source))
        elif source.platform_folder and left and self._copy_over(folder, source, left[0]):
            # The platform keeps this set in our container: the others will be there too.
            copied, left = self._copied(left[1:], partial(self._copy_over, folder, source))
            copied += 1
        moved = [StockItem(replace(one.image, name=f"{folder}/{one.image.name}"), one.location) for one in left]
        if not moved:
            return UploadReport(sent=copied, present=0)
        report = Dropbox(self._blobs.engine(), threads=self._threads).upload(moved, source.open)
        failed = tuple((name.removeprefix(f"{folder}/"), reason) for name, reason in report.failed)
        return UploadReport(report.sent + copied, report.present, failed)

    def _copied(self, items: Sequence[StockItem], copy: Callable[[StockItem], bool]) -> tuple[int, list[StockItem]]:
        with ThreadPoolExecutor(self._threads, thread_name_prefix="copy") as pool:
            done = list(pool.map(copy, items))
        return sum(done), [item for item, one in zip(items, done, strict=True) if not one]

    def _copy_in(self, folder: str, url: Callable[[str], str], source: ImageSource, item: StockItem) -> bool:
        self._blobs.copy_in(
            url(item.location),
            f"{folder}/{item.image.name}",
            etag=source.etag(item.location) if source.etag is not None else None,
            md5_hex=item.image.md5,
            size=item.image.bytes,
        )
        return True

    def _copy_over(self, folder: str, source: ImageSource, item: StockItem) -> bool:
        image = item.image
        return self._blobs.take_copy(
            f"{self._workspace.uploads}/{source.platform_folder}/{image.name}",
            f"{folder}/{image.name}",
            md5_hex=image.md5,
            size=image.bytes,
        )

    def seal_images(self, folder: str, images: Iterable[Image]) -> list[str]:
        counted = {"images": 0, "bytes": 0}

        def wanted() -> Iterator[Image]:
            for image in images:
                counted["images"] += 1
                counted["bytes"] += image.bytes
                yield replace(image, name=f"{folder}/{image.name}")

        wrong = [f"{one.name} {one.reason}" for one in differences(wanted(), self._blobs.listed(f"{folder}/"))]
        if not wrong:
            self._blobs.put_text(f"{folder}.json", json.dumps(counted) + "\n")
        return wrong

    def image_url(self, folder: str, name: str) -> str:
        return self._place.uri(self._workspace.datastore) + quote(f"{folder}/{name}", safe="/")

    # --- files and data assets

    def send(self, name: str, files: Path, file: str, *, content_hash: str) -> bool:
        return self._blobs.put(delivery_path(asset_of(name), content_hash, file), files / file, md5_of(files / file))

    def register(self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any]) -> RegisteredDataset:
        asset = asset_of(name)
        sent = self._send_all(asset, files, content_hash, receipt)
        answers = self._register(asset, assets_in(self._engine, asset, content_hash, sent), content_hash, receipt)
        for csv in csv_in(sent):
            self._blobs.copy_to(delivery_path(asset, content_hash, csv), f"label_sets/{csv}")
        first, *parts = (_registered(answer, content_hash) for answer in answers)
        return replace(first, parts=tuple(parts))

    def register_images(
        self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any], image_folder: str
    ) -> RegisteredDataset:
        if not self.has_images(image_folder):
            words = f"not all images are in {image_folder}"
            raise PlatformUnavailable(AZURE_ML, "register images", words=words, advice="Export again.")
        asset, told = asset_of(name), {**receipt, "image_folder": image_folder}
        self._send_all(asset, files, content_hash, told)
        (answer,) = self._register(asset, [Asset("", "uri_folder", f"{image_folder}/")], content_hash, told)
        return _registered(answer, content_hash)

    def find(self, name: str, content_hash: str) -> RegisteredDataset | None:
        return next((one for one in self.versions(name) if one.content_hash == content_hash), None)

    def versions(self, name: str) -> list[RegisteredDataset]:
        (told,) = self._calls.ask("list versions", [{"verb": "versions", "name": asset_of(name)}])
        return [_registered(one, _hash_of(one)) for one in told]

    def verify(self, dataset: RegisteredDataset) -> list[str]:
        """Reads the registered version back: its path and its hash tag; and every file that its receipt names."""
        name, version = dataset.name, str(dataset.version)
        (told,) = self._calls.ask("read a version", [{"verb": "read", "name": name, "version": version}])
        if told is None:
            return [f"the workspace has no version {version} of {name}"]
        wrong = []
        if not _same_place(told["path"], dataset.location):
            wrong.append(f"version {version} of {name} points to {told['path']} and not to {dataset.location}")
        # SDK v1 keeps tags with the name, not with the version: of an older version there are none to compare.
        if told["tags"] is not None and told["tags"].get("content_hash") != dataset.content_hash:
            wrong.append(f"the tag content_hash of {name} is {told['tags'].get('content_hash')}")
        owner = str((told["tags"] or {}).get("delivery", "")) or name
        return wrong + self._wrong_files(owner, dataset.content_hash)

    def receipt(self, dataset: RegisteredDataset) -> dict[str, Any]:
        for name in _owners(dataset.name):
            text = self._blobs.read_text(delivery_path(name, dataset.content_hash, RECEIPT))
            if text is not None:
                told: dict[str, Any] = json.loads(text)
                return told
        raise DatasetGone(f"the container has no receipt of {dataset.name} with content {dataset.content_hash[:12]}")

    def _wrong_files(self, owner: str, content_hash: str) -> list[str]:
        text = self._blobs.read_text(delivery_path(owner, content_hash, RECEIPT))
        if text is None:
            return [f"{delivery_path(owner, content_hash, RECEIPT)} is gone"]
        told = json.loads(text)
        wrong = []
        for one in told["files"]:
            there = self._blobs.look(delivery_path(owner, content_hash, one["name"]))
            if there is None:
                wrong.append(f"{one['name']} is gone")
            elif (there.bytes, there.md5_hex) != (one["size"], one["md5"]):
                wrong.append(f"{one['name']} has other bytes than when it was registered")
        hashed = [StoredFile(one["name"], one["size"], one["sha256"]) for one in told["files"]]
        if hash_of_files(hashed) != content_hash:
            wrong.append(f"{RECEIPT} contradicts itself: its content hash is not that of its list of files")
        folder = told.get("image_folder")
        if folder is not None and not self.has_images(folder):
            wrong.append(f"{folder} was never compared with its manifest, or its mark is gone")
        return wrong

    def _send_all(self, asset: str, files: Path, content_hash: str, receipt: Mapping[str, Any]) -> list[StoredFile]:
        """Every file of the folder, and then the receipt: what is there already is looked at and stays."""
        if (files / RECEIPT).exists():
            raise UnsafeDataset(f"the folder has a {RECEIPT} of its own: the store writes that file")
        found, md5s = measured(files)
        if hash_of_files(found) != content_hash:
            raise ContentMismatch(
                f"the files of '{asset}' are not those that were checked: write them again, then register"
            )
        for one, md5 in zip(found, md5s, strict=True):
            self._blobs.put(delivery_path(asset, content_hash, one.name), files / one.name, md5)
        told = {
            **receipt,
            "name": asset,
            "content_hash": content_hash,
            "registered_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": [asdict(one) | {"md5": md5.hex()} for one, md5 in zip(found, md5s, strict=True)],
        }
        text = json.dumps(told, indent=2, ensure_ascii=False, default=str) + "\n"
        self._blobs.put_text(delivery_path(asset, content_hash, RECEIPT), text)
        return found

    def _register(
        self, base: str, assets: Sequence[Asset], content_hash: str, receipt: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Datastore and all assets in one conversation. Answers what is registered now.

        It ends at a datastore that is another container: nothing is registered then.
        """
        title = str(receipt["campaign"]["title"])
        images, labels = receipt.get("images", {}), receipt.get("labels", {})
        tags = {
            "campaign": title,
            "campaign_id": str(receipt["campaign"].get("id", "")),
            "platform": str(receipt.get("platform", "")),
            "content_hash": content_hash,
            "images": str(images.get("count", "")),
            "objects": str(labels.get("objects", "")),
            "code_version": str(receipt.get("code_version", "")),
            "receipt": delivery_path(base, content_hash, RECEIPT),
            "delivery": base,
        }
        asked: list[dict[str, Any]] = [self._datastore()]
        asked += [
            {
                "verb": "register",
                "name": base + asset.ending,
                "version": content_hash[:VERSION_DIGITS],
                "type": asset.kind,
                "datastore": self._workspace.datastore,
                "path": asset.path,
                "description": f"{'Images' if base.endswith('_images') else 'Labels'} of the campaign '{title}'",
                "tags": tags,
                "properties": {"labelwright.content_hash": content_hash},
                "referenced_uris": list(asset.referenced),
            }
            for asset in assets
        ]
        _, *answers = self._calls.ask(f"register {base}", asked)
        for answer, question in zip(answers, asked[1:], strict=True):
            wanted = f"azureml://datastores/{question['datastore']}/paths/{question['path']}"
            if not _same_place(answer["path"], wanted):
                words = f"version {answer['version']} of {answer['name']} exists and points to {answer['path']}"
                raise PlatformRefused(AZURE_ML, "register a version", status=409, words=words)
        return list(answers)

    def _datastore(self) -> dict[str, Any]:
        account = self._account
        return {
            "verb": "datastore",
            "name": self._workspace.datastore,
            "description": "Images and labels by Labelwright",
            "account_name": account.name,
            "container": self._workspace.container,
            "endpoint": account.endpoint,
            "protocol": account.protocol,
            "account_key": account.key,
            "sas": account.sas,
        }


def _registered(answer: Mapping[str, Any], content_hash: str) -> RegisteredDataset:
    return RegisteredDataset(answer["name"], answer["version"], answer["path"], bool(answer["created"]), content_hash)


def _hash_of(answer: Mapping[str, Any]) -> str:
    """By the path, where it is that of a delivery; else by the tag, which SDK v1 has of the latest version only."""
    found = re.search(r"/deliveries/[^/]+/([0-9a-f]{64})/", answer["path"])
    return found[1] if found else str((answer["tags"] or {}).get("content_hash", ""))


def _owners(asset: str) -> list[str]:
    """Under which names the delivery of a data asset may lie: its own, or that of the dataset it is a part of."""
    head, found, _ = asset.rpartition("_labels_")
    return [asset, f"{head}_labels"] if found else [asset]


def _same_place(one: str, other: str) -> bool:
    """Whether two URIs mean the same path: workspaces answer the long form of what was given in the short one."""
    return one.rpartition("/datastores/")[2].rstrip("/") == other.rpartition("/datastores/")[2].rstrip("/")
