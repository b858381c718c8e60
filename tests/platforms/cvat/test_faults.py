"""The adapter of CVAT keeps the contract on networks that break, in both dialects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.cvat.adapter import Cvat
from tests.platforms.contract_faults import FaultContract

from .fake_server.server import FakeCvat
from .harness import CvatHarness, proxied

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["2.15", pytest.param("requests", marks=pytest.mark.exhaustive)])
def harness(request: pytest.FixtureRequest) -> Iterator[CvatHarness]:
    with FakeCvat(request.param) as cvat, proxied(cvat) as proxy:
        yield CvatHarness(cvat, proxy)


class TestFaults(FaultContract):
    """Every verb meets every fault."""

    adapter = Cvat
    empty_responses = frozenset({"delete_campaign"})
