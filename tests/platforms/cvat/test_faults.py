"""The adapter of CVAT keeps the contract on networks that break, in both dialects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.cvat.adapter import Cvat
from tests.platforms.contract_faults import FaultContract

from .harness import CvatHarness, proxied
from .standin import StandIn

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["2.15", "requests"])
def harness(request: pytest.FixtureRequest) -> Iterator[CvatHarness]:
    with StandIn(request.param) as cvat, proxied(cvat) as proxy:
        yield CvatHarness(cvat, proxy)


class TestFaults(FaultContract):
    """Every verb meets every fault."""

    adapter = Cvat
    empty_responses = frozenset({"delete_campaign"})
