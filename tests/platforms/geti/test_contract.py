"""The adapter of Geti keeps the contract, against the stand-in of both dialects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.geti.adapter import Geti
from tests.platforms.contract import contract_of
from tests.platforms.proxy import FaultProxy

from .harness import GetiHarness
from .server import geti_server


@pytest.fixture(scope="module", params=["2.12.1", "1.1.0-latest-20220405093904"])
def harness(request: pytest.FixtureRequest) -> Iterator[GetiHarness]:
    with geti_server(request.param, smallest=1) as server, FaultProxy(("127.0.0.1", server.port)) as proxy:
        yield GetiHarness(proxy, server)


class TestContract(contract_of(Geti)):
    """On a good network."""
