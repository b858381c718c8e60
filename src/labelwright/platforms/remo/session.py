"""Session of one user on a Remo server: login, cookie and version, shared by all workers of this process.

Remo 0.6 responds with 400 to concurrent requests that have a token but no session cookie: each creates a session, and
one fails (16 to 24 times in 40). So each server and user has one `requests.Session` that keeps its cookies, and the
first request is sent alone.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.logins import Login, shared_login
from labelwright.platforms.http.messages import ErrorResponse, Expected, Upload
from labelwright.platforms.protocol import Secret
from labelwright.security.masking import remember_login

NAME = "remo"

_PAGE = re.compile(rb"(?i)\bremo\b")
_UPLOAD_SESSIONS = (0, 4, 25)
"""First version whose uploads are sessions that are completed and polled."""

Params = Mapping[str, "str | int"]


@dataclass(frozen=True, slots=True)
class Server:
    """Version of a Remo server."""

    version: str
    uploads_in_sessions: bool
    """True: 0.4.25 and later (0.6.1 measured). False: the generation of the user's document (0.3.29 measured)."""


class RemoSession:
    """Logged-in HTTP session. Thread-safe; its repr shows no secret.

    `key` is an e-mail address and `secret` its password; without a key the secret is a token. `seconds` is the timeout
    for an export or a part of an upload, which the server processes before it responds.
    """

    def __init__(
        self,
        url: str,
        key: str,
        secret: Secret,
        *,
        timeout: tuple[float, float] = (5.0, 60.0),
        patience: float = 60.0,
        seconds: float = 3600.0,
        login: Login[str] | None = None,
    ) -> None:
        self._key, self._secret, self._seconds = key, secret, seconds
        remember_login(key, secret.value)
        self._login: Login[str] = login or Login()
        self._server: Server | None = None
        self._opening = threading.RLock()
        self._logging_in = threading.local()
        self.memory: dict[tuple[str, ...], Any] = {}
        """State shared by the adapters of this process: uploads of batches, label names, labels on disk."""
        self._http = Http(
            NAME,
            url,
            headers=self._credential,
            timeout=timeout,
            patience=patience,
            cookies=True,
            explain=self._explain,
        )

    def __repr__(self) -> str:
        return f"RemoSession({self._http.base_url!r})"

    @property
    def base_url(self) -> str:
        return self._http.base_url

    def close(self) -> None:
        self._http.close()

    # Requests

    def server(self) -> Server:
        """Returns the server's version, after login on first use. Raises AccessDenied, and PlatformRefused for a server
        that is not Remo."""
        with self._opening:
            if self._server is None:
                server = self._read_version()
                self._login.enter(self._log_in)
                self._http.keep_cookie("sessionid", secrets.token_hex(16))
                self._server = server
            return self._server

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Params | None = None,
        expect: Expected = "json",
        advice: str = "",
    ) -> Any:
        """Sends a short request and returns the response. Raises the errors of `labelwright.platforms.errors`."""
        return self._logged_in(
            lambda: self._http.call(operation, method, path, json=json, params=params, expect=expect, advice=advice)
        )

    def fields(self, operation: str, method: str, path: str, **how: Any) -> Fields:
        """Sends a request and returns the JSON object of the response."""
        return Fields(NAME, operation, self.call(operation, method, path, **how))

    def erase(self, operation: str, path: str) -> None:
        """Sends a DELETE request. Only 204 without a body is success: unknown addresses respond with a page."""
        reply = self._logged_in(lambda: self._http.request(operation, "DELETE", path))
        if reply.status != 204 or reply.headers.get("Content-Length", "0") != "0":
            kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            error = self._explain(ErrorResponse(operation, "DELETE", reply.status, kind, reply.data or b""))
            message = "the response does not confirm the deletion"
            raise error or PlatformUnavailable(
                NAME, operation, status=reply.status, message=message, advice="Try again."
            )

    def send(self, operation: str, path: str, form: Upload, params: Params | None = None) -> Fields:
        """Uploads files and returns the JSON object of the response. May take long."""
        headers, seconds = {"Content-Type": form.content_type}, self._seconds
        reply = self._logged_in(
            lambda: self._http.request(
                operation, "POST", path, body=form.open, headers=headers, params=params, expect="json", seconds=seconds
            )
        )
        return Fields(NAME, operation, reply.data)

    def download(self, operation: str, path: str, params: Params, into: BinaryIO) -> str:
        """Downloads a file to the start of `into`. Returns its media type."""

        def ask() -> str:
            into.seek(0)
            into.truncate()
            reply = self._http.request(operation, "GET", path, params=params, sink=into.write, seconds=self._seconds)
            kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if "html" in kind:  # no file of Remo's is HTML
                into.seek(0)
                error = self._explain(ErrorResponse(operation, "GET", reply.status, kind, into.read(1 << 16)))
                message = "the response is a page, not a file"
                raise error or PlatformUnavailable(
                    NAME, operation, status=reply.status, message=message, advice="Try again."
                )
            return kind

        return str(self._logged_in(ask))

    def pages(
        self, operation: str, path: str, params: Params | None = None, *, page: int = 500, most: int | None = None
    ) -> Iterator[Fields]:
        """Yields the results of a paged list, at most `most` of them."""
        left, offset = most, 0
        while left is None or left > 0:
            limit = page if left is None else min(page, left)
            response = self.fields(operation, "GET", path, params={**(params or {}), "limit": limit, "offset": offset})
            count = 0
            for item in response.each("results"):
                count += 1
                yield item
            offset += count
            left = None if left is None else left - count
            if not response.has("next"):
                return
            if not count:
                response.refuse("next", "names a further page though this one is empty")

    def _logged_in(self, ask: Callable[[], Any]) -> Any:
        """Returns the result of `ask`. Logs in again and retries once if the token was revoked, as by any logout."""
        self.server()
        token = self._login.enter(self._log_in)
        try:
            return ask()
        except AccessDenied as denied:
            if denied.status != 401 or not self._key:
                raise
        self._login.ended(token)
        self._login.enter(self._log_in)
        return ask()

    def _credential(self) -> dict[str, Secret]:
        token = None if getattr(self._logging_in, "now", False) else self._login.session
        return {} if token is None else {"Authorization": Secret(f"Token {token}")}

    # Login

    def _read_version(self) -> Server:
        operation = "say its version"
        try:
            response = self._http.call(operation, "GET", "/api/version")
        except (NotFound, PlatformUnavailable) as error:
            if not isinstance(error, NotFound) and "html" not in error.message:
                raise
            response = self._http.call(operation, "GET", "/version")  # 0.3 responds to unknown addresses with a page
        fields = Fields(NAME, operation, response)
        if fields.json.get("app") != "remo":
            fields.refuse("app", "is not remo")
        version = fields.text("version")
        numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
        return Server(version, not numbers or numbers >= _UPLOAD_SESSIONS)

    def _log_in(self) -> str:
        """Returns the token. Raises AccessDenied when e-mail address or password are wrong."""
        if not self._key:
            return self._secret.value
        operation, self._logging_in.now = "log in", True
        body = {"email": self._key, "password": self._secret.value}
        failure: PlatformError
        try:
            response = Fields(NAME, operation, self._http.call(operation, "POST", "/api/rest-auth/login/", json=body))
        except PlatformRefused as refused:
            if refused.status != 400:
                raise
            message = refused.message
            advice = "The key is an e-mail address, the secret its password. Without a key the secret is a token."
            failure = AccessDenied(NAME, operation, status=400, message=message, advice=advice)
        else:
            return response.text("key")
        finally:
            self._logging_in.now = False
        raise failure

    def _explain(self, error: ErrorResponse) -> PlatformError | None:
        """Returns the error that an HTML response of Remo means, or None."""
        operation, status = error.operation, error.status
        if "html" not in error.kind:
            return None
        if (status == 200 and _PAGE.search(error.body)) or (status == 403 and b"CSRF" in error.body):
            # Remo responds to an unknown address with its page; to other methods than GET with a CSRF error.
            message = "this server does not know the call"
            version = f"It is Remo {self._server.version}." if self._server else "Check the address."
            return NotFound(NAME, operation, status=status, message=message, advice=version)
        if status == 400 and self._server is None:
            advice = f"Check the address {self.base_url}: Remo 0.3 responds to names under localhost only."
            return PlatformRefused(
                NAME, operation, status=status, message="it does not take this host name", advice=advice
            )
        if status == 400:
            message = "sessions of several requests were in each other's way"
            return PlatformUnavailable(NAME, operation, status=status, message=message, advice="Try again.")
        return None


_sessions: dict[str, RemoSession] = {}
_lock = threading.Lock()


def shared_session(url: str, key: str, secret: Secret, **how: Any) -> RemoSession:
    """Returns this process's session for a server, a user and timeouts."""
    identity = repr((url, key, secret.value, sorted(how.items())))
    name = sha256(identity.encode()).hexdigest()
    with _lock:
        if name not in _sessions:
            login = shared_login(NAME, url, key, secret)
            _sessions[name] = RemoSession(url, key, secret, login=login, **how)
        return _sessions[name]


def _after_fork() -> None:
    """Drops the sessions in a forked process, which must not write to its parent's connections."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _sessions.clear()


os.register_at_fork(after_in_child=_after_fork)
