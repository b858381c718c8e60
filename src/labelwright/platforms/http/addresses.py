"""A platform's address as somebody wrote it."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit, urlunsplit

from labelwright.network.proxies import is_loopback
from labelwright.platforms.errors import PlatformRefused

__all__ = ["is_loopback", "read_address"]


def read_address(platform: str, url: str) -> tuple[str, str, str]:
    """The address without user-info, the basic credential that was in it, and its host."""
    told = ""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        told = "the platform's address is not valid"
    else:
        if parts.scheme not in ("http", "https"):
            told = "the platform's address does not begin with http:// or https://"
        elif not host:
            told = "the platform's address names no host"
        elif parts.query or parts.fragment:
            told = "the platform's address must end before any ? or #"
    if told:
        raise PlatformRefused(platform, "connect", message=told, advice="It looks like https://host/api/v1.")
    user_info, _, place = parts.netloc.rpartition("@")
    user, _, password = user_info.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    basic = f"Basic {b64encode(pair).decode()}" if user_info else ""
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")), basic, host or ""
