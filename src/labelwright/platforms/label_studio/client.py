"""HTTP client of a Label Studio server: tokens, error messages, lists of tasks.

Community Edition returns 404 with a page of HTML for calls that only Enterprise has, and 404 with JSON for an object
that does not exist. Some mistakes of clients come as 500. Nothing is ever sent with PUT: `PUT {}` empties a project.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from labelwright.platforms.errors import AccessDenied, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.logins import Login
from labelwright.platforms.http.messages import ErrorResponse, Response, Upload
from labelwright.platforms.protocol import Secret

from .tokens import AccessToken, Tokens

NAME = "label_studio"

_CLIENT_MISTAKES = (
    "DATA_UPLOAD_MAX_NUMBER_FILES",
    "Cannot resolve keyword",
    "Unexpected character found when decoding",
    "can't be parse from str to JSON",
)
"""Details of a 500 that will come again however often the request is repeated."""
_PRIVATE_ADDRESS = "reserved network address"
_FILTER = "filter:tasks:"


class Client:
    """Calls to one server with one token. `login` is shared with other clients of the same token. No secret in repr."""

    def __init__(
        self,
        url: str,
        token: Secret,
        *,
        timeout: tuple[float, float] = (5.0, 60.0),
        patience: float = 60.0,
        login: Login[AccessToken] | None = None,
    ) -> None:
        url = url.strip().rstrip("/").removesuffix("/api")
        self._token = token
        self._anonymous = Http(NAME, url, timeout=timeout, patience=patience, explain=_explain)
        self._tokens = Tokens(token, login or Login(), self._refresh)
        self._http = Http(
            NAME, url, headers=self._tokens.header, timeout=timeout, patience=patience, whole=3600, explain=_explain
        )

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    @property
    def url(self) -> str:
        """The server's address, without /api."""
        return self._http.base_url

    def close(self) -> None:
        self._http.close()
        self._anonymous.close()

    # Requests

    def get(self, operation: str, path: str, params: Mapping[str, str | int] | None = None) -> Fields:
        return Fields(NAME, operation, self.call(operation, "GET", path, params=params))

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Upload | None = None,
        params: Mapping[str, str | int] | None = None,
        advice: str = "",
    ) -> Any:
        """Sends a request and returns the JSON of its response, of whatever type it is."""
        headers = {"Content-Type": body.content_type} if body is not None else {}
        options: dict[str, Any] = {"json": json, "params": params, "advice": advice, "headers": headers}
        return self._send(operation, method, path, expect="json", body=body and body.open, **options).data

    def download(self, operation: str, path: str, params: Mapping[str, str | int], file: BinaryIO) -> None:
        """Writes the body of a response to a file, from its start."""
        self._send(operation, "GET", path, expect="bytes", params=params, sink=file.write)

    def delete(self, operation: str, path: str, json: Any = None) -> None:
        """Sends a DELETE, whose response may be empty. Raises PlatformUnavailable for a page in place of it."""
        response = self._send(operation, "DELETE", path, expect="bytes", json=json)
        if response.is_html or (response.status != 204 and not _is_json(response)):
            message = "the answer is not the platform's"
            advice = "Something between here and the platform may have answered in its place: try again."
            raise PlatformUnavailable(NAME, operation, status=response.status, message=message, advice=advice)

    def _send(self, operation: str, method: str, path: str, **options: Any) -> Response:
        """Sends a request. After a 401 the access token is refreshed, once."""
        used = self._tokens.header()
        try:
            return self._http.request(operation, method, path, **options)
        except AccessDenied as denied:
            if denied.status != 401 or not self._tokens.forget(used):
                raise
        return self._http.request(operation, method, path, **options)

    def _refresh(self) -> Secret:
        operation = "refresh the access token"
        advice = "Create another personal access token on the server's page, under Account & Settings."
        response = self._anonymous.request(
            operation,
            "POST",
            "/api/token/refresh",
            json={"refresh": self._token.value},
            expect="json",
            advice=advice,
        )
        return Secret(Fields(NAME, operation, response.data).text("access"))

    # Tasks

    def tasks(
        self,
        operation: str,
        project: int,
        *,
        include: str = "",
        filters: Sequence[Mapping[str, Any]] = (),
        everything: bool = False,
        page_size: int = 1000,
        after: int = 0,
    ) -> Iterator[Fields]:
        """Yields the tasks of a project in the order of their ids.

        Each page is asked for by the last id of the one before, so that tasks which are deleted while this lists shift
        no other task out of it. `everything` adds annotations, drafts and labelers.
        """
        while True:
            page = self.task_page(
                operation,
                project,
                include=include,
                filters=filters,
                everything=everything,
                page_size=page_size,
                after=after,
            )
            tasks = list(page.each("tasks"))
            yield from tasks
            if len(tasks) < page_size:
                return
            after = tasks[-1].whole("id")

    def task_page(
        self,
        operation: str,
        project: int,
        *,
        include: str = "",
        filters: Sequence[Mapping[str, Any]] = (),
        everything: bool = False,
        page_size: int = 1000,
        after: int = 0,
    ) -> Fields:
        """Returns the first page of the tasks that fit all filters: `total` and `tasks`."""
        items = [*filters, *([where("id", "greater", after)] if after else [])]
        params: dict[str, str | int] = {"project": project, "page": 1, "page_size": page_size}
        if include:
            params["include"] = include
        if everything:
            params["fields"] = "all"
        if items:
            params["query"] = jsonlib.dumps({"filters": {"conjunction": "and", "items": items}})
        return self.get(operation, "/api/tasks", params)


def where(column: str, operator: str, value: object) -> dict[str, object]:
    """Returns one filter of a list of tasks."""
    kind = "Number" if isinstance(value, int) else "String"
    return {"filter": f"{_FILTER}{column}", "operator": operator, "type": kind, "value": value}


def _is_json(response: Response) -> bool:
    try:
        jsonlib.loads(response.body or b"null")
    except (ValueError, RecursionError):
        return False
    return True


def _explain(response: ErrorResponse) -> PlatformError | None:
    """Returns the error for responses whose status alone would mislead."""
    if response.status == 404 and "html" in response.kind:
        message = "this server does not have that call: Community Edition lacks what only Enterprise has"
        advice = "Check that the address is that of a Label Studio server."
        return PlatformRefused(NAME, response.operation, status=404, message=message, advice=advice)
    payload = _payload(response)
    detail = str(payload.get("detail") or "")
    faults = payload.get("validation_errors")
    text = f"{detail}: {_flat(faults)}" if faults else detail
    if _PRIVATE_ADDRESS in text:
        advice = "Use an address outside of private networks, or start the server with SSRF_PROTECTION_ENABLED=false."
        return PlatformRefused(NAME, response.operation, status=response.status, message=text, advice=advice)
    if response.status == 500 and any(mistake in detail for mistake in _CLIENT_MISTAKES):
        return PlatformRefused(NAME, response.operation, status=500, message=detail)
    if response.status == 400 and faults:
        return PlatformRefused(NAME, response.operation, status=400, message=text)
    if response.status == 401 and "legacy token" in detail:
        advice = "Use a personal access token, or allow legacy tokens on the server's page, under Organization."
        return AccessDenied(NAME, response.operation, status=401, message=detail, advice=advice)
    return None


def _payload(response: ErrorResponse) -> dict[str, Any]:
    try:
        payload = jsonlib.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def _flat(faults: object) -> str:
    """Returns the messages of a mapping of fields to errors, as one line."""
    if isinstance(faults, dict):
        parts = (
            _flat(inner) if name == "non_field_errors" else f"{name}: {_flat(inner)}" for name, inner in faults.items()
        )
        return "; ".join(filter(None, parts))
    if isinstance(faults, list):
        return "; ".join(filter(None, map(_flat, faults)))
    return str(faults)
