"""Checked image files, rejected files, and safe image names."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from .geometry import Size


class UnsafeName(ValueError):
    """A name that could escape the folder it is put into, or that a store cannot hold."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was opened, fully decoded and hashed.

    `name` is unique in its image set: a relative path with forward slashes. `size` is that of the image as displayed.
    """

    name: str
    size: Size
    bytes: int
    sha256: str
    """64 hexadecimal digits."""
    md5: str
    """32 hexadecimal digits; what a blob store keeps as Content-MD5 (there in base64)."""
    format: str
    """Pillow's name: JPEG, PNG, ..."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What a person should know of the file, as sentences without a subject. Not kept in the ledger."""
    decoding_bytes: int | None = field(default=None, compare=False)
    """Of memory that the embedded service needs to decode the file. None when unknown: not kept in the ledger."""
    perceptual_hash: int | None = field(default=None, compare=False)
    """64 bits, few of which differ in changed copies of a picture. None without contrast, and when not asked for: not
    kept in the ledger."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """Where in a video an image comes from."""

    video: str
    """The video's file name as its source has it."""
    number: int
    """From 0, in the order in which frames are shown."""
    seconds: float
    """From the video's first frame, to the microsecond."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A file that was left out, and why."""

    name: str
    reason: str


def safe_name(name: str) -> str:
    """The name as it is used everywhere: Unicode NFC, forward slashes, relative, no `..`.

    Raises UnsafeName. Azure Blob's limit of 1,024 characters stands for all stores.
    """
    clean = unicodedata.normalize("NFC", name.replace("\\", "/"))
    parts = clean.split("/")
    if not clean or clean.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise UnsafeName(f"'{name}' is not a relative path inside its folder")
    if len(parts[0]) == 2 and parts[0][1] == ":":
        raise UnsafeName(f"'{name}' begins with a drive letter")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in clean):
        raise UnsafeName(f"{name!r} has control characters or broken Unicode in it")
    if len(clean) > 1024:
        raise UnsafeName(f"'{name[:60]}...' is longer than 1024 characters")
    if any(part.endswith((".", " ")) for part in parts):
        raise UnsafeName(f"'{name}' has a part that ends with a dot or a blank, which blob stores drop")
    return clean
