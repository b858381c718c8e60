"""Leases: one run at a time works on a campaign, and a sweep can tell a dead run from a living one.

Leases are kept in the ledger and are not Prefect concurrency limits: several Prefect servers may share a ledger, and a
slot of a limit names no holder that could be reported, marked as crashed and replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import ParamSpec, TypeVar, cast

from prefect.context import FlowRunContext
from prefect.states import Cancelled

from labelwright.campaigns.queue import campaign_wait
from labelwright.domain.errors import show_code
from labelwright.ledger import CampaignBusy, campaign_lease
from labelwright.platforms import PlatformUnavailable
from labelwright.prefect_integration.team_settings import WORKER, record_settings
from labelwright.settings import settings

from .attention import asking_for_attention
from .context import the_ledger
from .crashed_runs import mark_runs_crashed
from .events import send_events
from .reporting import log

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@contextmanager
def campaign_lock(title: str, doing: str, *, begins: bool = True) -> Iterator[None]:
    """Hold the campaign's lease while a flow works on it, and send the outbox's events at the end.

    A lease whose run died is taken over, and that run is marked as crashed. Raises CampaignBusy while another run holds
    it.

    begins: whether the run counts as begun now; a launch begins when its campaign is in the ledger.
    """
    try:
        with _lease(campaign_lease(title), doing):
            if begins:
                the_ledger().runs.record_begun()
            with asking_for_attention(title), recording_waits(title):
                yield
    finally:
        send_events()


@contextmanager
def recording_waits(title: str) -> Iterator[None]:
    """Record a Retry-After that ended the run: no sweep restarts the campaign before that time."""
    try:
        yield
    except PlatformUnavailable as error:
        if error.not_before is not None and error.seconds_to_wait() > 0:
            the_ledger().waits.put(campaign_wait(title), error.not_before, str(error))
        raise


@contextmanager
def named_lock(name: str) -> Iterator[None]:
    """Hold a lease that is no campaign's: of sweeps, and of runs that wait for labels."""
    try:
        with _lease(name, name):
            yield
    finally:
        send_events()


def with_run_lease(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Decorates flows that lock nothing: the run holds a lease of its own, by which a sweep notices that it died."""

    @wraps(function)
    def wrapper(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        context = FlowRunContext.get()
        if context is None or context.flow_run is None:
            return function(*args, **kwargs)
        with named_lock(f"flow run {context.flow_run.id}"):
            the_ledger().runs.record_begun()
            return function(*args, **kwargs)

    return wrapper


def skipped_while_busy(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Decorates flows of a schedule: a run that finds its lease taken ends as cancelled. By a command it is refused."""

    @wraps(function)
    def wrapper(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return function(*args, **kwargs)
        except CampaignBusy as busy:
            context = FlowRunContext.get()
            if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
                raise
            # Prefect takes a state that a flow returns for the state of its run.
            return cast("_Result", Cancelled(message=f"skipped: {busy}"))

    return wrapper


@contextmanager
def _lease(name: str, doing: str) -> Iterator[None]:
    leases, context = the_ledger().leases, FlowRunContext.get()
    run = context.flow_run if context else None
    holder = f"the run '{run.name}' ({run.id})" if run else f"{doing} on this machine"
    with leases.held(name, holder, str(run.id) if run else None, on_trouble=log().warning):
        mark_runs_crashed(leases.taken_over())
        if run is not None and run.deployment_id is not None:
            _record_settings_once()
        try:
            yield
        except Exception as error:
            if run is not None:
                show_code(error)  # Prefect writes the error's text into the state of the run
            raise


@cache
def _record_settings_once() -> None:
    """Record this worker's settings, which the doctor compares with those of other workers and of the receiver."""
    record_settings(settings(), WORKER, the_ledger().identity())
