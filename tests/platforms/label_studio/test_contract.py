"""The adapter of Label Studio keeps the contract, against the stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelwright.platforms.label_studio.adapter import LabelStudio
from tests.platforms.contract import contract_of

from .harness import LabelStudioHarness, label_studio_harness


@pytest.fixture(scope="module")
def harness() -> Iterator[LabelStudioHarness]:
    with label_studio_harness() as harness:
        yield harness


class TestContract(contract_of(LabelStudio)):
    """On a good network."""
