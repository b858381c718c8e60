"""Find, check, hash and upload images."""

from .azure import DropboxExpired
from .checking import Limits, check_image
from .container import ContainerSource
from .listings import write_manifest, write_rejects
from .manifests import ManifestSource
from .sources import CannotRead, FilesSource, FolderSource, Found, Source, SourceError
from .stocktaking import StockItem, take_stock
from .urls import UrlSource

__all__ = [
    "CannotRead",
    "ContainerSource",
    "DropboxExpired",
    "FilesSource",
    "FolderSource",
    "Found",
    "Limits",
    "ManifestSource",
    "Source",
    "SourceError",
    "StockItem",
    "UrlSource",
    "check_image",
    "take_stock",
    "write_manifest",
    "write_rejects",
]
