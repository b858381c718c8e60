"""Keeps SDKs from sleeping inside their calls: loaded by the programs `sdk_v1.py` and `sdk_v2.py`.

Both SDKs, and the identity clients under them, wait out a Retry-After by themselves, however long, and repeat the call.
Here such an answer ends the program instead, with the server's status, words and wait: whoever counts retries decides.
A refusal that no wait mends (a 409, a 403) is repeated by them too when it comes with a Retry-After: here without one.
It imports nothing of Labelwright.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

STATUS_LINE = "labelwright: the server answered "
"""Written to standard error for every refusal, so that a program that was stopped at its deadline leaves it behind."""
LAST: dict[str, int | None] = {"status": None}
"""Of the request made last: SDKs turn refusals into errors of their own that do not tell the status any more."""


_IN_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
"""Headers of Azure's services that azure-core waits out as well."""


class AskedToWait(BaseException):
    """The server asks to wait. No Exception, so that no SDK catches it and tries again."""

    def __init__(self, status: int, retry_after: str, message: str) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after
        self.message = message

    def as_failure(self) -> dict[str, Any]:
        return {"status": self.status, "message": self.message, "retry_after": self.retry_after}


def install() -> None:
    """From now on no request of this process is repeated after a Retry-After."""
    from urllib3.connectionpool import HTTPConnectionPool

    make_request: Callable[..., Any] = HTTPConnectionPool._make_request
    if getattr(make_request, "watched", False):
        return

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        LAST["status"] = None
        response = make_request(self, *args, **kwargs)
        status = LAST["status"] = int(response.status)
        if status >= 400:
            sys.stderr.write(f"{STATUS_LINE}{status}\n")
            sys.stderr.flush()
        wait = wait_in(response.headers)
        if wait and wait != "0" and (status in (408, 425, 429) or status >= 500):
            raise AskedToWait(status, wait, words_in(response))
        if status >= 400:
            for name in ("Retry-After", *_IN_MILLISECONDS):
                response.headers.pop(name, None)
        return response

    watched.watched = True  # type: ignore[attr-defined]
    HTTPConnectionPool._make_request = watched  # type: ignore[method-assign]


def wait_in(headers: Any) -> str:
    """What the answer says of a wait: seconds, or a date; empty when it says nothing."""
    wait = str(headers.get("Retry-After") or "").strip()
    for name in _IN_MILLISECONDS:
        if not wait and headers.get(name):
            try:
                wait = f"{float(headers[name]) / 1000:g}"
            except ValueError:
                continue
    return wait


def last_refusal() -> int | None:
    """The status of the last answer, if it was a refusal."""
    status = LAST["status"]
    return status if status is not None and status >= 400 else None


def words_in(response: Any) -> str:
    """What the server says in its answer, in its own words where they can be found."""
    try:
        body = response.read(1 << 16)
        return str(json.loads(body)["error"]["message"])[:500]
    except Exception:  # noqa: BLE001 - whatever the answer is, its reason will do
        return str(getattr(response, "reason", "") or "")[:200]
