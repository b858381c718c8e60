"""Dataset stores: the protocol, a local folder, Azure ML."""

from .local import LocalStore, verify
from .protocol import (
    RECEIPT,
    ContentMismatch,
    DatasetGone,
    DatasetStore,
    RegisteredDataset,
    StoredFile,
    UnsafeDataset,
    content_hash,
    hash_of_files,
    stored_files,
)

__all__ = [
    "RECEIPT",
    "ContentMismatch",
    "DatasetGone",
    "DatasetStore",
    "LocalStore",
    "RegisteredDataset",
    "StoredFile",
    "UnsafeDataset",
    "content_hash",
    "hash_of_files",
    "stored_files",
    "verify",
]
