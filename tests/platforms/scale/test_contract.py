"""Scale passes the contract of a platform, on a good network and on one that breaks: batches wait to be finalized."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.scale.adapter import Scale
from tests.platforms.contract import contract_of
from tests.platforms.contract_faults import FaultContract
from tests.platforms.proxy import FaultProxy

from .harness import ScaleHarness
from .server import ScaleServer


@pytest.fixture(scope="module")
def server() -> Iterator[ScaleServer]:
    with ScaleServer() as server:
        yield server


@pytest.fixture(scope="module")
def harness(server: ScaleServer) -> Iterator[ScaleHarness]:
    with FaultProxy(("127.0.0.1", server.port)) as proxy:
        yield ScaleHarness(server, proxy)


class TestContract(contract_of(Scale)):
    """Batches that wait until they are finalized, as in Rapid and Studio projects."""


class TestFaults(FaultContract):
    """On a network that breaks."""

    adapter = Scale
