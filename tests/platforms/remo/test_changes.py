"""Labels that are added to an annotation set while labelers work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from labelwright.domain import Geometry, Label, LabelSchema
from labelwright.platforms.errors import PlatformRefused
from tests.platforms.contract import changed_order, make_job

from .harness import RemoHarness, at_stand_in


@pytest.fixture(scope="module", params=[False, True], ids=["0.3.29", "0.6.1"])
def harness(request: pytest.FixtureRequest) -> Iterator[RemoHarness]:
    with at_stand_in(modern=request.param) as harness:
        yield harness


@pytest.mark.parametrize("labels", [["fog"], ["plastic", "wood", "Wood"]], ids=["another task", "look alike"])
def test_labels_that_an_annotation_set_cannot_have_are_refused(harness: RemoHarness, labels: list[str]) -> None:
    job = make_job(harness)
    before = job.platform.list_labels(job.campaign.id).names
    geometry = Geometry.IMAGE if labels == ["fog"] else Geometry.ANY
    order = replace(changed_order(harness, job), labels=LabelSchema(tuple(Label(name, geometry) for name in labels)))
    with pytest.raises(PlatformRefused) as caught:
        job.platform.change_campaign(job.campaign.id, order)
    assert caught.value.advice
    assert job.platform.list_labels(job.campaign.id).names == before
