"""One run at a time works on a campaign, and says so."""

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

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


@contextmanager
def campaign_lock(title: str, doing: str) -> Iterator[None]:
    """Hold the campaign while the flow works on it; at the end tell what happened.

    Raises CampaignBusy when another run is at it. A run that died is marked, and this one goes on in its place.
    """
    try:
        with _holding(campaign_lease(title), doing), asking_for_attention(title), recording_waits(title):
            yield
    finally:
        send_events()


@contextmanager
def recording_waits(title: str) -> Iterator[None]:
    """Write down how long a server wants to be left alone: no sweep takes the campaign up before that."""
    try:
        yield
    except PlatformUnavailable as error:
        if error.not_before is not None and error.seconds_to_wait() > 0:
            the_ledger().waits.put(campaign_wait(title), error.not_before, str(error))
        raise


@contextmanager
def named_lock(name: str) -> Iterator[None]:
    """Hold a name of its own: sweeps, and runs that wait for labels."""
    try:
        with _holding(name, name):
            yield
    finally:
        send_events()


def with_run_lease(function: Callable[_Asked, _Answer]) -> Callable[_Asked, _Answer]:
    """For flows that keep nobody away: a lease of the run itself, by which a sweep tells the living from the dead."""

    @wraps(function)
    def wrapper(*args: _Asked.args, **kwargs: _Asked.kwargs) -> _Answer:
        context = FlowRunContext.get()
        if context is None or context.flow_run is None:
            return function(*args, **kwargs)
        with named_lock(f"flow run {context.flow_run.id}"):
            return function(*args, **kwargs)

    return wrapper


@contextmanager
def _holding(name: str, doing: str) -> Iterator[None]:
    leases, context = the_ledger().leases, FlowRunContext.get()
    run = context.flow_run if context else None
    holder = f"the run '{run.name}' ({run.id})" if run else f"{doing} on this machine"
    with leases.held(name, holder, str(run.id) if run else None, on_trouble=log().warning):
        mark_runs_crashed(leases.taken_over())
        yield


def connection_of(record: CampaignRecord) -> str:
    """The name of the credentials by which a campaign's platform is reached."""
    return str(record.spec.get("connection") or record.spec.get("platform"))


def campaign_wait(title: str) -> str:
    """The name of the wait that a server asked for while a campaign was worked on."""
    return f"campaign {title}"


def connection_wait(connection: str) -> str:
    """The name of the wait that a platform asked for when it was looked at."""
    return f"connection {connection}"


def waiting_lease(title: str) -> str:
    """The name of the lease of a run that goes from images to datasets by itself."""
    return f"run {title}"


def finishing_lease(title: str) -> str:
    """The name of the lease of a run that finishes a campaign and exports it too."""
    return f"finish {title}"
