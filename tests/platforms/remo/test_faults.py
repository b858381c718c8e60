"""The adapter of Remo keeps the contract while the network breaks in every way that the proxy knows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.remo.adapter import Remo
from tests.platforms.contract_faults import FaultContract

from .harness import RemoHarness, at_stand_in

GENERATIONS = [pytest.param(False, marks=pytest.mark.slow), True]


@pytest.fixture(scope="module", params=GENERATIONS, ids=["0.3.29", "0.6.1"])
def harness(request: pytest.FixtureRequest) -> Iterator[RemoHarness]:
    with at_stand_in(modern=request.param) as harness:
        yield harness


class TestFaults(FaultContract):
    """On a network that breaks."""

    adapter = Remo
