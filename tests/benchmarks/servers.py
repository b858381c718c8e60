"""The embedded service and Prefect's server in a folder of their own, for benchmarks that run flows."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labelwright.local.servers import Server


@contextmanager
def servers() -> Iterator[tuple[Path, Server]]:
    """Start both and use them in this process while the block lasts. Gives the home folder and the service."""
    from labelwright.local.servers import start_prefect, start_service

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["LABELWRIGHT_HOME"] = str(home)
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
        service, prefect = start_service(home), start_prefect(home)
        os.environ["LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL"] = f"{service.url}/api/v1"
        os.environ["PREFECT_API_URL"] = f"{prefect.url}/api"
        try:
            yield home, service
        finally:
            prefect.stop()
            service.stop()
