"""The adapter of Geti with the network between breaking in every way that the proxy knows. Of Sonoma Creek the same
requests are sent, but a page of HTML is no fault there: it is the end of a session (see test_geti_session)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.geti.adapter import Geti
from tests.platforms.contract_faults import FaultContract
from tests.platforms.proxy import FaultProxy

from .harness import GetiHarness
from .server import geti_server


@pytest.fixture(scope="module")
def harness() -> Iterator[GetiHarness]:
    with geti_server("2.11.0", smallest=1) as server, FaultProxy(("127.0.0.1", server.port)) as proxy:
        yield GetiHarness(proxy, server)


class TestFaults(FaultContract):
    """On a network that breaks."""

    adapter = Geti
