"""The adapter of CVAT keeps the contract on networks that break; the newer dialect with the slow tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .contract_faults import FaultContract
from .cvat_harness import CvatHarness, proxied
from .cvat_standin import StandIn


@pytest.fixture(scope="module", params=["2.15", pytest.param("requests", marks=pytest.mark.slow)])
def harness(request: pytest.FixtureRequest) -> Iterator[CvatHarness]:
    with StandIn(request.param) as cvat, proxied(cvat) as proxy:
        yield CvatHarness(cvat, proxy)


class TestFaults(FaultContract):
    """Every verb meets every fault."""
