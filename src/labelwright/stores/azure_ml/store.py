"""Datasets in Azure ML: immutable files in a blob container, and data assets that point to them.

In the container (all of it immutable but the files under `label_sets/`)::

    image_sets/<title>/<digest of names and hashes>/<image>        and <digest>.json when all of them are there
    deliveries/<dataset>/<content hash>/<file>                     and receipt.json
    label_sets/<title>_labels.csv                                  the newest labels, a copy that Azure makes
    label_sets/<dataset>.latest.json                               which version was exported last

In the workspace, versioned by the content hash (SDK v2) or numbered by the service (SDK v1)::

    <title>_images            the folder of images
    <title>_labels            v2: an MLTable for AutoML; v1: the CSV as a TabularDataset
    <title>_labels_csv, <title>_labels_<task>, <title>_labels_<task>_<part>            v2 only
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from labelwright.domain import Image
from labelwright.ingest.checks.inventory import InventoryItem
from labelwright.ingest.upload.dropbox import UploadReport
from labelwright.ingest.upload.verify import Difference
from labelwright.network.guards import before_change
from labelwright.platforms.errors import PlatformRefused, PlatformUnavailable
from labelwright.settings import WorkspaceSettings
from labelwright.stores.protocol import (
    RECEIPT,
    ContentMismatch,
    DatasetGone,
    ImageSource,
    Newest,
    RegisteredDataset,
    StoredFile,
    UnsafeDataset,
    hash_of_files,
)

from . import checking as azure_ml_checking
from . import latest as azure_ml_latest
from .blobs import Blobs, account_of, md5_of, open_blobs
from .deliveries import Asset, asset_of, assets_in, csv_in, delivery_path, measured
from .images import ImageFolders
from .names import asset_name, sdk_path
from .sdk_process import AZURE_ML, Calls, workspace_id

EXPORT_TAG = "labelwright_export"
"""Tag of a version of SDK v2: the number of the last export that had its content. The highest is the newest."""

VERSION_DIGITS = 16
"""Of the content hash, as a version of SDK v2: two runs that export the same content mean the same version."""


class AzureMlStore:
    """See protocol.DatasetStore, TakesFiles, KeepsImages. Also raises PlatformError, SettingsError."""

    path_column = "azureml_path"

    def __init__(self, workspace: WorkspaceSettings, *, engine: str, threads: int, timeout: float) -> None:
        self._workspace = workspace
        self._engine = engine
        self._threads = threads
        self._timeout = timeout
        self._account = account_of(workspace)
        self._workspace_id = workspace_id(workspace)

    def __repr__(self) -> str:
        return f"AzureMlStore({self._workspace_id!r}, engine={self._engine!r})"

    @cached_property
    def _blobs(self) -> Blobs:
        return open_blobs(self._account, threads=self._threads, timeout=self._timeout)

    @cached_property
    def _calls(self) -> Calls:
        return Calls(self._engine, self._workspace, self._timeout, self._account.endpoint)

    @cached_property
    def _images(self) -> ImageFolders:
        return ImageFolders(self._blobs, self._workspace.uploads, self._threads)

    @property
    def identity(self) -> str:
        return f"azure_ml {self._account.container_url}"

    def image_folder(self, title: str, digest: str) -> str:
        return f"image_sets/{asset_name(title)}/{digest}"

    def has_images(self, folder: str) -> bool:
        return self._images.marked(folder)

    def keep_images(
        self, folder: str, items: Sequence[InventoryItem], source: ImageSource, *, replace: bool = False
    ) -> UploadReport:
        return self._images.keep(folder, items, source, replace_wrong=replace)

    def compare_images(self, folder: str, images: Iterable[Image], *, deep: bool = False) -> list[Difference]:
        return list(self._images.compare(folder, images, deep=deep))

    def seal_images(self, folder: str, images: Iterable[Image]) -> list[str]:
        return self._images.seal(folder, images)

    def image_url(self, folder: str, name: str) -> str:
        return self._workspace_id.uri(self._workspace.datastore) + quote(f"{folder}/{name}", safe="/")

    def listed_path(self, name: str) -> str:
        return sdk_path(name)

    def send(self, name: str, files: Path, file: str, *, content_hash: str) -> bool:
        return self._blobs.put(delivery_path(asset_of(name), content_hash, file), files / file, md5_of(files / file))

    def register(self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any]) -> RegisteredDataset:
        asset = asset_of(name)
        sent, receipt_sha256 = self._send_all(asset, files, content_hash, receipt)
        assets = assets_in(self._engine, asset, content_hash, sent)
        registered = self._register(asset, assets, content_hash, receipt, receipt_sha256)
        for csv in csv_in(sent):
            self._blobs.copy_to(
                delivery_path(asset, content_hash, csv),
                f"label_sets/{csv}",
                is_current=lambda: self._is_newest(asset, registered.serial),
            )
        return registered

    def register_images(
        self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any], image_folder: str
    ) -> RegisteredDataset:
        if not self.has_images(image_folder):
            message = f"not all images are in {image_folder}"
            raise PlatformUnavailable(AZURE_ML, "register images", message=message, advice="Export again.")
        asset, full_receipt = asset_of(name), {**receipt, "image_folder": image_folder}
        _, receipt_sha256 = self._send_all(asset, files, content_hash, full_receipt)
        assets = [Asset("", "uri_folder", f"{image_folder}/")]
        return self._register(asset, assets, content_hash, full_receipt, receipt_sha256)

    def newest(self, name: str) -> Newest | None:
        owners = [name] if name.endswith(("_images", "_labels")) else _owners(name)
        records = (azure_ml_latest.read(self._blobs, owner) for owner in owners)
        return next((newest for newest in records if newest is not None), None)

    def _is_newest(self, asset: str, serial: int) -> bool:
        newest = azure_ml_latest.read(self._blobs, asset)
        return newest is None or newest.serial <= serial

    def find(self, name: str, content_hash: str) -> RegisteredDataset | None:
        return next((version for version in self.versions(name) if version.content_hash == content_hash), None)

    def versions(self, name: str) -> list[RegisteredDataset]:
        (versions,) = self._calls.ask("list versions", [{"operation": "versions", "name": asset_of(name)}])
        return [_registered(version, _hash_of(version)) for version in versions]

    def verify(self, dataset: RegisteredDataset, *, deep: bool = False) -> list[str]:
        """Reads the registered version: its path and its hash tag, and compares all files with the receipt."""
        name, version = dataset.name, str(dataset.version)
        (asset,) = self._calls.ask("read a version", [{"operation": "read", "name": name, "version": version}])
        if asset is None:
            return [f"the workspace has no version {version} of {name}"]
        version_faults, tags = [], asset["tags"] or {}
        if not _is_same_path(asset["path"], dataset.location):
            version_faults.append(
                f"version {version} of {name} points to {asset['path']} and not to {dataset.location}"
            )
        # SDK v1 keeps tags with the name, not with the version: of an older version there are none to compare.
        if asset["tags"] is not None and tags.get("content_hash") != dataset.content_hash:
            version_faults.append(f"the tag content_hash of {name} is {tags.get('content_hash')}")
        owner = str(tags.get("delivery", "")) or self._owner(dataset)
        file_faults, receipt = azure_ml_checking.delivery_faults(
            self._blobs,
            owner,
            dataset.content_hash,
            receipt_sha256=dataset.receipt_sha256,
            deep=deep,
            threads=self._threads,
        )
        folder = receipt.get("image_folder")
        if folder is not None and not self.has_images(folder):
            file_faults.append(f"{folder} was never compared with its manifest, or its .json file is gone")
        return version_faults + file_faults + self._faults_of_copies(dataset, receipt)

    def _faults_of_copies(self, dataset: RegisteredDataset, receipt: Mapping[str, Any]) -> list[str]:
        """Faults of `label_sets/*.csv`, the copies of the labels that were exported last."""
        newest = azure_ml_latest.read(self._blobs, dataset.name) if receipt else None
        if newest is None or newest.content_hash != dataset.content_hash:
            return []
        faults = []
        for file in receipt["files"]:
            if not csv_in([StoredFile(file["name"], file["size"], file["sha256"])]):
                continue
            path = f"label_sets/{file['name']}"
            copy = self._blobs.look(path)
            if copy is None:
                faults.append(f"{path}, the copy of the newest labels, is gone")
            elif (copy.bytes, copy.md5_hex) != (file["size"], file["md5"]):
                faults.append(f"{path}, the copy of the newest labels, has other bytes than when it was registered")
        return faults

    def repair(self, dataset: RegisteredDataset, files: Path, receipt: Mapping[str, Any]) -> list[str]:
        return azure_ml_checking.restore_files(
            self._blobs, self._owner(dataset), dataset.content_hash, files, receipt, dataset.receipt_sha256
        )

    def receipt(self, dataset: RegisteredDataset) -> dict[str, Any]:
        for name in _owners(dataset.name):
            text = self._blobs.read_text(delivery_path(name, dataset.content_hash, RECEIPT))
            if text is not None:
                return azure_ml_checking.read_receipt(text)
        raise DatasetGone(f"the container has no receipt of {dataset.name} with content {dataset.content_hash[:12]}")

    def file(self, dataset: RegisteredDataset, name: str, folder: Path) -> Path | None:
        target = folder / name
        path = delivery_path(self._owner(dataset), dataset.content_hash, name)
        return target if self._blobs.download(path, target) else None

    def _owner(self, dataset: RegisteredDataset) -> str:
        """The name under which the delivery is stored that the data asset belongs to."""
        names = _owners(dataset.name)
        if len(names) == 1:
            return names[0]
        starts = [delivery_path(name, dataset.content_hash, "") for name in names]
        return next(
            (name for name, start in zip(names, starts, strict=True) if any(self._blobs.listed(start))), names[-1]
        )

    def _send_all(
        self, asset: str, files: Path, content_hash: str, receipt: Mapping[str, Any]
    ) -> tuple[list[StoredFile], str]:
        """Uploads every file of the folder, then the receipt; existing ones are compared and kept.

        Returns the files, and the SHA-256 of the receipt.
        """
        if (files / RECEIPT).exists():
            raise UnsafeDataset(f"the folder must not contain {RECEIPT}: the store writes that file")
        stored_files, md5s = measured(files)
        if hash_of_files(stored_files) != content_hash:
            raise ContentMismatch(f"the files of '{asset}' changed after they were checked. Export the campaign again")
        for file, md5 in zip(stored_files, md5s, strict=True):
            self._blobs.put(delivery_path(asset, content_hash, file.name), files / file.name, md5)
        text, path = (
            azure_ml_checking.receipt_text(asset, content_hash, receipt, stored_files, md5s),
            delivery_path(asset, content_hash, RECEIPT),
        )
        if not self._blobs.put_text(path, text):
            text = self._blobs.read_text(path) or text
        return stored_files, azure_ml_checking.sha256_of_text(text)

    def _register(
        self,
        base: str,
        assets: Sequence[Asset],
        content_hash: str,
        receipt: Mapping[str, Any],
        receipt_sha256: str,
    ) -> RegisteredDataset:
        """Registers the datastore and all assets in one SDK process, then records the version as the newest.

        Returns the first asset's version, with the others as its parts. When the datastore is another container,
        nothing is registered.
        """
        serial = azure_ml_latest.reserve(self._blobs, base, content_hash)
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
        if self._engine == "sdk_v2":  # SDK v1 keeps tags with the name, not with a version
            tags[EXPORT_TAG] = str(serial)
        calls: list[dict[str, Any]] = [self._datastore()]
        calls += [
            {
                "operation": "register",
                "name": base + asset.ending,
                "version": content_hash[:VERSION_DIGITS],
                "type": asset.kind,
                "datastore": self._workspace.datastore,
                "path": asset.path,
                "description": f"{'Images' if base.endswith('_images') else 'Labels'} of the campaign '{title}'",
                "tags": tags,
                "newest_tag": EXPORT_TAG,
                "properties": {"labelwright.content_hash": content_hash},
                "referenced_uris": list(asset.referenced),
            }
            for asset in assets
        ]
        before_change()
        _, *versions = self._calls.ask(f"register {base}", calls)
        for version, call in zip(versions, calls[1:], strict=True):
            expected_path = f"azureml://datastores/{call['datastore']}/paths/{call['path']}"
            if not _is_same_path(version["path"], expected_path):
                message = f"version {version['version']} of {version['name']} exists and points to {version['path']}"
                raise PlatformRefused(AZURE_ML, "register a version", status=409, message=message)
        azure_ml_latest.settle(self._blobs, base, Newest(str(versions[0]["version"]), content_hash, serial))
        first, *parts = (
            replace(_registered(version, content_hash), serial=serial, receipt_sha256=receipt_sha256)
            for version in versions
        )
        return replace(first, parts=tuple(parts))

    def _datastore(self) -> dict[str, Any]:
        account = self._account
        return {
            "operation": "datastore",
            "name": self._workspace.datastore,
            "description": "Images and labels by Labelwright",
            "account_name": account.name,
            "container": self._workspace.container,
            "endpoint": account.endpoint,
            "protocol": account.protocol,
            "account_key": account.key,
            "sas": account.sas,
        }


def _registered(asset: Mapping[str, Any], content_hash: str) -> RegisteredDataset:
    return RegisteredDataset(asset["name"], asset["version"], asset["path"], bool(asset["created"]), content_hash)


def _hash_of(version: Mapping[str, Any]) -> str:
    """From the path of a delivery; else from the tag, which SDK v1 has for the latest version only."""
    match = re.search(r"/deliveries/[^/]+/([0-9a-f]{64})/", version["path"])
    return match[1] if match else str((version["tags"] or {}).get("content_hash", ""))


def _owners(asset: str) -> list[str]:
    """Names under which the delivery of a data asset may be stored: its own, or that of the dataset it is a part of."""
    head, separator, _ = asset.rpartition("_labels_")
    return [asset, f"{head}_labels"] if separator else [asset]


def _is_same_path(first: str, second: str) -> bool:
    """Whether two URIs mean the same path: workspaces return the long form of a short URI."""
    return first.rpartition("/datastores/")[2].rstrip("/") == second.rpartition("/datastores/")[2].rstrip("/")
