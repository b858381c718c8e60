"""The client of the configured Prefect server."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labelwright.domain.errors import NoPrefectServer
from labelwright.local.servers import use_prefect_of_up
from labelwright.network.proxies import is_loopback
from labelwright.settings import settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


def require_prefect_client() -> SyncPrefectClient:
    """Returns a client for the configured Prefect server. Raises CannotRun when none is configured."""
    use_prefect_of_up(settings().home)
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        raise NoPrefectServer(
            "no Prefect server is configured. Start everything with: labelwright up. Or name one with PREFECT_API_URL"
        )
    return get_client(sync_client=True)


def may_be_submitted_elsewhere() -> bool:
    """Whether this is a run of a deployment that somebody at another machine may have submitted."""
    from prefect.runtime import deployment
    from prefect.settings import PREFECT_API_URL

    if not deployment.id:
        return False
    return settings().has_ledger_of_team() or not is_loopback(urlsplit(PREFECT_API_URL.value() or "").hostname or "")
