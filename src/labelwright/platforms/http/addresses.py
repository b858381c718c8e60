"""Parses the address of a platform from the settings."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit, urlunsplit

from labelwright.network.proxies import is_loopback
from labelwright.platforms.errors import PlatformRefused

__all__ = ["is_loopback", "read_address"]


def read_address(platform: str, url: str) -> tuple[str, str, str]:
    """Returns the address without user and password, the Authorization value made of these, and the host.

    Raises PlatformRefused for an address that is not valid.
    """
    fault = ""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        fault = "the platform's address is not valid"
    else:
        if parts.scheme not in ("http", "https"):
            fault = "the platform's address does not begin with http:// or https://"
        elif not host:
            fault = "the platform's address names no host"
        elif parts.query or parts.fragment:
            fault = "the platform's address must end before any ? or #"
    if fault:
        raise PlatformRefused(platform, "connect", message=fault, advice="It looks like https://host/api/v1.")
    user_info, _, place = parts.netloc.rpartition("@")
    user, _, password = user_info.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    basic = f"Basic {b64encode(pair).decode()}" if user_info else ""
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")), basic, host or ""
