"""Asks a campaign's platform once whether it can be reached with the campaign's credentials."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from pydantic import ValidationError

from labelwright.domain.errors import CannotRun
from labelwright.network.deadlines import OutOfTime, time_limit
from labelwright.platforms import AccessDenied, PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import Platform
from labelwright.platforms.registry import PLATFORMS
from labelwright.security.identity import NotProven, check_address
from labelwright.settings import ConnectionSettings

from .connections import Connections
from .spec import CampaignSpec

_SECONDS = 30.0
_RESTART_SECONDS = 2.0
"""How long a service that refuses connections may be restarting."""


def platform_of(spec: CampaignSpec, connections: Connections) -> Platform:
    """The campaign's platform, without a request. Raises CannotRun, SettingsError for what cannot be used."""
    try:
        return connections.platform_for(spec)
    except PlatformRefused as error:
        raise CannotRun.because_of(error) from None
    except ValidationError as error:
        faults = "; ".join(
            f"options.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)
        )
        raise CannotRun(f"campaign '{spec.title}' cannot run on {spec.platform}: {faults}") from None


def check_access(spec: CampaignSpec, connections: Connections) -> str:
    """Returns what responded, in words. One request, or a login and one request; nothing is retried.

    Raises CannotRun and SettingsError (incomplete credentials), AccessDenied (refused ones), PlatformRefused,
    PlatformUnavailable: with a status when the platform responded that it is busy, without one when nothing responds.
    """
    platform = platform_of(spec, connections)
    try:
        _require_embedded_service(spec, connections.credentials_of(spec.connection_name, spec.platform))
        with time_limit(_SECONDS), connection_named(spec):
            return platform.check()
    except OutOfTime:
        message = f"no response within {_SECONDS:.0f} seconds"
        raise PlatformUnavailable(platform.name, "check the connection", message=message) from None


@contextmanager
def connection_named(spec: CampaignSpec) -> Iterator[None]:
    """Raises AccessDenied of the campaign's platform with the name of the connection whose credentials were refused."""
    try:
        yield
    except AccessDenied as denied:
        check = f"Check the key and secret of connection {spec.connection_name}."
        if denied.platform != spec.platform or denied.advice.startswith(check):
            raise
        advice = f"{check} {denied.advice}".strip()
        raise AccessDenied(
            denied.platform, denied.operation, status=denied.status, message=denied.message, advice=advice
        ) from None


def _require_embedded_service(spec: CampaignSpec, credentials: ConnectionSettings) -> None:
    """Raises PlatformUnavailable, with the command to start it, when this home's labeling service does not run."""
    if credentials.identity is None or not credentials.url:
        return
    address = urlsplit(credentials.url)
    ends = time.monotonic() + _RESTART_SECONDS
    while True:
        try:
            check_address(address.hostname or "", address.port or 80, credentials.identity)
        except NotProven:
            return  # the request tells it, with its reason
        except OSError:
            if time.monotonic() < ends:
                time.sleep(0.2)
                continue
            raise PlatformUnavailable(
                PLATFORMS[spec.platform].name,
                "check the connection",
                message=f"the labeling service at {address.scheme}://{address.netloc} is not running",
                advice="Start it with: labelwright serve. A running labelwright up restarts it by itself",
            ) from None
        return
