"""Runs that the operations page starts, on a real Prefect server with our deployments."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from labelwright.domain import State
from labelwright.flows.cancel_campaign import cancel_campaign
from labelwright.flows.pause_campaign import pause_campaign
from labelwright.operations.actions import ACTIONS
from labelwright.prefect_integration.requested_runs import RequestedRuns, RunNotStarted
from labelwright.tasks.context import the_ledger
from tests.operations.seeding import add

pytestmark = pytest.mark.usefixtures("deployed", "home")


def test_an_action_is_one_run_however_often_its_form_is_sent():
    runs, key = RequestedRuns(), uuid4().hex
    for action in ACTIONS.values():
        first = runs.start(action.deployment, {"title": "river"}, f"{action.name} {key}")
        assert runs.start(action.deployment, {"title": "river"}, f"{action.name} {key}") == first
        status = runs.status(first)
        assert (status.state, status.is_over) == ("Scheduled", False)
        assert status.page.endswith(f"/runs/flow-run/{first}")


def test_a_deployment_that_is_missing_and_a_run_that_is_gone_are_said():
    with pytest.raises(RunNotStarted, match="labelwright deploy"):
        RequestedRuns().start("no-such-flow/no-such-flow", {}, "key")
    assert RequestedRuns().status(str(uuid4())).message == "The run was deleted in Prefect."
    assert RequestedRuns().status("no id").is_over


def test_the_end_of_a_run_says_what_was_done_or_why_not(tmp_path: Path):
    title = f"of {tmp_path.name}"
    add(the_ledger(), title, State.ACTIVE)
    refused = pause_campaign(title, return_state=True)
    status = RequestedRuns().status(str(refused.state_details.flow_run_id))
    assert (status.is_over, status.succeeded) == (True, False)
    assert status.message.startswith(f"nothing was paused: '{title}' is active")
    done = cancel_campaign(title, return_state=True)
    status = RequestedRuns().status(str(done.state_details.flow_run_id))
    assert (status.is_over, status.succeeded) == (True, True)
    assert status.message == f"'{title}' is cancelled; it still exists on the platform (id 17)"
    assert the_ledger().campaigns.get(title).state is State.CANCELLED
