"""The adapter of Remo keeps the contract, against the stand-in of both generations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.remo.adapter import Remo
from tests.platforms.contract import contract_of

from .harness import RemoHarness, at_stand_in


@pytest.fixture(scope="module", params=[False, True], ids=["0.3.29", "0.6.1"])
def harness(request: pytest.FixtureRequest) -> Iterator[RemoHarness]:
    with at_stand_in(modern=request.param) as harness:
        yield harness


class TestContract(contract_of(Remo)):
    """On a good network."""
