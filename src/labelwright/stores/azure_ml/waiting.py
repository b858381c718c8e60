"""Keeps SDKs from sleeping inside their calls. Loaded by `sdk_v1.py` and `sdk_v2.py`.

Both SDKs, and the identity clients under them, sleep as long as a Retry-After says and repeat the call. Here such a
response ends the program instead, with the server's status, message and wait: the task's retry policy decides. They
also repeat refusals that waiting does not change (409, 403) if these carry a Retry-After, so the header is removed.
This module imports nothing of Labelwright.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

STATUS_LINE = "labelwright: the server answered "
"""Written to standard error for every HTTP error, so that it is known after the process is stopped."""
LAST: dict[str, int | None] = {"status": None}
"""Status of the last request: errors of the SDKs do not always carry it."""


_IN_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
"""Headers of Azure's services that azure-core waits out as well."""


class RetryLater(BaseException):
    """The server asks to retry later. Not an Exception, so that no SDK catches it and retries."""

    def __init__(self, status: int, retry_after: str, message: str) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after
        self.message = message

    def as_failure(self) -> dict[str, Any]:
        return {"status": self.status, "message": self.message, "retry_after": self.retry_after}


def install() -> None:
    """Patches urllib3 so that no request of this process is repeated after a Retry-After."""
    from urllib3.connectionpool import HTTPConnectionPool

    make_request: Callable[..., Any] = HTTPConnectionPool._make_request
    if getattr(make_request, "make_request_without_retries", False):
        return

    def make_request_without_retries(self: Any, *args: Any, **kwargs: Any) -> Any:
        LAST["status"] = None
        response = make_request(self, *args, **kwargs)
        status = LAST["status"] = int(response.status)
        if status >= 400:
            sys.stderr.write(f"{STATUS_LINE}{status}\n")
            sys.stderr.flush()
        wait = _retry_after(response.headers)
        if wait and wait != "0" and (status in (408, 425, 429) or status >= 500):
            raise RetryLater(status, wait, _error_message(response))
        if status >= 400:
            for name in ("Retry-After", *_IN_MILLISECONDS):
                response.headers.pop(name, None)
        return response

    make_request_without_retries.make_request_without_retries = True  # type: ignore[attr-defined]
    HTTPConnectionPool._make_request = make_request_without_retries  # type: ignore[method-assign]


def _retry_after(headers: Any) -> str:
    """The wait of a response: seconds, or a date; empty when there is none."""
    wait = str(headers.get("Retry-After") or "").strip()
    for name in _IN_MILLISECONDS:
        if not wait and headers.get(name):
            try:
                wait = f"{float(headers[name]) / 1000:g}"
            except ValueError:
                continue
    return wait


def last_refusal() -> int | None:
    """The status of the last response, if it was an error."""
    status = LAST["status"]
    return status if status is not None and status >= 400 else None


def _error_message(response: Any) -> str:
    """The error message in the response's JSON, else its reason phrase."""
    try:
        body = response.read(1 << 16)
        return str(json.loads(body)["error"]["message"])[:500]
    except Exception:  # noqa: BLE001 - fall back to the reason phrase
        return str(getattr(response, "reason", "") or "")[:200]
