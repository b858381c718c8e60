"""The adapter of Label Studio keeps the contract on networks that break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.label_studio.adapter import LabelStudio
from tests.platforms.contract_faults import FaultContract

from .harness import LabelStudioHarness, label_studio_harness

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def harness() -> Iterator[LabelStudioHarness]:
    with label_studio_harness() as harness:
        yield harness


class TestFaults(FaultContract):
    """Every operation meets every fault."""

    adapter = LabelStudio
    empty_responses = frozenset({"delete_campaign"})
