"""Starts the servers that a command needs on this machine and that are not configured elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from urllib.parse import urlsplit

from labelwright.campaigns.spec import CampaignSpec
from labelwright.domain.errors import CannotRun
from labelwright.local.servers import (
    LOOPBACK,
    PREFECT_PORT,
    Server,
    Starting,
    begin_prefect,
    begin_service,
    free_port,
    is_service_kept_by_up,
    require_free_port,
    use_prefect_of_up,
)
from labelwright.prefect_integration.runtime import import_flows, prepare_prefect
from labelwright.security.identity import NotProven, check_address
from labelwright.settings import forget_settings, settings

from .output import console


@dataclass(frozen=True)
class Ports:
    """Ports that a person chose for servers of a command; None: one that is free."""

    prefect: int | None = None
    service: int | None = None


@dataclass(frozen=True)
class LocalServers:
    """The servers that a command started; None for one that runs elsewhere."""

    service: Server | None
    prefect: Server | None

    @property
    def service_url(self) -> str | None:
        return self.service.url if self.service else None

    @property
    def prefect_url(self) -> str | None:
        return self.prefect.url if self.prefect else None


@contextlib.contextmanager
def local_servers(spec: CampaignSpec, ports: Ports, *flows: str, keep: bool) -> Iterator[LocalServers]:
    """Starts the embedded service and Prefect's server where none is configured, both at once.

    They are stopped at the end, unless they are to be kept and nothing failed.

    flows: modules of `labelwright.flows` that are imported while the servers start.
    Raises CannotRun when a chosen port is in use.
    """
    home = settings().home
    started: list[Starting] = []
    service: Starting | None = None
    prefect: Starting | None = None
    try:
        use_prefect_of_up(home)
        with_service, with_prefect = needs_embedded_service(spec), "PREFECT_API_URL" not in os.environ
        if with_service:
            require_free_port(ports.service, "--service-port")
        if with_prefect:
            require_free_port(ports.prefect, "--prefect-port")
        if with_service:
            service = begin_service(home, ports.service, keep=keep)
            started.append(service)
        prefect_url = None
        if with_prefect:
            port = ports.prefect or free_port(PREFECT_PORT)
            prefect = begin_prefect(home, port, or_another=ports.prefect is None, keep=keep, block_types=keep)
            started.append(prefect)
            prefect_url = f"http://{LOOPBACK}:{port}"
        prepare_prefect(prefect_url)
        with (
            console.waiting(f"starting {' and '.join(server.name for server in started)}") if started else nullcontext()
        ):
            import_flows(*flows)
            running = LocalServers(service.wait() if service else None, prefect.wait() if prefect else None)
        if running.service:
            os.environ["LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL"] = f"{running.service.url}/api/v1"
            forget_settings()
        yield running
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            for server in reversed(started):
                server.stop()


def needs_embedded_service(spec: CampaignSpec) -> bool:
    """Whether the campaign labels on this machine and no service runs yet.

    One that `labelwright up` is restarting at this moment runs: a second one would work on the same data.
    Another program on the service's former port is left alone: the service takes another port. Raises CannotRun when
    an older version of the service runs there, on the same data.
    """
    if spec.platform != "campaign_api" or spec.connection_name != "campaign_api":
        return False
    configured = settings().connections.get("campaign_api")
    if configured is not None and configured.url:
        return False
    local = settings().embedded_service()
    if local is None or not local.url or local.identity is None:
        return not is_service_kept_by_up(settings().home)
    address = urlsplit(local.url)
    try:
        check_address(address.hostname or "", address.port or 80, local.identity)
    except NotProven as error:
        if error.older:
            raise CannotRun.because_of(error) from None
        console.note(str(error))
        return True
    except OSError:
        return not is_service_kept_by_up(settings().home)
    return False
