"""Error responses of the service: `{"error": {"code", "error_code", "message", "details"}}`, whatever went wrong.

ServiceError      status and code
|- Unknown        404  does not exist, or not for this key: both look the same
|- Conflict       409  the current state forbids it
|- TooLarge       413
|- Busy           503  too many requests, or the database is locked: retry later
'- Invalid        422  the request contradicts the contract or itself
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

from labelwright.service.bodies import ClientGone

log = logging.getLogger("labelwright.service")

CODES = {
    400: ("bad_request", "LW8001"),
    401: ("unauthenticated", "LW8002"),
    403: ("forbidden", "LW8003"),
    404: ("not_found", "LW8004"),
    405: ("method_not_allowed", "LW8005"),
    409: ("conflict", "LW8006"),
    412: ("stale", "LW8007"),
    413: ("too_large", "LW8008"),
    422: ("invalid", "LW8009"),
    428: ("revision_missing", "LW8010"),
    500: ("internal", "LW8011"),
    503: ("unavailable", "LW8012"),
}
"""By HTTP status: the name of the error in responses, and its code in the reference."""


class ServiceError(Exception):
    """An error response with an HTTP status. `details` is JSON or None."""

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


class Busy(ServiceError):
    status = 503


LISTED = 1_000
"""Faults of one request that the models refuse."""

RETRY_AFTER = "10"
"""Seconds that a client is asked to wait after a 503."""

DATABASE_ERRORS = (OperationalError, PoolTimeout)
"""What SQLAlchemy raises when the database is locked, full, read-only or away."""


_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


def database_busy(error: Exception) -> Busy | None:
    """Returns the response for a database that is locked or away; None for other faults.

    The database's own message goes to the log.
    """
    lower = getattr(error, "orig", None)
    if isinstance(lower, sqlite3.Error) and getattr(lower, "sqlite_errorcode", 0) & 0xFF not in _PASSING:
        return None
    log.warning("the database refuses a request: %s", getattr(error, "orig", None) or type(error).__name__)
    return Busy("the service's database cannot be used right now (locked, full or away): try again")


def error_response(status: int, message: str, details: Any = None) -> JSONResponse:
    name, code = CODES.get(status, (f"http_{status}", CODES[500 if status >= 500 else 400][1]))
    body = {"error": {"code": name, "error_code": code, "message": message, "details": details}}
    return JSONResponse(body, status, {"Retry-After": RETRY_AFTER} if status == 503 else None)


def add_error_handlers(app: FastAPI) -> None:
    """Registers handlers that give every error the same JSON format."""
    app.add_exception_handler(ServiceError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind in DATABASE_ERRORS:
        app.add_exception_handler(kind, _database)
    app.add_exception_handler(ClientGone, _gone)
    app.add_exception_handler(Exception, _broken)


def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)  # noqa: S101
    return error_response(error.status, error.message, error.details)


def _database(request: Request, error: Exception) -> JSONResponse:
    busy = database_busy(error)
    return error_response(busy.status, busy.message) if busy else _broken(request, error)


def _gone(_request: Request, _error: Exception) -> JSONResponse:
    """Ends a request whose client is gone; a 5xx is not stored under an Idempotency-Key."""
    return error_response(503, "the client closed the connection before the work was done")


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
    """Returns the HTTP methods that exist for the path of this request."""
    allowed: set[str] = set()
    for method in ("GET", "PATCH", "POST", "PUT"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            allowed.add(method)
    return allowed


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = [{"where": where(fault["loc"]), "problem": fault["msg"]} for fault in error.errors()[:LISTED]]
    first = faults[0]
    return error_response(422, f"{first['where']}: {first['problem']}", faults)


def _broken(request: Request, error: Exception) -> JSONResponse:
    # Names no query string: it may hold a signature.
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(500, "the service failed; its log says why")


def where(loc: Sequence[int | str]) -> str:
    """Formats a pydantic location: `("body", 0, "id")` becomes `body[0].id`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text
