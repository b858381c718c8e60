"""The operations page as an ASGI application, to be mounted below a path of its own."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from labelwright.domain.errors import CannotRun, text_with_code
from labelwright.ledger import CampaignRecord, LedgerError, UnknownCampaign
from labelwright.prefect_integration.requested_runs import RunNotStarted, RunStatus
from labelwright.settings import SettingsError

from .access import SESSION_SECONDS, Door, Visitor
from .actions import ACTIONS, Action
from .campaign_page import outside_pages, picture_file, read_details
from .overview import FILTERS, Overviews, Query
from .rendering import HEADERS, digest, page, render, static_files
from .sources import NoLedger, Sources

COOKIE = "labelwright_operations"
FORM_BYTES = 64 * 1024
EVERY_SECONDS = 5
"""Between two requests of a page that is open for what changed."""


class Refused(Exception):
    """A request that is not carried out."""

    error_code = "LW7001"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class _NotLoggedIn(Exception):
    """A request of somebody who has no session."""


def create_operations(door: Door, sources: Sources) -> Starlette:
    """Returns the application. It opens the ledger with the first request that needs it."""
    pages, files = _Pages(door, sources), static_files()

    def static(request: Request) -> Response:
        file = files.get(request.path_params["name"])
        if file is None:
            raise Refused(404, "There is no such file.")
        return file.response(request.headers.get("if-none-match"))

    routes = [
        Route("/", pages.overview),
        Route("/list", pages.overview_part),
        Route("/campaign", pages.campaign),
        Route("/campaign-part", pages.campaign_part),
        Route("/picture", pages.picture),
        Route("/confirm", pages.confirm),
        Route("/act", pages.act, methods=["POST"]),
        Route("/run", pages.run),
        Route("/login", pages.login_form),
        Route("/login", pages.login, methods=["POST"]),
        Route("/logout", pages.logout, methods=["POST"]),
        Route("/static/{name:path}", static),
    ]
    handlers: dict[Any, Any] = {
        404: _handler(404, "There is no such page."),
        405: _handler(405, "This is changed by a form of the page only."),
        _NotLoggedIn: _to_login,
        Refused: _show_refusal,
        CannotRun: _show_refusal,
        LedgerError: _show_refusal,
        SettingsError: _show_refusal,
        UnknownCampaign: _show_refusal,
        SQLAlchemyError: _handler(503, "The ledger did not respond. Try again."),
    }
    return Starlette(routes=routes, exception_handlers=handlers)


class _Pages:
    def __init__(self, door: Door, sources: Sources) -> None:
        self._door, self._sources = door, sources
        self._guesses = CapacityLimiter(1)
        self._overviews: Overviews | None = None

    # The list

    def overview(self, request: Request) -> Response:
        visitor = self._visitor(request)
        return _show("overview.html", request, visitor, query=_query(request), **self._list(request))

    def overview_part(self, request: Request) -> Response:
        self._visitor(request)
        return _changed_part(request, self._list(request))

    def _list(self, request: Request) -> dict[str, Any]:
        query = _query(request)
        if self._overviews is None:
            self._overviews = Overviews(self._sources.ledger(), self._sources.settings().restart_minutes)
        overview = self._overviews.read(query)
        pictures = [
            dataset.campaign
            for dataset in overview.datasets
            if picture_file(self._sources.settings(), dataset.campaign, "contact-sheet")
        ]

        def link(**changed: Any) -> str:
            return _with_query(f"{_base(request)}/", {**_as_fields(query), **changed})

        values = {"overview": overview, "filters": FILTERS, "show": query.show, "link": link, "pictures": pictures}
        part = render("list.html", base=_base(request), campaign_link=partial(_campaign_link, request), **values)
        poll = _with_query(f"{_base(request)}/list", {**_as_fields(query), "seen": digest(part)})
        return {"part": part, "poll": poll, "every": EVERY_SECONDS}

    # One campaign

    def campaign(self, request: Request) -> Response:
        visitor = self._visitor(request)
        record = self._record(request)
        return _show(
            "campaign.html",
            request,
            visitor,
            title=record.title,
            run=request.query_params.get("run", ""),
            action=request.query_params.get("action", ""),
            **self._details(request, record, visitor),
        )

    def campaign_part(self, request: Request) -> Response:
        visitor = self._visitor(request)
        return _changed_part(request, self._details(request, self._record(request), visitor))

    def _details(self, request: Request, record: CampaignRecord, visitor: Visitor) -> dict[str, Any]:
        settings = self._sources.settings()
        part = render(
            "details.html",
            base=_base(request),
            details=read_details(self._sources.ledger(), record, settings),
            outside=outside_pages(record, settings, self._sources.connections),
            prefect=self._sources.prefect_pages(record.title),
            actions=[(action, action.refusal(record)) for action in ACTIONS.values()] if visitor.may_act else [],
            confirm=lambda name: _with_query(f"{_base(request)}/confirm", {"title": record.title, "action": name}),
            picture=lambda name: _with_query(f"{_base(request)}/picture", {"title": record.title, "name": name}),
        )
        fields = {"title": record.title, "seen": digest(part)}
        return {"part": part, "poll": _with_query(f"{_base(request)}/campaign-part", fields), "every": EVERY_SECONDS}

    def picture(self, request: Request) -> Response:
        self._visitor(request)
        record = self._record(request)
        file = picture_file(self._sources.settings(), record.title, request.query_params.get("name", ""))
        if file is None:
            raise Refused(404, "There is no such picture on this machine.")
        return FileResponse(file, headers={**HEADERS, "Cache-Control": "private, no-cache"})

    # Actions

    def confirm(self, request: Request) -> Response:
        visitor = self._visitor(request)
        action, record = _action(request.query_params), self._record(request)
        refusal = action.refusal(record) if visitor.may_act else _READS_ONLY
        return self._confirmation(request, visitor, action, record, refusal)

    def _confirmation(
        self,
        request: Request,
        visitor: Visitor,
        action: Action,
        record: CampaignRecord,
        refusal: str,
        status: int = 200,
    ) -> Response:
        return _show(
            "confirm.html",
            request,
            visitor,
            status,
            action=action,
            title=record.title,
            state=record.state.value,
            refusal=refusal,
            form=self._door.form_token(visitor),
            back=_campaign_link(request, record.title),
        )

    async def act(self, request: Request) -> Response:
        _refuse_other_sites(request)
        fields = await _form(request)
        return await run_in_threadpool(self._start, request, fields)

    def _start(self, request: Request, fields: Mapping[str, str]) -> Response:
        visitor = self._visitor(request)
        form = self._door.form_id(fields.get("form", ""), visitor)
        if form is None:
            raise Refused(403, "This form is too old or was not made by this page: open it again.")
        if not visitor.may_act:
            raise Refused(403, _READS_ONLY)
        action = _action(fields)
        record = self._sources.ledger().campaigns.get(fields.get("title", ""))
        parameters = action.parameters(fields)
        if refusal := action.refusal(record, parameters):
            return self._confirmation(request, visitor, action, record, refusal, 409)
        key = f"{action.name} {form}"
        try:
            run = self._sources.start_run(action.deployment, {"title": record.title, **parameters}, key)
        except RunNotStarted as error:
            return self._confirmation(request, visitor, action, record, text_with_code(error), 503)
        target = _campaign_link(request, record.title, run=run, action=action.name)
        return RedirectResponse(target, 303, HEADERS)

    def run(self, request: Request) -> Response:
        """How the run of an action is, as a part of the campaign's page."""
        visitor = self._visitor(request)
        run, action = request.query_params.get("id", ""), _action(request.query_params)
        try:
            status = self._sources.run_status(run)
        except RunNotStarted as error:
            status = RunStatus("not known", False, False, text_with_code(error), "")
        fields = {"id": run, "action": action.name}
        poll = _with_query(f"{_base(request)}/run", fields)
        if "hx-request" in request.headers:
            return page(render("run.html", status=status, action=action, poll=poll))
        return _show("run_page.html", request, visitor, status=status, action=action, poll=poll)

    # Login

    def login_form(self, request: Request) -> Response:
        return _show("login.html", request, None, fault="")

    async def login(self, request: Request) -> Response:
        _refuse_other_sites(request)
        fields = await _form(request)
        pair = fields.get("key", "").strip()[:255], fields.get("secret", "").strip()[:1024]
        # One at a time, waiting without a thread: whoever guesses slows down nobody but those who guess.
        session = await to_thread.run_sync(self._door.open_session, *pair, limiter=self._guesses)
        if session is None:
            return _show("login.html", request, None, 401, fault="Key or secret is wrong.")
        response = RedirectResponse(f"{_base(request)}/", 303, HEADERS)
        secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, session, SESSION_SECONDS, path=_base(request), secure=secure, httponly=True, samesite="strict"
        )
        return response

    async def logout(self, request: Request) -> Response:
        _refuse_other_sites(request)
        response = RedirectResponse(f"{_base(request)}/login", 303, HEADERS)
        response.delete_cookie(COOKIE, path=_base(request))
        return response

    # Parts

    def _visitor(self, request: Request) -> Visitor:
        visitor = self._door.visitor(request.headers, request.cookies.get(COOKIE))
        if visitor is None:
            raise _NotLoggedIn
        return visitor

    def _record(self, request: Request) -> CampaignRecord:
        return self._sources.ledger().campaigns.get(request.query_params.get("title", ""))


_READS_ONLY = "You may look at campaigns and change nothing. Log in with the admin's key to act."


def _base(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _with_query(path: str, fields: Mapping[str, Any]) -> str:
    present = {name: value for name, value in fields.items() if value not in ("", None)}
    return f"{path}?{urlencode(present)}" if present else path


def _campaign_link(request: Request, title: str, **fields: str) -> str:
    return _with_query(f"{_base(request)}/campaign", {"title": title, **fields})


def _query(request: Request) -> Query:
    show, number = request.query_params.get("show", "all"), request.query_params.get("page", "1")
    if show not in FILTERS or not number.isascii() or not number.isdigit() or len(number) > 6:
        raise Refused(404, "There is no such part of the list.")
    return Query(show, request.query_params.get("find", "").strip()[:200], int(number))


def _as_fields(query: Query) -> dict[str, Any]:
    return {"show": query.show, "find": query.find, "page": query.page}


def _action(fields: Mapping[str, str]) -> Action:
    action = ACTIONS.get(fields.get("action", ""))
    if action is None:
        raise Refused(404, "There is no such action.")
    return action


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form. Raises Refused for anything else, and for one that is too large."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise Refused(415, "Forms are sent as application/x-www-form-urlencoded.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise Refused(413, f"A form has at most {FORM_BYTES:,} bytes.")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50, errors="strict"))
    except ValueError:
        raise Refused(400, "The form cannot be read.") from None


def _refuse_other_sites(request: Request) -> None:
    """Raises Refused for a form that a page of another site sent, as far as the browser tells."""
    fetched, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    same_host = origin is None or hmac.compare_digest(urlsplit(origin).netloc, request.headers.get("host", ""))
    if fetched not in (None, "same-origin") or (fetched is None and not same_host):
        raise Refused(403, "This form was sent by a page of another site.")


def _show(template: str, request: Request, visitor: Visitor | None, code: int = 200, **values: Any) -> Response:
    return page(render(template, base=_base(request), visitor=visitor, **values), code)


def _changed_part(request: Request, values: Mapping[str, Any]) -> Response:
    """The part anew, or 204 when its reader has it already."""
    if f"seen={request.query_params.get('seen', '')}" in values["poll"].partition("?")[2].split("&"):
        return Response(status_code=204, headers=HEADERS)
    return page(render("live.html", **values))


def _to_login(request: Request, _error: Exception) -> Response:
    if "hx-request" in request.headers or request.method != "GET":
        return _show("message.html", request, None, 401, message="The session has ended: log in again.")
    return RedirectResponse(f"{_base(request)}/login", 303, HEADERS)


def _show_refusal(request: Request, error: Exception) -> Response:
    code = 400
    if isinstance(error, Refused):
        code = error.status
    elif isinstance(error, UnknownCampaign):
        code = 404
    elif isinstance(error, LedgerError | NoLedger | SettingsError):
        code = 503
    return _show("message.html", request, None, code, message=text_with_code(error))


def _handler(status: int, message: str) -> Callable[[Request, Exception], Response]:
    def show(request: Request, _error: Exception) -> Response:
        return _show("message.html", request, None, status, message=message)

    return show
