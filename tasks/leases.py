"""Leases: one run at a time works on a campaign, and a sweep can tell a dead run from a living one.

Leases are kept in the ledger and are not Prefect concurrency limits: several Prefect servers may share a ledger, and a
slot of a limit names no holder that could be reported, marked as crashed and replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from prefect.context import FlowRunContext

from labelwright.ledger import CampaignRecord, campaign_lease
from labelwright.platforms import PlatformUnavailable

from .attention import asking_for_attention
from .context import the_ledger
from .crashed_runs import mark_runs_crashed
from .events import send_events
from .reporting import log

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@contextmanager
def campaign_lock(title: str, doing: str) -> Iterator[None]:
    """Hold the campaign's lease while a flow works on it, and send the outbox's events at the end.

    A lease whose run died is taken over, and that run is marked as crashed. Raises CampaignBusy while another run holds
    it.
    """
    try:
        with _lease(campaign_lease(title), doing), asking_for_attention(title), recording_waits(title):
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
            return function(*args, **kwargs)

    return wrapper


@contextmanager
def _lease(name: str, doing: str) -> Iterator[None]:
    leases, context = the_ledger().leases, FlowRunContext.get()
    run = context.flow_run if context else None
    holder = f"the run '{run.name}' ({run.id})" if run else f"{doing} on this machine"
    with leases.held(name, holder, str(run.id) if run else None, on_trouble=log().warning):
        mark_runs_crashed(leases.taken_over())
        yield


def connection_of(record: CampaignRecord) -> str:
    """The name of the campaign's connection."""
    return str(record.spec.get("connection") or record.spec.get("platform"))


def campaign_wait(title: str) -> str:
    """The name of a wait that concerns one campaign, after a Retry-After in one of its runs."""
    return f"campaign {title}"


def connection_wait(connection: str) -> str:
    """The name of a wait that concerns all campaigns of a connection, after a Retry-After in a sweep."""
    return f"connection {connection}"


def waiting_lease(title: str) -> str:
    """The name of the lease of a `run-campaign` run."""
    return f"run {title}"


def finishing_lease(title: str) -> str:
    """The name of the lease of a `finish-campaign` run, which may also export."""
    return f"finish {title}"
