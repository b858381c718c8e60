"""A fake CVAT server on a real socket, with the old or the new API, as strict as the servers that were recorded.

    with FakeCvat("2.15") as cvat:                 # or "requests", for servers with GET /api/requests
        cvat.url, cvat.requester.token, cvat.state

Nothing happens in the background: an import advances with every read of its status, an export with every poll, unless
`held`. `cvat.received` has every request; `cvat.notes` the webhook events that were sent.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import requests

from . import data, exports, objects
from .state import Refusal, State, User, server_error

Dialect = Literal["2.15", "requests"]
VND = "application/vnd.cvat+json"
ANONYMOUS_A_MINUTE = 100


@dataclass
class Request:
    """A request as the route functions get it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    user: User | None = None
    organization: int | None = None
    visible_everywhere: bool = True
    """Whether lists mix the user's own things with those of organizations: no organization was named."""
    files: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Field name, file name, content."""
    form: dict[str, str] = field(default_factory=dict)

    @property
    def me(self) -> User:
        if self.user is None:
            raise Refusal(401, {"detail": "Authentication credentials were not provided."})
        return self.user

    @property
    def is_multipart(self) -> bool:
        return self.headers.get("content-type", "").startswith("multipart/form-data")

    def json(self) -> Any:
        """The JSON that was sent."""
        if self.is_multipart:
            return dict(self.form)
        kind = self.headers.get("content-type", "")
        if self.body and "json" not in kind:
            media = kind.partition(";")[0]
            raise Refusal(415, {"detail": f'Unsupported media type "{media}" in request.'})
        try:
            return json.loads(self.body or b"{}")
        except ValueError as fault:
            raise Refusal(400, {"detail": f"JSON parse error - {fault}"}) from None


@dataclass
class Response:
    status: int
    body: Any = None
    """JSON; bytes and None go as they are."""
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = VND
    cookies: list[str] = field(default_factory=list)


class FakeCvat:
    """One server. `requester` owns the organization `acme`, `labeler1` and `labeler2` are workers in it; `admin` may do
    everything."""

    def __init__(self, dialect: Dialect = "2.15", *, legacy_api: bool = False, workers: bool = True) -> None:
        self.dialect = dialect
        self.legacy_api = legacy_api or dialect == "2.15"
        """Whether GET .../status and GET ...?format= are known: the first servers with requests had both."""
        self.version = "2.15.0" if dialect == "2.15" else "2.80.0"
        self.state = State()
        self.held = False
        self.export_polls = 1
        self.forbid_project_exports = False
        self.received: list[Request] = []
        self.statuses: list[int] = []
        self.interfere: Callable[[Request], Response | None] = lambda _: None
        """Called before every request; a response that it returns is sent instead."""
        self.notes: list[tuple[str, dict[str, str], bytes]] = []
        """Target, headers and body of each webhook."""
        self.anonymous: list[float] = []
        self.admin = self.state.add_user("admin", "admin-password", "a" * 40)
        self.admin.admin = True
        self.requester = self.state.add_user(
            "requester", "requester-password", "0123456789abcdef" * 2 + "01234567", "pat.requester"
        )
        self.labeler1 = self.state.add_user("labeler1", "labeler1-password", "1" * 40)
        self.labeler2 = self.state.add_user("labeler2", "labeler2-password", "2" * 40)
        if workers:
            self.state.add_organization("acme", self.requester, "ACME", labeler1="worker", labeler2="worker")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.state.url = self.url
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._senders: list[threading.Thread] = []

    def __enter__(self) -> FakeCvat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for sender in self._senders:
            sender.join(5)

    def count(self, method: str, path: str) -> int:
        """How many requests there were whose path matches."""
        return len([request for request in self.received if request.method == method and re.search(path, request.path)])

    # Requests

    def handle(self, request: Request) -> Response:
        with self.state.lock:
            self.received.append(request)
            try:
                response = self.interfere(request) or self._handle(request)
            except Refusal as refusal:
                response = _refused(refusal)
            self.statuses.append(response.status)
            return response

    def _handle(self, request: Request) -> Response:
        route, groups = self._route(request.path)
        if route is None:
            return Response(
                404,
                _page("Not Found", "The requested resource was not found on this server."),
                kind="text/html; charset=utf-8",
            )
        if not request.path.startswith("/api/server/health"):
            _check_accept(request)
        self._authenticate(request)
        self._choose_organization(request)
        return route(self, request, *groups)

    def _route(self, path: str) -> tuple[Any, tuple[str, ...]]:
        for pattern, route, dialect in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and dialect in (None, self.dialect):
                return route, match.groups()
        return None, ()

    def _authenticate(self, request: Request) -> None:
        """By token, or (as browsers do) by cookie; unsafe calls with a cookie alone are refused."""
        header = request.headers.get("authorization", "")
        kind, _, value = header.partition(" ")
        if kind == "Token":
            request.user = self._by_token(value)
        elif kind == "Bearer" and self.dialect != "2.15":
            request.user = next(
                (user for user in self.state.users.values() if value and user.access_token == value), None
            )
            if request.user is None:
                raise Refusal(401, {"detail": "Invalid token."}, {"WWW-Authenticate": "Token"})
        elif kind == "Basic":
            request.user = self.requester
        elif "sessionid=" in request.headers.get("cookie", ""):
            cookies = dict(cookie.strip().partition("=")[::2] for cookie in request.headers["cookie"].split(";"))
            safe = request.method in ("GET", "HEAD", "OPTIONS")
            if not safe and request.headers.get("x-csrftoken", "") != cookies.get("csrftoken"):
                raise Refusal(403, {"detail": "CSRF Failed: CSRF token missing."})
            request.user = next((user for user in self.state.users.values() if user.name == cookies["sessionid"]), None)
        if request.user is None and request.path not in ("/api/auth/login", "/api/server/about", "/api/server/health/"):
            public = request.method == "GET" and re.fullmatch(r"/api/(projects|tasks|jobs)", request.path)
            if not public:
                raise Refusal(
                    401, {"detail": "Authentication credentials were not provided."}, {"WWW-Authenticate": "Token"}
                )
        if request.user is None:
            self._throttle()

    def _by_token(self, value: str) -> User:
        for user in self.state.users.values():
            if user.token and user.token == value:
                return user
        raise Refusal(401, {"detail": "Invalid token."}, {"WWW-Authenticate": "Token"})

    def _throttle(self) -> None:
        moment = time.monotonic()
        self.anonymous = [earlier for earlier in self.anonymous if moment - earlier < 60]
        if len(self.anonymous) >= ANONYMOUS_A_MINUTE:
            raise Refusal(429, {"detail": "Request was throttled."}, {"Retry-After": "60"})
        self.anonymous.append(moment)

    def _choose_organization(self, request: Request) -> None:
        slugs = [value for value in (request.headers.get("x-organization"), request.query.get("org")) if value]
        by_id = request.query.get("org_id")
        if len(set(slugs)) > 1:
            raise Refusal(
                400, ['You cannot specify both "org" query parameter and X-Organization header with different values.']
            )
        if not slugs and not by_id:
            return
        request.visible_everywhere = False
        for organization in self.state.organizations.values():
            if organization.slug in slugs or str(organization.id) == by_id:
                request.organization = organization.id
                return
        raise Refusal(404, {"detail": f"{slugs[0] if slugs else by_id} organization does not exist."})

    # Webhooks

    def send_event(self, event: str, project: int | None, note: dict[str, Any], sender: User) -> None:
        """To every webhook of the project that wants the event. Never twice, never again when the target fails."""
        for hook in self.state.webhooks.values():
            wants = event in hook.settings["events"] or event == "ping"
            if not wants or hook.settings.get("project_id") != project or project is None:
                continue
            body = json.dumps(
                {"event": event, **note, "webhook_id": hook.id, "sender": self.state.basic_user(sender.id)}
            ).encode()
            headers = {"content-type": "application/json", "x-cvat-event": event}
            if hook.settings.get("secret"):
                signed = hmac.new(hook.settings["secret"].encode(), body, hashlib.sha256).hexdigest()
                headers["x-signature-256"] = f"sha256={signed}"
            self.notes.append((hook.settings["target_url"], headers, body))
            objects.note_delivery(self.state, hook, event, json.loads(body))
            if hook.settings["target_url"].startswith("http://127.0.0.1:") and hook.settings.get("really"):
                sending = threading.Thread(target=_send, args=(hook.settings["target_url"], headers, body), daemon=True)
                self._senders.append(sending)
                sending.start()


def _send(url: str, headers: dict[str, str], body: bytes) -> None:
    requests.post(url, data=body, headers=headers, timeout=60)


def _refused(refusal: Refusal) -> Response:
    if refusal.body is None:
        return Response(500, _page("Server Error (500)", ""), kind="text/html; charset=utf-8")
    if isinstance(refusal.body, bytes):
        return Response(refusal.status, refusal.body, refusal.headers, kind="text/html; charset=utf-8")
    return Response(refusal.status, refusal.body, refusal.headers)


def _page(title: str, message: str) -> bytes:
    text = f'\n<!doctype html>\n<html lang="en">\n<head>\n  <title>{title}</title>\n</head>\n<body>\n'
    return f"{text}  <h1>{title}</h1><p>{message}</p>\n</body>\n</html>\n".encode()


def _check_accept(request: Request) -> None:
    accept = request.headers.get("accept", "*/*")
    for media_range in accept.split(","):
        kind, _, parameters = media_range.strip().partition(";")
        if kind.strip() in ("*/*", "application/*"):
            return
        if kind.strip() == VND:
            version = re.search(r"version=([0-9.]+)", parameters)
            if version is not None and version[1] not in ("1.0", "2.0"):
                raise Refusal(406, {"detail": 'Invalid version in "Accept" header.'})
            return
    raise Refusal(406, {"detail": "Could not satisfy the request Accept header."})


# Login and server information


def log_in(cvat: FakeCvat, request: Request) -> Response:
    if request.method != "POST":
        raise Refusal(405, {"detail": f'Method "{request.method}" not allowed.'})
    payload = request.json()
    for user in cvat.state.users.values():
        if payload.get("password") == user.password and (
            payload.get("username") == user.name or payload.get("email") == user.email
        ):
            user.token = user.token or hashlib.sha1(f"{user.name}{time.time_ns()}".encode()).hexdigest()
            cookies = [
                f"csrftoken=x{user.id}; Path=/; SameSite=Lax",
                f"sessionid={user.name}; HttpOnly; Path=/; SameSite=Lax",
            ]
            return Response(200, {"key": user.token}, cookies=cookies)
    raise Refusal(400, {"non_field_errors": ["Unable to log in with provided credentials."]})


def log_out(cvat: FakeCvat, request: Request) -> Response:
    request.me.token = ""
    return Response(200, {"detail": "Successfully logged out."})


def about(cvat: FakeCvat, _: Request) -> Response:
    payload = {
        "name": "Computer Vision Annotation Tool",
        "description": "CVAT is completely re-designed and re-implemented version of Video Annotation Tool.",
        "version": cvat.version,
    }
    if cvat.dialect != "2.15":
        payload |= {"logo_url": f"{cvat.url}/logo.svg", "subtitle": "Open Data Annotation Platform"}
    return Response(200, payload)


def health(_: FakeCvat, __: Request) -> Response:
    names = (
        "Cache backend: default",
        "Cache backend: media",
        "DatabaseBackend",
        "DiskUsage",
        "MemoryUsage",
        "OPAHealthCheck",
    )
    return Response(200, dict.fromkeys(names, "working"), kind="application/json")


ROUTES: list[tuple[str, Any, Dialect | None]] = [
    (r"/api/auth/login", log_in, None),
    (r"/api/auth/logout", log_out, None),
    (r"/api/server/about", about, None),
    (r"/api/server/health/", health, None),
    (r"/api/server/annotation/formats", exports.formats, None),
    (r"/api/users/self", objects.current_user, None),
    (r"/api/users", objects.users, None),
    (r"/api/organizations", objects.organizations, None),
    (r"/api/invitations", objects.invitations, None),
    (r"/api/memberships", objects.memberships, None),
    (r"/api/projects", objects.projects, None),
    (r"/api/projects/(\d+)", objects.project_by_id, None),
    (r"/api/labels", objects.labels, None),
    (r"/api/guides", objects.guides, None),
    (r"/api/guides/(\d+)", objects.guide_by_id, None),
    (r"/api/tasks", objects.tasks, None),
    (r"/api/tasks/(\d+)", objects.task_by_id, None),
    (r"/api/tasks/(\d+)/status", data.status, None),
    (r"/api/tasks/(\d+)/data(/?)", data.data, None),
    (r"/api/tasks/(\d+)/data/((?:\d+_)?[0-9a-f-]{36})", data.tus, None),
    (r"/api/(tasks|jobs)/(\d+)/data/meta", data.meta, None),
    (r"/api/jobs", objects.jobs, None),
    (r"/api/jobs/(\d+)", objects.job_by_id, None),
    (r"/api/(tasks|jobs|projects)/(\d+)/(annotations|dataset)/?", exports.annotations, None),
    (r"/api/(tasks|jobs|projects)/(\d+)/dataset/export", exports.begin, "requests"),
    (r"/api/(tasks|jobs|projects)/(\d+)/dataset/download", exports.download, "requests"),
    (r"/api/requests", exports.list_requests, "requests"),
    (r"/api/requests/([^/]+)", exports.request_by_id, "requests"),
    (r"/api/requests/([^/]+)/cancel", exports.cancel, "requests"),
    (r"/api/webhooks/events", objects.events, None),
    (r"/api/webhooks", objects.webhooks, None),
    (r"/api/webhooks/(\d+)", objects.webhook_by_id, None),
    (r"/api/webhooks/(\d+)/ping", objects.ping, None),
    (r"/api/webhooks/(\d+)/deliveries", objects.deliveries, None),
]


def _handler(cvat: FakeCvat) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None: ...

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length") or 0))
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            request = Request(self.command, unquote(parts.path), query, headers, body)
            if request.is_multipart:
                _parse_multipart(request)
            try:
                response = cvat.handle(request)
            except Exception:  # noqa: BLE001 - an error of the fake is shown as a server error
                response = _refused(server_error())
                import traceback

                traceback.print_exc()
            self._send(response)

        def _send(self, response: Response) -> None:
            if response.body is None:
                content = b""
            elif isinstance(response.body, bytes):
                content = response.body
            else:
                content = json.dumps(response.body, ensure_ascii=False).encode()
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            for cookie in response.cookies:
                self.send_header("Set-Cookie", cookie)
            if content and "Content-Type" not in response.headers:
                self.send_header("Content-Type", response.kind)
            if response.status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD" and response.status != 204:
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

    return Handler


def _parse_multipart(request: Request) -> None:
    """Files by their field names; of a file's name only what follows the last slash, as the web framework does it."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    for part in BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts():
        disposition = part.get("content-disposition", "")
        name = part.get_param("name", header="content-disposition")
        raw = re.search(
            r'filename="((?:[^"\\]|\\.)*)"',
            str(disposition).encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        )
        content = part.get_payload(decode=True) or b""
        if raw is None:
            request.form[str(name)] = content.decode()
        else:
            flat = "".join(
                character for character in raw[1].rsplit("/")[-1].rsplit("\\")[-1] if character.isprintable()
            )
            request.files.append((str(name), flat, content))
