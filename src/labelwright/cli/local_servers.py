"""Starts the servers that a command needs on this machine and that are not configured elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from labelwright.campaigns.spec import CampaignSpec
from labelwright.domain.errors import CannotRun
from labelwright.local.servers import (
    Server,
    is_service_kept_by_up,
    start_prefect,
    start_service,
    use_prefect_of_up,
)
from labelwright.security.identity import NotProven, check_address
from labelwright.settings import forget_settings, settings

from .output import console


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
def local_servers(spec: CampaignSpec, *, keep: bool) -> Iterator[LocalServers]:
    """Starts the embedded service and Prefect's server where none is configured.

    They are stopped at the end, unless they are to be kept and nothing failed.
    """
    home = settings().home
    started: list[Server] = []
    service = prefect = None
    try:
        if needs_embedded_service(spec):
            with console.waiting("starting the labeling service"):
                service = start_service(home, keep=keep)
            started.append(service)
            os.environ["LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL"] = f"{service.url}/api/v1"
            forget_settings()
        use_prefect_of_up(home)
        if "PREFECT_API_URL" not in os.environ:
            with console.waiting("starting Prefect"):
                prefect = start_prefect(home, keep=keep)
            started.append(prefect)
        yield LocalServers(service, prefect)
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
            raise CannotRun(str(error)) from None
        console.note(str(error))
        return True
    except OSError:
        return not is_service_kept_by_up(settings().home)
    return False
