"""Scale passes the contract of a platform in enterprise projects, whose batches are in progress from the start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.scale.adapter import Scale
from tests.platforms.contract import contract_of
from tests.platforms.proxy import FaultProxy

from .harness import ScaleHarness
from .server import ScaleServer


@pytest.fixture(scope="module")
def harness() -> Iterator[ScaleHarness]:
    with ScaleServer() as server, FaultProxy(("127.0.0.1", server.port)) as proxy:
        yield ScaleHarness(server, proxy, "enterprise")


class TestContract(contract_of(Scale)):
    """On a good network."""
