"""Keeps connections to this machine away from proxies that the environment configures."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1", "127.0.0.0/8")
"""As NO_PROXY lists them: some programs know networks there, others only hosts. None but Python's own urllib knows
brackets around an IPv6 address, and httpx fails with them."""


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def keep_loopback_direct(environment: MutableMapping[str, str] = os.environ) -> None:
    """Adds this machine to NO_PROXY if the environment configures a proxy, for this process and its children.

    Existing entries stay. Addresses of this machine in other variables (PREFECT_API_URL, those of connections) are
    added as they are written there. Idempotent.
    """
    names = {name for name in environment if name.lower().endswith("_proxy") and name.lower() != "no_proxy"}
    if not any(environment[name].strip() for name in names):
        return
    listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    kept = [_without_brackets(host.strip()) for host in listed.split(",") if host.strip()]
    if "*" in kept:
        return
    hosts = [host for name, value in environment.items() if name not in names and (host := _loopback_in(value))]
    merged = ",".join(dict.fromkeys([*kept, *LOOPBACK, *hosts]))
    environment["no_proxy"] = environment["NO_PROXY"] = merged


def open_url(url: str, timeout: float) -> Any:
    """As urllib.request.urlopen, but never through a proxy to this machine."""
    import urllib.request  # imported here since it loads http.client and ssl, and every command imports this module

    if is_loopback(urlsplit(url).hostname or ""):
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=timeout)
    return urllib.request.urlopen(url, timeout=timeout)  # noqa: S310 - callers name http addresses


def _loopback_in(value: str) -> str | None:
    if not value.startswith(("http://", "https://")):
        return None
    try:
        host = urlsplit(value).hostname or ""
    except ValueError:
        return None
    return host if is_loopback(host) else None


def _without_brackets(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
