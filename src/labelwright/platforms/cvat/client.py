"""HTTP client of a CVAT server: credentials, organization, paged lists, version.

Server behaviour is taken from traffic recorded on a 2.15 server and on one with /api/requests. Cookies are not kept: a
later unsafe call that sends them without the CSRF token is refused. `Accept: application/json` gets a 406. Without a
credential, lists are empty instead of a 401.
"""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.logins import Login
from labelwright.platforms.http.messages import ErrorResponse, Expected, Response
from labelwright.platforms.protocol import Secret
from labelwright.security.masking import remember_login

NAME = "cvat"
ACCEPT = "application/vnd.cvat+json"

_REST_TOKEN = re.compile(r"[0-9a-f]{40}")
_LOGIN_ADVICE = "A personal access token, set as the key alone, works without a password."
_WITH_REQUESTS = (2, 16)
"""The first version with GET /api/requests."""


class Credentials:
    """The Authorization header: with a configured token, or with the token of a login.

    Tokens of the REST login have 40 hexadecimal digits and are sent as `Token`; personal access tokens (newer servers)
    as `Bearer`.
    """

    def __init__(self, log_in: Callable[[], str] | None, token: str, login: Login[str]) -> None:
        self._log_in, self._token, self._login = log_in, token, login

    def header(self) -> Mapping[str, Secret]:
        token = self._token if self._log_in is None else self._login.enter(self._log_in)
        kind = "Token" if self._log_in or _REST_TOKEN.fullmatch(token) else "Bearer"
        return {"Authorization": Secret(f"{kind} {token}")}

    def forget(self, header: Mapping[str, Secret]) -> bool:
        """Drops a header that the server no longer accepts. Returns whether a new login can replace it."""
        if self._log_in is None:
            return False
        token = self._login.session
        if token is not None and header["Authorization"].value == f"Token {token}":
            self._login.ended(token)
        return True


class Client:
    """Calls to one server as one user in one organization ("" is the user's own workspace).

    With a user and a password it logs in at the first call, and once more when the token is refused. A user name with
    an @ is an e-mail address. `login` is a login shared with other clients; by default the client has its own. The repr
    shows no secret.
    """

    def __init__(
        self,
        url: str,
        user: str,
        secret: Secret,
        *,
        organization: str = "",
        timeout: tuple[float, float] = (5.0, 60.0),
        patience: float = 60.0,
        page_size: int = 100,
        login: Login[str] | None = None,
    ) -> None:
        url = url.strip().rstrip("/").removesuffix("/api")
        self._anonymous = Http(NAME, url, timeout=timeout, patience=patience, explain=_explain)
        self._user, self._secret = user, secret
        remember_login(user, secret.value)
        token = "" if user else secret.value
        self._credentials = Credentials(self._log_in if user else None, token, login or Login())
        # An export with its images may take long.
        self._http = Http(
            NAME,
            url,
            headers=self._credentials.header,
            timeout=timeout,
            patience=patience,
            whole=3600,
            explain=_explain,
        )
        self._headers = {"Accept": ACCEPT, **({"X-Organization": organization} if organization else {})}
        self.organization = organization
        self.page_size = page_size

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    @property
    def url(self) -> str:
        """The server's address, without /api."""
        return self._http.base_url

    @property
    def origin(self) -> str:
        """What a browser would send as Origin: without it TUS requests get a 500."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def close(self) -> None:
        self._http.close()
        self._anonymous.close()

    # Requests

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str | int] | None = None,
        advice: str = "",
    ) -> Fields:
        """Sends a request and returns the JSON object of its response."""
        response = self.request(operation, method, path, json=json, params=params, expect="json", advice=advice)
        return Fields(NAME, operation, response.data)

    def request(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Expected = "bytes",
        advice: str = "",
        sink: Callable[[bytes], object] | None = None,
    ) -> Response:
        """Sends a request whose response may be empty or not JSON. After a 401 it logs in again, once, if it can.

        Raises PlatformUnavailable for a success that is a page of HTML or invalid JSON: a proxy sent it, not CVAT.
        """
        options: dict[str, Any] = {"json": json, "body": body, "params": params, "advice": advice, "sink": sink}
        options |= {
            "headers": {**self._headers, **(headers or {})},
            "expect": "bytes" if expect == "nothing" else expect,
        }
        used = self._credentials.header()
        try:
            response = self._http.request(operation, method, path, **options)
        except AccessDenied as denied:
            if denied.status != 401 or not self._credentials.forget(used):
                raise
            response = self._http.request(operation, method, path, **options)
        if expect != "json" and sink is None:
            _refuse_foreign_response(operation, response)
        return response

    def all(self, operation: str, path: str, params: Mapping[str, str | int] | None = None) -> Iterator[Fields]:
        """Yields every object of a list, page by page. A page past the end (404: the list got shorter) is the end."""
        page = 1
        while True:
            query = {**(params or {}), "page": page, "page_size": self.page_size}
            try:
                results_page = self.call(operation, "GET", path, params=query)
            except NotFound:
                if page == 1:
                    raise
                return
            yield from results_page.each("results")
            if not results_page.has("next"):
                return
            page += 1

    # User and version

    def current_user(self) -> Fields:
        return self.call("say who we are", "GET", "/api/users/self")

    def log_in(self) -> str:
        """Logs in, or checks the token. Returns the user's name."""
        return self.current_user().text("username")

    @cached_property
    def about(self) -> str:
        """The server's version, "" when it does not report one."""
        with suppress(PlatformRefused):
            response = self.call("say its version", "GET", "/api/server/about")
            return response.text("version") if response.has("version") else ""
        return ""

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version, (2, 15). (0, 0) when it cannot be parsed."""
        match = re.match(r"\s*v?(\d+)\.(\d+)", self.about)
        return (int(match[1]), int(match[2])) if match else (0, 0)

    @property
    def likely_has_requests(self) -> bool:
        """Whether to try /api/requests first. The server's response decides."""
        return self.version >= _WITH_REQUESTS

    def _log_in(self) -> str:
        operation = "log in"
        credentials = {"email" if "@" in self._user else "username": self._user, "password": self._secret.value}
        try:
            response = self._anonymous.request(
                operation, "POST", "/api/auth/login", json=credentials, headers={"Accept": ACCEPT}, expect="json"
            )
        except PlatformRefused as refused:
            if refused.status != 400:
                raise
            message = refused.message
        else:
            payload = Fields(NAME, operation, response.data)
            if payload.has("key"):
                return payload.text("key")
            error_message = "the password was taken, and no token came: this server lets only browsers log in that way"
            raise AccessDenied(NAME, operation, status=response.status, message=error_message, advice=_LOGIN_ADVICE)
        raise AccessDenied(
            NAME, operation, status=400, message=message, advice=f"Check user name and password. {_LOGIN_ADVICE}"
        )


def json_of(operation: str, response: Response) -> Fields | None:
    """Returns the JSON object of a response that may be empty. None: it is not a JSON object."""
    try:
        payload = jsonlib.loads(response.data or b"null")
    except (ValueError, RecursionError):
        return None
    return Fields(NAME, operation, payload) if isinstance(payload, dict) else None


def _explain(response: ErrorResponse) -> PlatformError | None:
    """A 404 of the proxy in front of CVAT (Traefik, in its Compose file), which has no server to pass requests to."""
    if response.status != 404 or response.kind != "text/plain" or response.body.strip() != b"404 page not found":
        return None
    message = "the proxy in front of it has no server for this address, as while CVAT is restarted"
    advice = "Try again. If it stays so, check the address."
    return PlatformUnavailable(NAME, response.operation, status=404, message=message, advice=advice)


def _refuse_foreign_response(operation: str, response: Response) -> None:
    kind = response.headers.get("Content-Type", "").lower()
    message = "the answer is a page of HTML" if "html" in kind and response.data else ""
    if "json" in kind and response.data:
        try:
            jsonlib.loads(response.data)
        except (ValueError, RecursionError):
            message = "the answer is not valid JSON"
    if message:
        advice = "Something between here and the platform may have answered in its place: try again."
        raise PlatformUnavailable(NAME, operation, status=response.status, message=message, advice=advice)


def path_of(operation: str, url: str) -> tuple[str, str]:
    """Splits a URL that the server returned into path and query. Raises PlatformRefused for one outside its API.

    The server may know its host by another name than we do, and credentials are sent to the configured host only.
    """
    parts = urlsplit(url)
    _, separator, rest = parts.path.partition("/api/")
    if not separator:
        raise PlatformRefused(NAME, operation, status=200, message="its address for the result is none of its API's")
    return f"/api/{rest}", parts.query
