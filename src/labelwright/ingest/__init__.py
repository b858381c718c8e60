"""Find, check, hash and upload images."""

from .azure import DropboxExpired
from .checking import Limits, check_image
from .container import ContainerSource
from .listings import write_manifest, write_rejects
from .manifests import ManifestSource
from .sources import CannotRead, FilesSource, FolderSource, Found, Source, SourceError
from .stocktaking import Checked, Elsewhere, StockItem, check_files, take_stock
from .stored import Difference, Differences, Finding, StoredFile, compare, differences
from .upload import Dropbox, UploadReport, open_dropbox
from .urls import UrlSource

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
    "Limits",
    "ManifestSource",
    "Source",
    "SourceError",
    "StockItem",
    "StoredFile",
    "UploadReport",
    "UrlSource",
    "check_files",
    "check_image",
    "compare",
    "differences",
    "open_dropbox",
    "take_stock",
    "write_manifest",
    "write_rejects",
]
