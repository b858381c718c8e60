"""The two versions of the REST API, chosen by `product_info`: Sonoma Creek 1.x and Geti 2.x."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused
from labelwright.platforms.http.json_fields import Fields

from .models import CoordinateUnit, GetiProject, datasets_from, project_from
from .session import NAME, GetiSession

SC_API, GETI_API = "/api/v1.0", "/api/v1"
_VERSION = re.compile(r"\s*v?(\d+)\.(\d+)")
_BUILD_TIME = re.compile(r"-(\d{14})\s*$")
_LAST_SC_BUILD = "20220910154208"
"""Geti's versions began at 1.0 again: a 1.x that was built later is Geti (from the vendor's own client)."""
_OLDEST_GETI = (1, 16)
"""Oldest version that the vendor's own client accepts; its API is that of 2.x."""


class ApiVersion(Protocol):
    """What differs between the two versions of the API."""

    name: str
    unit: CoordinateUnit
    workspace: str
    """Id."""
    api: str
    """Path of the API."""
    root: str
    """Path of the workspace; the paths below it are the same in both versions."""
    page: int
    """Media per request by default."""
    patches_configuration: bool
    """Whether configuration is `project_configuration`, from 2.12."""

    def projects(self, session: GetiSession, operation: str) -> Iterator[GetiProject]:
        """Every project. From newer servers these may lack labels."""

    def project(self, session: GetiSession, operation: str, project: str) -> GetiProject:
        """One project with all its tasks, labels and datasets. Raises NotFound."""

    def media_request(self, folder: str, kind: str, size: int, after: str = "") -> MediaRequest:
        """The request that lists media of a kind, `image` or `video`; `folder` is the dataset's path."""


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """A request for one page of media."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None


class SonomaCreek:
    """The API of Sonoma Creek 1.x, as recorded."""

    name = "Sonoma Creek"
    unit = CoordinateUnit.FRACTIONS
    page = 100_000
    patches_configuration = False

    def __init__(self, workspace: str) -> None:
        self.workspace = workspace
        self.api = SC_API
        self.root = f"{SC_API}/workspaces/{workspace}"

    def projects(self, session: GetiSession, operation: str) -> Iterator[GetiProject]:
        listing = session.get(operation, f"{self.root}/projects/")
        key = "items" if listing.has("items") else "projects"
        yield from (project_from(item) for item in listing.each(key))

    def project(self, session: GetiSession, operation: str, project: str) -> GetiProject:
        # The list contains whole projects; reading a single one was never recorded.
        for candidate in self.projects(session, operation):
            if candidate.id == project:
                return candidate
        raise NotFound(NAME, operation, status=404, message=f"there is no project {project}", advice="Was it deleted?")

    def media_request(self, folder: str, kind: str, size: int, after: str = "") -> MediaRequest:
        skip = f"&skiptoken={after}" if after else ""
        return MediaRequest("GET", f"{folder}/media/{kind}s?top={size}{skip}")


class GetiV2:
    """The API of Geti 2.x, from its documentation and its own client."""

    name = "Geti"
    unit = CoordinateUnit.PIXELS
    page = 100

    def __init__(self, organization: str, workspace: str, version: tuple[int, int]) -> None:
        self.workspace = workspace
        self.api = f"{GETI_API}/organizations/{organization}"
        self.root = f"{self.api}/workspaces/{workspace}"
        self.patches_configuration = version >= (2, 12)

    def projects(self, session: GetiSession, operation: str) -> Iterator[GetiProject]:
        read = 0
        while True:
            listing = session.get(operation, f"{self.root}/projects?limit=50&skip={read}")
            page = [project_from(item) for item in listing.each("projects")]
            yield from page
            read += len(page)
            total = listing.whole("project_counts") if listing.has("project_counts") else read
            if not page or read >= total:
                return

    def project(self, session: GetiSession, operation: str, project: str) -> GetiProject:
        path = f"{self.root}/projects/{project}"
        details = project_from(session.get(operation, path))
        if details.datasets:
            return details
        # Some versions list the datasets only on a page of their own.
        return replace(details, datasets=datasets_from(session.get(operation, f"{path}/datasets")))

    def media_request(self, folder: str, kind: str, size: int, after: str = "") -> MediaRequest:
        rule = {"field": "media_type", "operator": "equal", "value": kind}
        skip = f"&skiptoken={after}" if after else ""
        return MediaRequest("POST", f"{folder}/media:query?limit={size}{skip}", {"condition": "and", "rules": [rule]})


def detect_api_version(session: GetiSession, *, workspace: str = "", organization: str = "") -> tuple[ApiVersion, str]:
    """Reads the server's version and returns its API version and the version's text.

    `workspace` and `organization` (ids or names) are needed where there are several.
    """
    operation = "detect the server's version"
    session.log_in()
    api, info = _product_info(session, operation)
    text = str(next((info.json[name] for name in ("product-version", "build-version") if info.has(name)), ""))
    match = _VERSION.match(text)
    if match is None:
        info.refuse("product-version", f"is '{text}', which is no version")
    version = int(match[1]), int(match[2])
    if _is_sonoma_creek(version, text):
        return SonomaCreek(_workspace(session, f"{SC_API}/workspaces", workspace)), text
    if version < _OLDEST_GETI:
        message = f"version {text} is neither Sonoma Creek nor Geti 1.16 or later"
        raise PlatformRefused(NAME, operation, status=200, message=message, advice="Update the server.")
    if api != GETI_API:
        message = f"version {text} needs a personal access token, not user and password"
        advice = "Put the token into the connection's key, without a secret."
        raise AccessDenied(NAME, operation, message=message, advice=advice)
    organization = organization or _organization(session)
    root = f"{GETI_API}/organizations/{organization}"
    return GetiV2(organization, _workspace(session, f"{root}/workspaces", workspace), version), text


def _is_sonoma_creek(version: tuple[int, int], text: str) -> bool:
    build_time = _BUILD_TIME.search(text)
    return version < (2, 0) and (build_time is None or build_time[1] <= _LAST_SC_BUILD)


def _product_info(session: GetiSession, operation: str) -> tuple[str, Fields]:
    apis = (GETI_API, SC_API) if session.has_token else (SC_API, GETI_API)
    try:
        return apis[0], session.get(operation, f"{apis[0]}/product_info")
    except NotFound:
        return apis[1], session.get(operation, f"{apis[1]}/product_info")


def _organization(session: GetiSession) -> str:
    """Id of the token's organization; of several the oldest, as in the vendor's own client."""
    listing = session.get("find the organization", f"{GETI_API}/personal_access_tokens/organization")
    if listing.has("organizationId"):
        return listing.id("organizationId")
    organizations = [
        (item.text("organizationCreatedAt") if item.has("organizationCreatedAt") else "", item.id("organizationId"))
        for item in listing.each("organizations")
    ]
    if not organizations:
        listing.refuse("organizations", "is empty")
    return min(organizations)[1]


def _workspace(session: GetiSession, path: str, workspace: str) -> str:
    """Id of the workspace of this id or name ("": the only one).

    The response is a bare list in SC (recorded), `workspaces` in 2.x. Raises PlatformRefused unless one matches.
    """
    operation = "find the workspace"
    response = session.request(operation, "GET", path)
    fields = Fields(NAME, operation, {"workspaces": response} if isinstance(response, list) else response)
    key = "workspaces" if fields.has("workspaces") else "items"
    workspaces = [(item.id("id"), item.text("name") if item.has("name") else "") for item in fields.each(key)]
    matches = [identity for identity, name in workspaces if not workspace or workspace in (identity, name)]
    if len(matches) == 1:
        return matches[0]
    names = ", ".join(f"'{name}' ({identity})" for identity, name in workspaces) or "none"
    message = f"there are these workspaces: {names}"
    raise PlatformRefused(NAME, operation, status=200, message=message, advice="Name one in the option `workspace`.")
