"""Speaking to a CVAT server: who we are, where (organization, dialect), lists, and calls by its own rules.

Facts are from traffic recorded on a 2.15 server and on one with the requests interface. Cookies are not kept: a later
unsafe call that sends them without the token is refused. `Accept: application/json` is answered 406. Lists answer
nothing, instead of 401, to whoever sends no credential.
"""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.logins import Login
from labelwright.platforms.http.messages import Expected, Response
from labelwright.platforms.protocol import Secret
from labelwright.security.masking import remember_login

NAME = "cvat"
ACCEPT = "application/vnd.cvat+json"

_REST_TOKEN = re.compile(r"[0-9a-f]{40}")
_ANOTHER_WAY = "A personal access token, as the key alone, does without a password."
_WITH_REQUESTS = (2, 16)
"""The first version with GET /api/requests."""


class Credentials:
    """The header that says who asks: a token that is known, or one that a login gives.

    Tokens of the REST login are 40 hexadecimal digits and sent as `Token`; personal access tokens (newer servers) as
    `Bearer`.
    """

    def __init__(self, log_in: Callable[[], str] | None, token: str, login: Login[str]) -> None:
        self._log_in, self._token, self._login = log_in, token, login

    def header(self) -> Mapping[str, Secret]:
        token = self._token if self._log_in is None else self._login.enter(self._log_in)
        kind = "Token" if self._log_in or _REST_TOKEN.fullmatch(token) else "Bearer"
        return {"Authorization": Secret(f"{kind} {token}")}

    def forget(self, header: Mapping[str, Secret]) -> bool:
        """The server no longer takes this header. Answers whether a new login may give another one."""
        if self._log_in is None:
            return False
        token = self._login.session
        if token is not None and header["Authorization"].value == f"Token {token}":
            self._login.ended(token)
        return True


class Client:
    """Calls to one server as one user in one organization ("" is the user's own workspace).

    With a user and a password it logs in at the first call, and once more when the token is refused. A user with an @
    is an e-mail address. `login` is the one that other clients share; by default the client has its own. Its repr
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
        self._anonymous = Http(NAME, url, timeout=timeout, patience=patience)
        self._user, self._secret = user, secret
        remember_login(user, secret.value)
        token = "" if user else secret.value
        self._credentials = Credentials(self._log_in if user else None, token, login or Login())
        # An export with its images may be long in coming.
        self._http = Http(NAME, url, headers=self._credentials.header, timeout=timeout, patience=patience, whole=3600)
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
        """What a browser would send as Origin: TUS is answered 500 without it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def close(self) -> None:
        self._http.close()
        self._anonymous.close()

    # Asking

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
        """A call that is answered by an object."""
        reply = self.ask(operation, method, path, json=json, params=params, wanted="json", advice=advice)
        return Fields(NAME, operation, reply.data)

    def ask(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        wanted: Expected = "bytes",
        advice: str = "",
        sink: Callable[[bytes], object] | None = None,
    ) -> Response:
        """A call whose answer may hold nothing, or no JSON. After a 401 there is one new login, where we can.

        A success that is a page of HTML, or JSON that is none, is somebody else's: it is not believed.
        """
        asked: dict[str, Any] = {"json": json, "body": body, "params": params, "advice": advice, "sink": sink}
        asked |= {"headers": {**self._headers, **(headers or {})}, "expect": "bytes" if wanted == "nothing" else wanted}
        used = self._credentials.header()
        try:
            reply = self._http.request(operation, method, path, **asked)
        except AccessDenied as denied:
            if denied.status != 401 or not self._credentials.forget(used):
                raise
            reply = self._http.request(operation, method, path, **asked)
        if wanted != "json" and sink is None:
            _refuse_strange(operation, reply)
        return reply

    def all(self, operation: str, path: str, params: Mapping[str, str | int] | None = None) -> Iterator[Fields]:
        """Every object of a list, page after page. A page past the end (404: the list became shorter) is the end."""
        page = 1
        while True:
            asked = {**(params or {}), "page": page, "page_size": self.page_size}
            try:
                answer = self.call(operation, "GET", path, params=asked)
            except NotFound:
                if page == 1:
                    raise
                return
            yield from answer.each("results")
            if not answer.has("next"):
                return
            page += 1

    # Who, and what

    def who(self) -> Fields:
        return self.call("say who we are", "GET", "/api/users/self")

    def log_in(self) -> str:
        """Log in, or try the token. Answers the user's name; the token stays here."""
        return self.who().text("username")

    @cached_property
    def about(self) -> str:
        """The server's version, "" when it tells none."""
        with suppress(PlatformRefused):
            answer = self.call("say its version", "GET", "/api/server/about")
            return answer.text("version") if answer.has("version") else ""
        return ""

    @property
    def version(self) -> tuple[int, int]:
        """Of `about`: (2, 15). (0, 0) when it cannot be read."""
        found = re.match(r"\s*v?(\d+)\.(\d+)", self.about)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    @property
    def likely_has_requests(self) -> bool:
        """Which dialect is tried first; what the server answers decides."""
        return self.version >= _WITH_REQUESTS

    def _log_in(self) -> str:
        operation = "log in"
        who = {"email" if "@" in self._user else "username": self._user, "password": self._secret.value}
        try:
            reply = self._anonymous.request(
                operation, "POST", "/api/auth/login", json=who, headers={"Accept": ACCEPT}, expect="json"
            )
        except PlatformRefused as refused:
            if refused.status != 400:
                raise
            said = refused.message
        else:
            answer = Fields(NAME, operation, reply.data)
            if answer.has("key"):
                return answer.text("key")
            told = "the password was taken, and no token came: this server lets only browsers log in that way"
            raise AccessDenied(NAME, operation, status=reply.status, message=told, advice=_ANOTHER_WAY)
        raise AccessDenied(
            NAME, operation, status=400, message=said, advice=f"Check user name and password. {_ANOTHER_WAY}"
        )


def json_of(operation: str, reply: Response) -> Fields | None:
    """What an answer holds that may be empty. None: no JSON object."""
    try:
        found = jsonlib.loads(reply.data or b"null")
    except (ValueError, RecursionError):
        return None
    return Fields(NAME, operation, found) if isinstance(found, dict) else None


def _refuse_strange(operation: str, reply: Response) -> None:
    kind = reply.headers.get("Content-Type", "").lower()
    told = "the answer is a page of HTML" if "html" in kind and reply.data else ""
    if "json" in kind and reply.data:
        try:
            jsonlib.loads(reply.data)
        except (ValueError, RecursionError):
            told = "the answer is not valid JSON"
    if told:
        advice = "Something between here and the platform may have answered in its place: try again."
        raise PlatformUnavailable(NAME, operation, status=reply.status, message=told, advice=advice)


def path_of(operation: str, url: str) -> tuple[str, str]:
    """Path and query of an address that the server gave: its host may be known by another name there than here, and
    credentials stay with the configured one. Raises PlatformRefused."""
    parts = urlsplit(url)
    _, found, rest = parts.path.partition("/api/")
    if not found:
        raise PlatformRefused(NAME, operation, status=200, message="its address for the result is none of its API's")
    return f"/api/{rest}", parts.query
