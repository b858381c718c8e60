"""The state of a failed run, as Prefect's pages show it, ends with the error's code."""

from __future__ import annotations

import pytest
from prefect import flow

from labelwright.ledger import UnknownCampaign
from labelwright.platforms import PlatformUnavailable
from labelwright.tasks.leases import named_lock

FAILURES = {
    "LW2002": lambda: UnknownCampaign("river"),
    "LW4002": lambda: PlatformUnavailable("cvat", "log in", status=503, message="busy"),
}


@flow(name="failing")
def failing(code: str) -> None:
    with named_lock(f"test of {code}"):
        raise FAILURES[code]()


@pytest.mark.parametrize("code", FAILURES)
def test_the_state_of_a_failed_run_ends_with_the_code(prefect_server, home, code):
    state = failing(code, return_state=True)
    assert state.is_failed()
    assert (state.message or "").endswith(f" [{code}]")
    error = state.result(raise_on_failure=False)
    assert error.error_code == code


def test_without_a_run_the_text_of_an_error_is_left_as_it_is(home):
    with pytest.raises(UnknownCampaign) as refusal:
        failing.fn("LW2002")
    assert str(refusal.value).endswith("labelwright status")
