"""The client of the configured Prefect server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labelwright.domain.errors import CannotRun
from labelwright.local.servers import use_prefect_of_up
from labelwright.settings import settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


def require_prefect_client() -> SyncPrefectClient:
    """Returns a client for the configured Prefect server. Raises CannotRun when none is configured."""
    use_prefect_of_up(settings().home)
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        raise CannotRun(
            "no Prefect server is configured. Start everything with: labelwright up. Or name one with PREFECT_API_URL"
        )
    return get_client(sync_client=True)
