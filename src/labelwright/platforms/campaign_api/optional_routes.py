"""Routes of the campaign API that only newer servers have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from labelwright.platforms.errors import PlatformRefused

NO_SUCH_ROUTE = frozenset({404, 405, 501})
"""Statuses by which a server says that it does not have a route, or not what the route is about."""


@contextmanager
def optional_route(
    platform: str, operation: str, look: Callable[[], object], message: str, advice: str
) -> Iterator[None]:
    """For calls of a route below a campaign. `look` reads the campaign, and raises NotFound when it is missing.

    Raises PlatformRefused with the message and the advice when the server does not have the route.
    """
    try:
        yield
    except PlatformRefused as refused:
        if refused.status not in NO_SUCH_ROUTE:
            raise
        look()
        raise PlatformRefused(platform, operation, status=refused.status, message=message, advice=advice) from None
