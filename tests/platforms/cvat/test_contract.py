"""The adapter of CVAT keeps the contract, against the stand-in in both dialects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.cvat.adapter import Cvat
from tests.platforms.contract import contract_of

from .fake_server.server import FakeCvat
from .harness import CvatHarness, proxied


@pytest.fixture(scope="module", params=["2.15", "requests"])
def harness(request: pytest.FixtureRequest) -> Iterator[CvatHarness]:
    with FakeCvat(request.param) as cvat, proxied(cvat) as proxy:
        yield CvatHarness(cvat, proxy)


class TestContract(contract_of(Cvat)):
    """On a good network."""
