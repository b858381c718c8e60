"""What the service says when it refuses: `{"error": {"code", "message", "details"}}`, whatever went wrong.

ServiceError      status and code
|- Unknown        404  there is none, or not for this key: both read the same
|- Conflict       409  the state of things forbids it
|- TooLarge       413
'- Invalid        422  the request contradicts the contract or itself
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

log = logging.getLogger("labelwright.service")

CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    412: "stale",
    413: "too_large",
    422: "invalid",
    428: "revision_missing",
    500: "internal",
    503: "unavailable",
}


class ServiceError(Exception):
    """A refusal with a status. `details` is JSON or None."""

    status = 400

    def __init__(self, message: str, *, details: Any = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        if status is not None:
            self.status = status


class Unknown(ServiceError):
    status = 404


class Conflict(ServiceError):
    status = 409


class TooLarge(ServiceError):
    status = 413


class Invalid(ServiceError):
    status = 422


def error_response(status: int, message: str, details: Any = None) -> JSONResponse:
    body = {"error": {"code": CODES.get(status, f"http_{status}"), "message": message, "details": details}}
    return JSONResponse(body, status)


def answer_errors(app: FastAPI) -> None:
    """Give every way of failing the one shape."""
    app.add_exception_handler(ServiceError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)


def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)  # noqa: S101
    return error_response(error.status, error.message, error.details)


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 400:  # FastAPI: the body could not be read as JSON at all
        return error_response(422, "the body is not JSON", str(error.detail))
    response = error_response(error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    if error.status_code == 405:  # the router names the methods of the first route on this path only
        response.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return response


def _methods(request: Request) -> set[str]:
    """The methods that the path of this request has routes for."""
    allowed: set[str] = set()
    for method in ("GET", "POST", "PUT"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            allowed.add(method)
    return allowed


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = [{"where": where(fault["loc"]), "problem": fault["msg"]} for fault in error.errors()[:100]]
    first = faults[0]
    return error_response(422, f"{first['where']}: {first['problem']}", faults)


def _broken(request: Request, error: Exception) -> JSONResponse:
    # Names no query string: it may hold a signature.
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(500, "the service failed; its log says why")


def where(loc: Sequence[int | str]) -> str:
    """`("body", 0, "id")` as `body[0].id`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text
