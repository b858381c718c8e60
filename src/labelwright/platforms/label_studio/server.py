"""Calls to one Label Studio server: projects, snapshots, webhooks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from time import monotonic
from typing import Any

from labelwright.network.deadlines import sleep
from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import CampaignOrder

from .client import NAME, Client, where
from .label_config import label_config
from .options import Options
from .projects import COUNTERS, WHOLE, Project, Record, Snapshot, digest_of, project_from, project_title

IGNORE_SKIPPED = "IGNORE_SKIPPED"
"""With the server's default a skipped task waits for somebody else, who may not exist: the campaign would never end."""
MODEL_VERSION = "labelwright"
"""Of predictions that Labelwright puts into a campaign."""
_SNAPSHOT = "Labelwright, finished"
_PAGE = 100


class Server:
    """One server. The options apply to new projects."""

    def __init__(self, client: Client, options: Options) -> None:
        self.client, self.options = client, options
        self._people: dict[int, str] = {}

    def version(self) -> str:
        """Returns the server's version, after a request with the token."""
        self.client.get("list the projects", "/api/projects", {"page_size": 1, "include": "id"})
        version = self.client.get("say its version", "/api/version")
        return version.text("release") if version.has("release") else "of unknown version"

    def people(self, ids: Collection[int], operation: str) -> Mapping[int, str]:
        """Returns e-mail addresses by user id. The list is read again only for an id that is not in it yet."""
        if not self._people.keys() >= set(ids):
            listed = self.client.call(operation, "GET", "/api/users")
            users = [Fields(NAME, operation, item) for item in (listed if isinstance(listed, list) else ())]
            self._people = dict.fromkeys(ids, "") | {user.whole("id"): user.text("email") for user in users}
        return {id: email for id, email in self._people.items() if email}

    # Projects

    def project(self, project: int, operation: str, *, whole: bool = False) -> Project:
        """Raises NotFound for a project that does not exist."""
        params = {"include": WHOLE if whole else COUNTERS}
        return project_from(self.client.get(operation, f"/api/projects/{project}", params))

    def projects_of(self, title: str) -> list[Project]:
        """Returns the projects of a campaign, the oldest first. The server's filter ignores case and finds parts."""
        short = project_title(title)
        operation, page, projects = f"find campaign '{title}'", 1, list[Project]()
        while True:
            params: dict[str, str | int] = {"title": short, "include": COUNTERS, "page": page, "page_size": _PAGE}
            listed = self.client.get(operation, "/api/projects", params)
            projects += map(project_from, listed.each("results"))
            if not listed.has("next"):
                break
            page += 1
        same = [project for project in projects if project.title == short]
        ours = [project for project in same if project.record is not None and project.record.title == title]
        return sorted(ours, key=lambda project: project.id)

    def find(self, title: str) -> Project | None:
        """Returns the campaign's project. Of several, that with images; without images, the oldest one.

        Two creations at once may leave more than one on a server with SQLite. Raises PlatformRefused when several have
        images.
        """
        projects = self.projects_of(title)
        filled = [project for project in projects if project.tasks]
        if len(filled) > 1:
            ids = ", ".join(str(project.id) for project in filled[:10])
            message = f"there are {len(filled)} projects of that title with images: {ids}"
            advice = "Delete or rename all but one on the server's page."
            raise PlatformRefused(NAME, f"find campaign '{title}'", status=200, message=message, advice=advice)
        return next(iter(filled or projects), None)

    def create(self, order: CampaignOrder) -> Project:
        """Creates the campaign's project, and returns the one that counts: the server may have made several.

        Surplus projects of the same order that hold nothing are deleted again.
        """
        record = Record(order.title, digest_of(order), metadata=order.metadata)
        payload: dict[str, Any] = {
            "title": project_title(order.title),
            "description": record.text(),
            "label_config": label_config(order.labels, masks=self.options.masks),
            "expert_instruction": as_html(order.instructions),
            "show_instruction": bool(order.instructions),
            "maximum_annotations": self.options.overlap,
            "skip_queue": IGNORE_SKIPPED,
            "enable_empty_annotation": True,
            "model_version": MODEL_VERSION,
        }
        operation = f"create campaign '{order.title}'"
        self.client.call(operation, "POST", "/api/projects", json=payload)
        project = self.find(order.title)
        if project is None:
            message = "the project that was just created cannot be found again"
            raise PlatformUnavailable(NAME, operation, status=200, message=message, advice="Try again.")
        for surplus in self.projects_of(order.title):
            if surplus.id != project.id and not surplus.tasks and surplus.own_record.order == record.order:
                self.delete(surplus.id, operation)
        return project

    def change(self, project: int, operation: str, **fields: Any) -> None:
        self.client.call(operation, "PATCH", f"/api/projects/{project}", json=fields)

    def keep(self, project: int, operation: str, record: Record) -> None:
        """Stores the record in the project's description."""
        self.change(project, operation, description=record.text())

    def delete(self, project: int, operation: str) -> None:
        """Deletes a project with its tasks. Idempotent. The files of its images stay on the server's disk."""
        try:
            self.client.delete(operation, f"/api/projects/{project}")
        except NotFound:
            return

    def count_skipped(self, project: Project, operation: str) -> int:
        """Returns the number of images that were skipped and not labeled."""
        if not project.skipped:
            return 0
        filters = (where("total_annotations", "equal", 0), where("cancelled_annotations", "greater", 0))
        page = self.client.task_page(operation, project.id, include="id", filters=filters, page_size=1)
        return page.whole("total")

    def delete_task(self, task: str, operation: str) -> None:
        try:
            self.client.delete(operation, f"/api/tasks/{task}")
        except NotFound:
            return

    # Snapshots

    def snapshot(self, project: Project, operation: str) -> Snapshot:
        """Returns a snapshot that was made since the campaign was last reopened; creates one if there is none."""
        path, last = f"/api/projects/{project.id}/exports/", project.own_record.last_snapshot
        listed = self.client.call(operation, "GET", path)
        exports = [Fields(NAME, operation, item) for item in (listed if isinstance(listed, list) else ())]
        ours = [
            item
            for item in exports
            if item.json.get("title") == _SNAPSHOT and item.whole("id") > last and item.json.get("status") != "failed"
        ]
        if ours:
            export = max(ours, key=lambda item: item.whole("id"))
        else:
            export = Fields(NAME, operation, self.client.call(operation, "POST", path, json={"title": _SNAPSHOT}))
        return self._completed(project, operation, export)

    def _completed(self, project: Project, operation: str, export: Fields) -> Snapshot:
        end, pause, id = monotonic() + self.options.snapshot_seconds, 0.2, export.whole("id")
        while export.text("status") != "completed":
            if export.text("status") == "failed":
                message, advice = f"snapshot {id} failed", "See the server's log, then run the command again."
                raise PlatformRefused(NAME, operation, status=200, message=message, advice=advice)
            if monotonic() > end:
                message = f"snapshot {id} is {export.text('status')}"
                raise PlatformUnavailable(NAME, operation, status=200, message=message, advice="Run again to wait on.")
            sleep(pause)
            pause = min(pause * 1.5, 5.0)
            export = self.client.get(operation, f"/api/projects/{project.id}/exports/{id}")
        return Snapshot(id, export.text("md5") if export.has("md5") else "")


def as_html(text: str) -> str:
    """Returns the instructions as HTML, which Label Studio shows: the text itself, with its line breaks."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("\n", "<br>")
