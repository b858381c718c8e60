"""Session with a Sonoma Creek or Geti server: logs in, sends requests, and logs in again when the session has ended.

Sonoma Creek 1.x takes user and password through oauth2-proxy and dex (recorded: SC 1.1): redirects to a login page, a
form posted to that page's own address, redirects back, and a cookie `_oauth2_proxy` on every later call. Geti 2.x takes
a personal access token in `x-api-key`. Paths begin at the host's root, as in the paths that servers return.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.logins import Login
from labelwright.platforms.http.messages import Expected, Response, Sink, Upload
from labelwright.platforms.http.multipart import UrlForm
from labelwright.platforms.protocol import Secret
from labelwright.security.masking import remember_login

NAME = "geti"
LOGIN_PAGE = "/user/login"
_SESSION_COOKIE, _CSRF_COOKIE = "_oauth2_proxy", "_oauth2_proxy_csrf"
_MAX_REDIRECTS = 12
_LOG_IN = "log in"
_MOVED = (301, 307, 308)

Cookies = dict[str, str]
_Result = TypeVar("_Result")


class GetiSession:
    """A server and a credential. Safe to share between threads; its repr shows no secret.

    With a user, `secret` is the password; without one it is a personal access token. With neither, nothing is sent:
    the server has no login. `login` can be shared with other sessions; by default the session has its own.
    """

    def __init__(
        self,
        url: str,
        user: str,
        secret: Secret,
        *,
        timeout: tuple[float, float] = (5.0, 60.0),
        patience: float = 60.0,
        threads: int = 32,
        whole: float = 3600.0,
        login: Login[Cookies] | None = None,
    ) -> None:
        self._user, self._secret = user, secret
        remember_login(user, secret.value)
        self._login: Login[Cookies] = login or Login()
        self._http = Http(
            NAME,
            base_url(url),
            headers=self._credential,
            timeout=timeout,
            patience=patience,
            threads=threads,
            whole=whole,
        )
        self.host = self._http.base_url
        self._check_transport()

    def __repr__(self) -> str:
        return f"GetiSession({self.host!r})"

    def close(self) -> None:
        self._http.close()

    @property
    def has_token(self) -> bool:
        return not self._user and bool(self._secret.value)

    def log_in(self) -> None:
        """Logs in where the server needs it. Raises AccessDenied when user or password are wrong."""
        if self._user:
            self._login.enter(self._log_in_through_proxy)

    def get(self, operation: str, path: str) -> Fields:
        """The JSON object of a GET request."""
        return Fields(NAME, operation, self.request(operation, "GET", path))

    def request(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Upload | None = None,
        response_type: Expected = "json",
        into: Sink | None = None,
        repeatable: bool = True,
    ) -> Any:
        """Sends a request; when the session has ended, logs in and sends it once more.

        A request that is not `repeatable` is sent again only when the server certainly did nothing (401, 403, a
        redirect): a page of HTML may have been sent after the server acted.
        """
        headers = {} if body is not None else {"Content-Type": "application/json" if into is None else "image/jpeg"}
        if method != "GET" and self.has_token:
            headers["x-geti-csrf-protection"] = "1"
        path = path_of_url(path)

        def send() -> Any:
            return self._http.call(
                operation,
                method,
                path,
                json=json,
                body=body,
                headers=headers,
                expect=response_type,
                into=into,
            )

        return self._with_session(send, repeatable)

    def _with_session(self, send: Callable[[], _Result], repeatable: bool) -> _Result:
        self.log_in()
        cookies = self._login.session
        try:
            return send()
        except PlatformError as error:
            if error.status in _MOVED:  # a proxy that redirects http to https and back (recorded): send it again
                return send()
            if isinstance(error, AccessDenied) and self.has_token:
                failure: PlatformError = _with_advice(error)
            elif not self._user or not _session_ended(error):
                raise
            else:
                failure = error
        if self.has_token:
            raise failure
        if cookies is not None:
            self._login.ended(cookies)
        self.log_in()
        if failure.status == 200 and not repeatable:
            raise failure
        return send()

    # Logging in

    def _log_in_through_proxy(self) -> Cookies:
        """Returns the session's cookies; none for a server that has no login."""
        cookies: Cookies = {}
        path, page = self._follow(LOGIN_PAGE, cookies)
        is_form = page.status == 200 and b"password" in page.body.lower()
        is_outage = page.status in (408, 429) or page.status >= 500
        if page.status == 404 or (path == LOGIN_PAGE and not is_form and not is_outage and self._is_plain_http()):
            return {"": ""}  # a server without login
        self._check_status(page, 200)
        response = self._step("POST", path, cookies, UrlForm({"login": self._user, "password": self._secret.value}))
        if response.status == 200 or response.status in (401, 403):  # the form again
            message = "the server rejects user or password and shows the login form again"
            advice = "Check user (the connection's key) and password (its secret)."
            raise AccessDenied(NAME, _LOG_IN, status=response.status, message=message, advice=advice)
        self._follow(self._redirect_path(response), cookies)
        session = {
            name: value for name, value in cookies.items() if name.startswith(_SESSION_COOKIE) and name != _CSRF_COOKIE
        }
        if not session:
            raise PlatformUnavailable(NAME, _LOG_IN, message="the server gave no session cookie", advice="Try again.")
        return session

    def _follow(self, path: str, cookies: dict[str, str]) -> tuple[str, Response]:
        """Follows redirects, on this host only. Returns the last path and its response."""
        for _ in range(_MAX_REDIRECTS):
            response = self._step("GET", path, cookies)
            if not 300 <= response.status < 400:
                return path, response
            path = self._redirect_path(response)
        message = f"the server redirects more than {_MAX_REDIRECTS} times"
        raise PlatformRefused(NAME, _LOG_IN, message=message, advice="Check the address.")

    def _step(self, method: str, path: str, cookies: dict[str, str], body: Upload | None = None) -> Response:
        headers = {"Accept": "*/*"}
        if cookies:
            headers["Cookie"] = _cookie_header(cookies)
        response = self._http.request_without_credentials(_LOG_IN, method, path, body=body, headers=headers)
        for cookie in response.cookies:
            name, _, value = cookie.partition(";")[0].strip().partition("=")
            if name:
                cookies[name] = value
        return response

    def _redirect_path(self, response: Response) -> str:
        self._check_status(response, 301, 302, 303, 307, 308)
        path = path_of_url(response.headers.get("Location", ""))
        if not path.startswith("/"):
            message = "a redirect of the login has no usable Location"
            raise PlatformRefused(NAME, _LOG_IN, status=response.status, message=message)
        return path

    def _check_status(self, response: Response, *expected: int) -> None:
        if response.status in expected:
            return
        kind = PlatformUnavailable if response.status in (408, 429) or response.status >= 500 else PlatformRefused
        message = "the response does not belong to the server's login"
        raise kind(NAME, _LOG_IN, status=response.status, message=message, advice="Check the address.")

    def _credential(self) -> dict[str, str | Secret]:
        if self.has_token:
            return {"x-api-key": self._secret}
        cookies = {name: value for name, value in (self._login.session or {}).items() if name}
        return {"Cookie": Secret(_cookie_header(cookies))} if cookies else {}

    def _is_plain_http(self) -> bool:
        """A plain http address has no login (documented), unless it shows one."""
        return urlsplit(self.host).scheme == "http"

    def _check_transport(self) -> None:
        """Passwords and tokens are sent over TLS or to this machine only. Raises PlatformRefused for a token.

        A plain http address elsewhere has no login (documented): no password is sent to it.
        """
        parts = urlsplit(self.host)
        if parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1"):
            return
        if self.has_token:
            message = "a personal access token is not sent over plain http"
            raise PlatformRefused(NAME, "connect", message=message, advice="Use the https:// address of the server.")
        self._user = ""


def path_of_url(url: str) -> str:
    """Path and query of a URL that a server returned: requests go to the configured host, whatever host it names."""
    url = url.strip()
    parts = urlsplit(url)
    if not parts.netloc:
        return url
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def base_url(url: str) -> str:
    """The server's address without a trailing /api/v1 or /api/v1.0, which people add."""
    address = url.strip().rstrip("/")
    for suffix in ("/api/v1.0", "/api/v1", "/api"):
        if address.lower().endswith(suffix):
            return address[: -len(suffix)].rstrip("/")
    return address


def _session_ended(error: PlatformError) -> bool:
    if isinstance(error, NotFound):
        return False
    status = error.status or 0
    is_html = status == 200 and isinstance(error, PlatformUnavailable) and "text/html" in error.message
    return is_html or status in (302, 303, 401, 403)


def _with_advice(denied: AccessDenied) -> AccessDenied:
    advice = "If the personal access token has expired, make a new one on the server."
    return AccessDenied(NAME, denied.operation, status=denied.status, message=denied.message, advice=advice)


def _cookie_header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
