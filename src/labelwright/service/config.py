"""Configuration of the service. It reads no environment variables: its caller does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from labelwright.domain.image_limits import MOST_PIXELS
from labelwright.imaging.memory_limits import MOST_DECODING_BYTES

API = "/api/v1"
BLOB = "/blob"
DROPBOX_RIGHTS = "rwdl"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a request; beyond them the response is 413 (bytes), 422 (counts) or 503 (concurrent requests)."""

    body_bytes: int = 32 * 1024**2
    """Of a JSON body with objects."""
    small_body_bytes: int = 4 * 1024**2
    """Of any other JSON body."""
    body_lists: int = 1_000_000
    """`[` in one body; counted before it is parsed, as the next two: an empty list of two bytes takes 64 in memory."""
    body_objects: int = 400_000
    """`{` in one body."""
    body_values: int = 3_000_000
    """`,` in one body."""
    body_depth: int = 64
    """Lists and objects inside each other, in a body without objects of images."""
    bodies_bytes: int = 64 * 1024**2
    """Of all JSON bodies that are held at once, and half as much of one user's: beyond it the answer is 503."""
    upload_bytes: int = 512 * 1024**2
    """Of one blob, in one piece or staged in blocks."""
    per_page_default: int = 1_000
    per_page: int = 10_000
    images_per_request: int = 100_000
    objects_per_request: int = 100_000
    corners_per_polygon: int = 10_000
    corners_per_request: int = 500_000
    """Of all polygons of one request."""
    image_pixels: int = MOST_PIXELS
    """Of one image."""
    decoding_bytes: int = MOST_DECODING_BYTES
    """Of memory for the pixels of all images that are decoded at once."""
    pictures_bytes: int = 20 * 1024**3
    """On disk, of pictures made for browsers. The oldest go first and are made again when they are asked for."""
    lock_seconds: float = 10.0
    """That a request waits for another writer of the database, before it is answered 503."""


@dataclass(frozen=True, slots=True)
class AzureStorage:
    """An Azure Blob account: by connection string, or by URL and the identity of this machine."""

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
    sealing_chunk: int = 128
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
