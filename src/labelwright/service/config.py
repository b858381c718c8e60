"""What the service is told when it starts. It reads no environment: whoever starts it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

API = "/api/v1"
BLOB = "/blob"
DROPBOX_RIGHTS = "rwdl"


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these a request is answered 413 (bytes) or 422 (counts)."""

    body_bytes: int = 64 * 1024**2
    """Of a JSON body."""
    upload_bytes: int = 512 * 1024**2
    """Of one blob, in one piece or staged in blocks."""
    per_page_default: int = 1_000
    per_page: int = 10_000
    images_per_request: int = 100_000
    objects_per_request: int = 100_000
    corners_per_polygon: int = 10_000
    image_pixels: int = 178_956_970
    """Of one image; Pillow itself refuses more than this as a decompression bomb."""


@dataclass(frozen=True, slots=True)
class AzureStorage:
    """An Azure Blob account: by its connection string, or by its URL and whatever identity this machine has."""

    connection_string: str | None = field(default=None, repr=False)
    """With the account's key in it."""
    account_url: str | None = None
    """`https://ACCOUNT.blob.core.windows.net`; the identity is azure-identity's DefaultAzureCredential, and needs the
    roles Storage Blob Data Contributor and Storage Blob Delegator."""
    copy_deadline: timedelta = timedelta(minutes=10)
    """For one file to be copied within the account."""

    def __post_init__(self) -> None:
        if bool(self.connection_string) == bool(self.account_url):
            raise ValueError("Azure storage needs either connection_string or account_url")


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    data_dir: Path
    """Everything the service keeps: signing key, `admin.json`, and unless others are named database and images."""
    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free one; the real one stands in `<data_dir>/service.json`."""
    admin_key: str | None = None
    admin_secret: str | None = field(default=None, repr=False)
    """None: made on the first start and written to `<data_dir>/admin.json`."""
    admin_email: str = "admin@localhost"
    public_url: str | None = None
    """Where clients reach the service. None: whatever host the request named."""
    database_url: str | None = field(default=None, repr=False)
    """`postgresql://user:password@host/name`, a database of its own. None: SQLite in the data directory."""
    storage: AzureStorage | None = None
    """None: images and labels files are in the data directory."""
    main_container: str = "extra-images"
    """Holds `uploads/<title>/<file>` and `label_sets/`; called as in the notebook."""
    dropbox_lifetime: timedelta = timedelta(days=7)
    image_url_lifetime: timedelta = timedelta(minutes=5)
    sealing_threads: int = 4
    sealing_chunk: int = 32
    """Images that enter the database in one transaction while a set is sealed."""
    limits: Limits = field(default_factory=Limits)

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False
