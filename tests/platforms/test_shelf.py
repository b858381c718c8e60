"""The contract suite on a platform in memory that keeps no image sets: the suite itself is tried by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from labelwright.domain import Annotation
from labelwright.platforms.protocol import LabelerAccess, RemoteCampaign

from .contract import Harness, contract_of
from .shelf import STORES, Shelf


class NoProxy:
    """Nothing lies between this platform and its user."""

    def clear(self) -> None: ...


class ShelfHarness(Harness):
    proxy: Any = NoProxy()

    def platform(self, *, hasty: bool = False, small_pages: bool = False) -> Shelf:
        return Shelf("memory:contract", "good", page_size=2 if small_pages else 1000)

    def with_wrong_credential(self) -> Shelf:
        return Shelf("memory:contract", "bad")

    def label(
        self, campaign: RemoteCampaign, access: LabelerAccess | None, objects: Mapping[str, Sequence[Annotation]]
    ) -> None:
        self.platform().label(campaign.id, dict(objects))


@pytest.fixture(scope="module")
def harness():
    STORES.pop("memory:contract", None)
    return ShelfHarness()


class TestContract(contract_of(Shelf)):
    pass
