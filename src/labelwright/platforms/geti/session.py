"""Reaching a Sonoma Creek or Geti server: logging in, asking, and logging in again when the session ended.

Sonoma Creek 1.x is entered by user and password through oauth2-proxy and dex (recorded: SC 1.1): redirects to a login
page, a form posted to that page's own address, redirects back, and a cookie `_oauth2_proxy` on every later call. Geti
2.x takes a personal access token in `x-api-key`. Paths here begin at the host's root, as those that servers give do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.logins import Login
from labelwright.platforms.http.messages import Expected, Response, Sink, Upload
from labelwright.platforms.http.multipart import UrlForm
from labelwright.platforms.protocol import Secret
from labelwright.security.masking import remember_login

NAME = "geti"
LOGIN_PAGE = "/user/login"
_SESSION, _CSRF = "_oauth2_proxy", "_oauth2_proxy_csrf"
_MOST_REDIRECTS = 12
_LOG_IN = "log in"
_MOVED = (301, 307, 308)

Cookies = dict[str, str]
_Got = TypeVar("_Got")


class GetiSession:
    """A server and a credential. Safe to share between threads; its repr shows no secret.

    With a user, `secret` is the password; without one it is a personal access token. Neither: a server without login.
    `login` is the one that other sessions share; by default the session has its own.
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
            host_of(url),
            headers=self._credential,
            timeout=timeout,
            patience=patience,
            threads=threads,
            whole=whole,
        )
        self.host = self._http.base_url
        self._refuse_open_air()

    def __repr__(self) -> str:
        return f"GetiSession({self.host!r})"

    def close(self) -> None:
        self._http.close()

    @property
    def has_token(self) -> bool:
        return not self._user and bool(self._secret.value)

    def log_in(self) -> None:
        """Begin a session where one is needed. Raises AccessDenied when user or password are wrong."""
        if self._user:
            self._login.enter(self._dance)

    def ask(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Upload | None = None,
        wanted: Expected = "json",
        into: Sink | None = None,
        repeatable: bool = True,
    ) -> Any:
        """Ask; when the session ended, log in and ask once more.

        What is not `repeatable` is asked again only when the server surely did nothing (401, 403, a redirect): a page
        of HTML in its place may have come after it acted.
        """
        headers = {} if body is not None else {"Content-Type": "application/json" if into is None else "image/jpeg"}
        if method != "GET" and self.has_token:
            headers["x-geti-csrf-protection"] = "1"
        path = path_on_host(path)

        def once() -> Any:
            return self._http.call(
                operation,
                method,
                path,
                json=json,
                body=body,
                headers=headers,
                expect=wanted,
                into=into,
            )

        return self._with_session(once, repeatable)

    def _with_session(self, once: Callable[[], _Got], repeatable: bool) -> _Got:
        self.log_in()
        cookies = self._login.session
        try:
            return once()
        except PlatformError as failure:
            if failure.status in _MOVED:  # a proxy that sends http to https and back (recorded): ask where we stand
                return once()
            if isinstance(failure, AccessDenied) and self.has_token:
                ended: PlatformError = _with_advice(failure)
            elif not self._user or not _session_ended(failure):
                raise
            else:
                ended = failure
        if self.has_token:
            raise ended
        if cookies is not None:
            self._login.ended(cookies)
        self.log_in()
        if ended.status == 200 and not repeatable:
            raise ended
        return once()

    # Logging in

    def _dance(self) -> Cookies:
        """The session's cookies; none from a server that has no login."""
        cookies: Cookies = {}
        path, page = self._follow(LOGIN_PAGE, cookies)
        form = page.status == 200 and b"password" in page.body.lower()
        if page.status == 404 or (path == LOGIN_PAGE and not form and page.status < 500 and self._is_open()):
            return {"": ""}  # a server without login
        self._fail_unless(page, 200)
        answer = self._step("POST", path, cookies, UrlForm({"login": self._user, "password": self._secret.value}))
        if answer.status == 200 or answer.status in (401, 403):  # the form again
            advice = "Check user (the connection's key) and password (its secret)."
            raise AccessDenied(
                NAME, _LOG_IN, status=answer.status, message="the server shows the form again", advice=advice
            )
        self._follow(self._next(answer), cookies)
        session = {name: value for name, value in cookies.items() if name.startswith(_SESSION) and name != _CSRF}
        if not session:
            raise PlatformUnavailable(NAME, _LOG_IN, message="the server gave no session cookie", advice="Try again.")
        return session

    def _follow(self, path: str, cookies: dict[str, str]) -> tuple[str, Response]:
        """Go where the redirects lead, on this host only; a cookie of the session is all that the last page is for."""
        for _ in range(_MOST_REDIRECTS):
            answer = self._step("GET", path, cookies)
            if not 300 <= answer.status < 400:
                return path, answer
            path = self._next(answer)
        raise PlatformRefused(NAME, _LOG_IN, message="the server sends us in circles", advice="Check the address.")

    def _step(self, method: str, path: str, cookies: dict[str, str], body: Upload | None = None) -> Response:
        headers = {"Accept": "*/*"}
        if cookies:
            headers["Cookie"] = _cookie_header(cookies)
        answer = self._http.request_without_credentials(_LOG_IN, method, path, body=body, headers=headers)
        for cookie in answer.cookies:
            name, _, value = cookie.partition(";")[0].strip().partition("=")
            if name:
                cookies[name] = value
        return answer

    def _next(self, answer: Response) -> str:
        self._fail_unless(answer, 301, 302, 303, 307, 308)
        path = path_on_host(answer.headers.get("Location", ""))
        if not path.startswith("/"):
            raise PlatformRefused(NAME, _LOG_IN, status=answer.status, message="a redirect leads nowhere")
        return path

    def _fail_unless(self, answer: Response, *good: int) -> None:
        if answer.status in good:
            return
        kind = PlatformUnavailable if answer.status in (408, 429) or answer.status >= 500 else PlatformRefused
        raise kind(
            NAME, _LOG_IN, status=answer.status, message="this is no step of its login", advice="Check the address."
        )

    def _credential(self) -> dict[str, str | Secret]:
        if self.has_token:
            return {"x-api-key": self._secret}
        cookies = {name: value for name, value in (self._login.session or {}).items() if name}
        return {"Cookie": Secret(_cookie_header(cookies))} if cookies else {}

    def _is_open(self) -> bool:
        """A plain http address has no login (the seed), unless it shows one."""
        return urlsplit(self.host).scheme == "http"

    def _refuse_open_air(self) -> None:
        """Passwords and tokens go over TLS, or to this machine. A plain http address with a port has no login (the
        seed): nothing is sent to it."""
        parts = urlsplit(self.host)
        if parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1"):
            return
        if self.has_token:
            told = "a personal access token is not sent over plain http"
            raise PlatformRefused(NAME, "connect", message=told, advice="Use the https:// address of the server.")
        self._user = ""


def path_on_host(url: str) -> str:
    """Path and query of an address that a server gave: it is asked on the configured host, wherever it points to."""
    url = url.strip()
    parts = urlsplit(url)
    if not parts.netloc:
        return url
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def host_of(url: str) -> str:
    """The address without /api/v1 or /api/v1.0, by which people name these servers too."""
    plain = url.strip().rstrip("/")
    for ending in ("/api/v1.0", "/api/v1", "/api"):
        if plain.lower().endswith(ending):
            return plain[: -len(ending)].rstrip("/")
    return plain


def _session_ended(failure: PlatformError) -> bool:
    if isinstance(failure, NotFound):
        return False
    status = failure.status or 0
    html = status == 200 and isinstance(failure, PlatformUnavailable) and "text/html" in failure.message
    return html or status in (302, 303, 401, 403)


def _with_advice(denied: AccessDenied) -> AccessDenied:
    advice = "If the personal access token has expired, make a new one on the server."
    return AccessDenied(NAME, denied.operation, status=denied.status, message=denied.message, advice=advice)


def _cookie_header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
