"""The two dialects of the REST API, picked by what `product_info` says: Sonoma Creek 1.x and Geti 2.x."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused
from labelwright.platforms.http.json_fields import Fields

from .models import GetiProject, Unit, datasets_from, project_from
from .session import NAME, GetiSession

SC_API, GETI_API = "/api/v1.0", "/api/v1"
_VERSION = re.compile(r"\s*v?(\d+)\.(\d+)")
_BUILT = re.compile(r"-(\d{14})\s*$")
_LAST_SC = "20220910154208"
"""Geti began at 1.0 again: a version 1.x that was built later is no Sonoma Creek (the vendor's own client says so)."""
_OLDEST_GETI = (1, 16)
"""That the vendor's own client takes; it speaks as 2.x does."""


class Dialect(Protocol):
    """What differs between the servers' generations."""

    name: str
    unit: Unit
    workspace: str
    """Id."""
    api: str
    """Path of the API."""
    root: str
    """Path of the workspace; below it both are the same."""
    page: int
    """Media that are asked for at a time, unless somebody says otherwise."""
    patches_configuration: bool
    """Whether configuration is `project_configuration`, from 2.12."""

    def projects(self, session: GetiSession, operation: str) -> Iterator[GetiProject]:
        """Every project. Of newer servers these may lack labels."""

    def project(self, session: GetiSession, operation: str, project: str) -> GetiProject:
        """One project with all that is in it. Raises NotFound."""

    def first_page(self, folder: str, kind: str, size: int, after: str = "") -> Page:
        """What to ask for the media of a kind, `image` or `video`; `folder` is the dataset's path."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of media to ask for."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None


class SonomaCreek:
    """SC 1.x, as recorded."""

    name = "Sonoma Creek"
    unit = Unit.FRACTIONS
    page = 100_000
    patches_configuration = False

    def __init__(self, workspace: str) -> None:
        self.workspace = workspace
        self.api = SC_API
        self.root = f"{SC_API}/workspaces/{workspace}"

    def projects(self, session: GetiSession, operation: str) -> Iterator[GetiProject]:
        answer = Fields(NAME, operation, session.ask(operation, "GET", f"{self.root}/projects/"))
        key = "items" if answer.has("items") else "projects"
        yield from (project_from(one) for one in answer.each(key))

    def project(self, session: GetiSession, operation: str, project: str) -> GetiProject:
        # The list holds whole projects, and is what was recorded.
        for one in self.projects(session, operation):
            if one.id == project:
                return one
        raise NotFound(NAME, operation, status=404, message=f"there is no project {project}", advice="Was it deleted?")

    def first_page(self, folder: str, kind: str, size: int, after: str = "") -> Page:
        skip = f"&skiptoken={after}" if after else ""
        return Page("GET", f"{folder}/media/{kind}s?top={size}{skip}")


class Geti:
    """2.x, as its documents and its own client say."""

    name = "Geti"
    unit = Unit.PIXELS
    page = 100

    def __init__(self, organization: str, workspace: str, version: tuple[int, int]) -> None:
        self.workspace = workspace
        self.api = f"{GETI_API}/organizations/{organization}"
        self.root = f"{self.api}/workspaces/{workspace}"
        self.patches_configuration = version >= (2, 12)

    def projects(self, session: GetiSession, operation: str) -> Iterator[GetiProject]:
        seen = 0
        while True:
            answer = Fields(
                NAME, operation, session.ask(operation, "GET", f"{self.root}/projects?limit=50&skip={seen}")
            )
            page = [project_from(one) for one in answer.each("projects")]
            yield from page
            seen += len(page)
            total = answer.whole("project_counts") if answer.has("project_counts") else seen
            if not page or seen >= total:
                return

    def project(self, session: GetiSession, operation: str, project: str) -> GetiProject:
        path = f"{self.root}/projects/{project}"
        found = project_from(Fields(NAME, operation, session.ask(operation, "GET", path)))
        if found.datasets:
            return found
        datasets = Fields(
            NAME, operation, session.ask(operation, "GET", f"{path}/datasets")
        )  # they may be told there alone
        return replace(found, datasets=datasets_from(datasets))

    def first_page(self, folder: str, kind: str, size: int, after: str = "") -> Page:
        rule = {"field": "media_type", "operator": "equal", "value": kind}
        skip = f"&skiptoken={after}" if after else ""
        return Page("POST", f"{folder}/media:query?limit={size}{skip}", {"condition": "and", "rules": [rule]})


def detect_api_version(session: GetiSession, *, workspace: str = "", organization: str = "") -> tuple[Dialect, str]:
    """Ask the server what it is. Answers its dialect and its version.

    `workspace` and `organization` (ids or names) are needed where there are several.
    """
    operation = "ask for its version"
    session.log_in()
    api, info = _product_info(session, operation)
    told = next((info.json[name] for name in ("product-version", "build-version") if info.has(name)), "")
    found = _VERSION.match(str(told))
    if found is None:
        info.refuse("product-version", f"is '{told}', which is no version")
    version = int(found[1]), int(found[2])
    if _is_sonoma_creek(version, str(told)):
        return SonomaCreek(_workspace(session, f"{SC_API}/workspaces", workspace)), str(told)
    if version < _OLDEST_GETI:
        told_why = f"version {told} is neither Sonoma Creek nor Geti 1.16 or later"
        raise PlatformRefused(NAME, operation, status=200, message=told_why, advice="Update the server.")
    if api != GETI_API:
        told_why = f"version {told} is entered by a personal access token, not by user and password"
        raise AccessDenied(
            NAME, operation, message=told_why, advice="Put the token into the connection's key, without a secret."
        )
    chosen = organization or _organization(session)
    root = f"{GETI_API}/organizations/{chosen}"
    return Geti(chosen, _workspace(session, f"{root}/workspaces", workspace), version), str(told)


def _is_sonoma_creek(version: tuple[int, int], told: str) -> bool:
    built = _BUILT.search(told)
    return version < (2, 0) and (built is None or built[1] <= _LAST_SC)


def _product_info(session: GetiSession, operation: str) -> tuple[str, Fields]:
    apis = (GETI_API, SC_API) if session.has_token else (SC_API, GETI_API)
    try:
        return apis[0], Fields(NAME, operation, session.ask(operation, "GET", f"{apis[0]}/product_info"))
    except NotFound:
        return apis[1], Fields(NAME, operation, session.ask(operation, "GET", f"{apis[1]}/product_info"))


def _organization(session: GetiSession) -> str:
    """That of the token; of several the oldest, as the vendor's own client takes it."""
    operation = "find the organization"
    path = f"{GETI_API}/personal_access_tokens/organization"
    answer = Fields(NAME, operation, session.ask(operation, "GET", path))
    if answer.has("organizationId"):
        return answer.id("organizationId")
    found = [
        (one.text("organizationCreatedAt") if one.has("organizationCreatedAt") else "", one.id("organizationId"))
        for one in answer.each("organizations")
    ]
    if not found:
        answer.refuse("organizations", "is empty")
    return min(found)[1]


def _workspace(session: GetiSession, path: str, wanted: str) -> str:
    """A bare list in SC (recorded), `workspaces` in 2.x. Several are refused unless one is named."""
    operation = "find the workspace"
    answer = session.ask(operation, "GET", path)
    fields = Fields(NAME, operation, {"workspaces": answer} if isinstance(answer, list) else answer)
    key = "workspaces" if fields.has("workspaces") else "items"
    found = [(one.id("id"), one.text("name") if one.has("name") else "") for one in fields.each(key)]
    chosen = [identity for identity, name in found if not wanted or wanted in (identity, name)]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(f"'{name}' ({identity})" for identity, name in found) or "none"
    told = f"there are these workspaces: {names}"
    raise PlatformRefused(NAME, operation, status=200, message=told, advice="Name one in the option `workspace`.")
