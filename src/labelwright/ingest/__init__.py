"""Find, check, hash and upload images."""

from .checks.decode import Limits, check_image
from .checks.inventory import Checked, InventoryItem, RemoteChecker, build_inventory, check_files
from .checks.listings import write_manifest, write_rejects
from .checks.near_duplicates import NearDuplicates, NearDuplicateSearch
from .sources.azure_container import ContainerSource
from .sources.local import CannotRead, FilesSource, FolderSource, Source, SourceError, SourceFile
from .sources.manifest import ManifestSource
from .sources.urls import UrlSource
from .upload.azure_client import DropboxExpired
from .upload.dropbox import Dropbox, UploadReport, open_dropbox
from .upload.verify import Difference, Differences, Finding, StoredFile, compare, differences

__all__ = [
    "CannotRead",
    "Checked",
    "ContainerSource",
    "Difference",
    "Differences",
    "Dropbox",
    "DropboxExpired",
    "FilesSource",
    "Finding",
    "FolderSource",
    "InventoryItem",
    "Limits",
    "ManifestSource",
    "NearDuplicateSearch",
    "NearDuplicates",
    "RemoteChecker",
    "Source",
    "SourceError",
    "SourceFile",
    "StoredFile",
    "UploadReport",
    "UrlSource",
    "build_inventory",
    "check_files",
    "check_image",
    "compare",
    "differences",
    "open_dropbox",
    "write_manifest",
    "write_rejects",
]
