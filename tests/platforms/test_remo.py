"""The adapter of Remo keeps the contract, against the stand-in of both generations and on a network that breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .contract import PlatformContract
from .contract_faults import FaultContract
from .proxy import FaultProxy
from .remo_harness import RemoHarness
from .remo_server import RemoServer


@pytest.fixture(scope="module", params=[False, True], ids=["0.3.29", "0.6.1"])
def harness(request: pytest.FixtureRequest) -> Iterator[RemoHarness]:
    with RemoServer(modern=request.param) as server, FaultProxy(("127.0.0.1", server.port)) as proxy:
        yield RemoHarness(proxy, server.url)


class TestContract(PlatformContract):
    """On a good network."""


class TestFaults(FaultContract):
    """On one that breaks."""
