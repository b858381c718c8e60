"""Scale passes the contract of a platform in enterprise projects, whose batches are in progress from the start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platforms.contract import PlatformContract
from tests.platforms.proxy import FaultProxy

from .harness import ScaleHarness
from .server import ScaleServer


@pytest.fixture(scope="module")
def harness() -> Iterator[ScaleHarness]:
    with ScaleServer() as server, FaultProxy(("127.0.0.1", server.port)) as proxy:
        yield ScaleHarness(server, proxy, "enterprise")


class TestContract(PlatformContract):
    """On a good network."""
