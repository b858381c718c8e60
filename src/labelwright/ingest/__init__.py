"""Find, check, hash and upload images."""

from .checks.decode import Limits, check_image
from .checks.inventory import Checked, Elsewhere, InventoryItem, build_inventory, check_files
from .checks.listings import write_manifest, write_rejects
from .sources.azure_container import ContainerSource
from .sources.local import CannotRead, FilesSource, FolderSource, Found, Source, SourceError
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
    "Elsewhere",
    "FilesSource",
    "Finding",
    "FolderSource",
    "Found",
    "InventoryItem",
    "Limits",
    "ManifestSource",
    "Source",
    "SourceError",
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
