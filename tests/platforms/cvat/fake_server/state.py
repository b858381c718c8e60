"""State of the fake CVAT server: users, organizations, projects, tasks, jobs, annotations; and their JSON.

The shapes are those of the recorded traffic, key by key.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


class Refusal(Exception):
    """An error response. `body` of None: an HTML page, as the web framework shows for faults of its own."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.status, self.body, self.headers = status, body, headers or {}


def server_error() -> Refusal:
    return Refusal(500, None)


def not_found() -> Refusal:
    return Refusal(404, {"detail": "Not found."})


def forbidden() -> Refusal:
    return Refusal(403, {"detail": "You do not have permission to perform this action."})


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class User:
    id: int
    name: str
    email: str
    password: str
    token: str
    access_token: str = ""
    """A personal access token, which only newer servers know."""
    admin: bool = False
    """May do everything, and sees everybody and their e-mail addresses."""


@dataclass
class Organization:
    id: int
    slug: str
    owner: int
    name: str = ""
    members: dict[int, str] = field(default_factory=dict)
    """Users and their roles, in the order of joining."""
    created: str = field(default_factory=now)


@dataclass
class Label:
    id: int
    name: str
    color: str
    type: str
    attributes: list[dict[str, Any]]


@dataclass
class Project:
    id: int
    name: str
    owner: int
    organization: int | None
    labels: list[Label]
    assignee: int | None = None
    guide: int | None = None
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)


@dataclass
class Frame:
    name: str
    width: int
    height: int
    content: bytes


@dataclass
class Data:
    """An upload into a task, and its import."""

    id: int
    quality: int
    files: dict[str, bytes] = field(default_factory=dict)
    server_paths: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, tuple[str, int, bytearray]] = field(default_factory=dict)
    """TUS: the file's name and length, and what has arrived."""
    sorting: str = "lexicographical"
    use_cache: bool = False
    order: list[str] = field(default_factory=list)


@dataclass
class Import:
    """`state` is queued, started, finished or failed."""

    state: str = "queued"
    message: str = ""
    started: str = field(default_factory=now)
    finished: str | None = None
    expired: bool = False


@dataclass
class Task:
    id: int
    name: str
    owner: int
    project: int | None
    organization: int | None
    segment_size: int
    overlap: int | None
    subset: str
    assignee: int | None
    labels: list[Label]
    """Of its own; those of its project when it is in one."""
    data: Data | None = None
    broken_meta: bool = False
    work: Import | None = None
    frames: list[Frame] = field(default_factory=list)
    deleted_frames: list[int] = field(default_factory=list)
    bug_tracker: str = ""
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)


@dataclass
class Job:
    id: int
    task: int
    start: int
    stop: int
    stage: str = "annotation"
    state: str = "new"
    assignee: int | None = None
    shapes: dict[int, dict[str, Any]] = field(default_factory=dict)
    tags: dict[int, dict[str, Any]] = field(default_factory=dict)
    tracks: dict[int, dict[str, Any]] = field(default_factory=dict)
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)

    @property
    def status(self) -> str:
        if self.stage == "acceptance":
            return "completed" if self.state == "completed" else "validation"
        return self.stage


@dataclass
class Webhook:
    id: int
    owner: int
    settings: dict[str, Any]
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    created: str = field(default_factory=now)


@dataclass
class ExportWork:
    """An export under way. `file` when it is there and was not fetched yet."""

    rq_id: str
    path: str
    params: dict[str, str]
    operation: dict[str, Any]
    owner: int
    state: str = "started"
    file: bytes | None = None
    filename: str = ""
    message: str = ""
    created: str = field(default_factory=now)
    finished: str | None = None
    expired: bool = False


class State:
    """Everything, behind one lock."""

    def __init__(self, url: str = "") -> None:
        self.lock = threading.RLock()
        self.url = url
        self.users: dict[int, User] = {}
        self.organizations: dict[int, Organization] = {}
        self.projects: dict[int, Project] = {}
        self.tasks: dict[int, Task] = {}
        self.jobs: dict[int, Job] = {}
        self.webhooks: dict[int, Webhook] = {}
        self.guides: dict[int, dict[str, Any]] = {}
        self.exports: dict[str, ExportWork] = {}
        self._ids: dict[str, Iterator[int]] = {}

    def next_id(self, kind: str) -> int:
        return next(self._ids.setdefault(kind, itertools.count(1)))

    def start_ids(self, **first: int) -> None:
        for kind, number in first.items():
            self._ids[kind] = itertools.count(number)

    def add_user(self, name: str, password: str, token: str, access_token: str = "") -> User:
        id = self.next_id("user")
        self.users[id] = User(id, name, f"{name}@example.com", password, token, access_token)
        return self.users[id]

    def add_organization(self, slug: str, owner: User, name: str = "", **members: str) -> Organization:
        organization = Organization(self.next_id("organization"), slug, owner.id, name or slug, {owner.id: "owner"})
        for member, role in members.items():
            organization.members[self.find_user(member).id] = role
        self.organizations[organization.id] = organization
        return organization

    def find_user(self, name: str) -> User:
        return next(user for user in self.users.values() if user.name == name)

    def labels_of(self, task: Task) -> list[Label]:
        return self.projects[task.project].labels if task.project is not None else task.labels

    def jobs_of(self, task: int) -> list[Job]:
        return sorted((job for job in self.jobs.values() if job.task == task), key=lambda job: job.id)

    # JSON

    def basic_user(self, id: int | None) -> dict[str, Any] | None:
        if id is None:
            return None
        user = self.users[id]
        return {
            "url": f"{self.url}/api/users/{id}",
            "id": id,
            "username": user.name,
            "first_name": user.name,
            "last_name": "X",
        }

    def full_user(self, id: int) -> dict[str, Any]:
        payload = self.basic_user(id) or {}
        return payload | {
            "email": self.users[id].email,
            "groups": ["user"],
            "is_staff": False,
            "is_superuser": False,
            "is_active": True,
            "last_login": now(),
            "date_joined": now(),
        }

    def project_json(self, project: Project) -> dict[str, Any]:
        tasks = [task for task in self.tasks.values() if task.project == project.id]
        return {
            "url": f"{self.url}/api/projects/{project.id}",
            "id": project.id,
            "name": project.name,
            "owner": self.basic_user(project.owner),
            "assignee": self.basic_user(project.assignee),
            "guide_id": project.guide,
            "bug_tracker": "",
            "created_date": project.created,
            "updated_date": project.updated,
            "status": "annotation",
            "dimension": "2d" if tasks else None,
            "organization": project.organization,
            "target_storage": None,
            "source_storage": None,
            "tasks": {"count": len(tasks), "url": f"{self.url}/api/tasks?project_id={project.id}"},
            "labels": {"url": f"{self.url}/api/labels?project_id={project.id}"},
            "task_subsets": sorted({task.subset for task in tasks if task.subset}),
        }

    def task_json(self, task: Task) -> dict[str, Any]:
        jobs = self.jobs_of(task.id)
        accepted = [job for job in jobs if job.stage == "acceptance" and job.state == "completed"]
        payload: dict[str, Any] = {
            "url": f"{self.url}/api/tasks/{task.id}",
            "id": task.id,
            "name": task.name,
            "project_id": task.project,
            "mode": "annotation" if task.frames else "",
            "owner": self.basic_user(task.owner),
            "assignee": self.basic_user(task.assignee),
            "bug_tracker": task.bug_tracker,
            "created_date": task.created,
            "updated_date": task.updated,
            "overlap": task.overlap,
            "segment_size": task.segment_size,
            "status": "completed" if jobs and len(accepted) == len(jobs) else "annotation",
            "guide_id": None,
            "dimension": "2d",
            "subset": task.subset,
            "organization": task.organization,
            "target_storage": None,
            "source_storage": None,
            "jobs": {
                "count": len(jobs),
                "completed": len(accepted),
                "validation": len([job for job in jobs if job.stage == "validation"]),
                "url": f"{self.url}/api/jobs?task_id={task.id}",
            },
            "labels": {"url": f"{self.url}/api/labels?task_id={task.id}"},
        }
        if task.data is not None:
            payload |= {
                "data_chunk_size": 72 if task.frames else None,
                "data_compressed_chunk_type": "imageset",
                "data_original_chunk_type": "imageset",
                "size": len(task.frames),
                "image_quality": task.data.quality,
                "data": task.data.id,
            }
        return payload

    def job_json(self, job: Job) -> dict[str, Any]:
        task = self.tasks[job.task]
        return {
            "url": f"{self.url}/api/jobs/{job.id}",
            "id": job.id,
            "task_id": job.task,
            "project_id": task.project,
            "assignee": self.basic_user(job.assignee),
            "guide_id": None,
            "dimension": "2d",
            "bug_tracker": "",
            "status": job.status,
            "stage": job.stage,
            "state": job.state,
            "mode": "annotation",
            "frame_count": job.stop - job.start + 1,
            "start_frame": job.start,
            "stop_frame": job.stop,
            "data_chunk_size": 72,
            "data_compressed_chunk_type": "imageset",
            "created_date": job.created,
            "updated_date": job.updated,
            "issues": {"url": f"{self.url}/api/issues?job_id={job.id}", "count": 0},
            "labels": {"url": f"{self.url}/api/labels?job_id={job.id}"},
            "type": "annotation",
            "organization": task.organization,
            "target_storage": None,
            "source_storage": None,
        }

    def label_json(self, label: Label, project: int | None, task: int | None) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "id": label.id,
            "name": label.name,
            "color": label.color,
            "attributes": label.attributes,
            "type": label.type,
            "sublabels": [],
            "parent_id": None,
            "has_parent": False,
        }
        return payload | ({"project_id": project} if project is not None else {"task_id": task})

    def webhook_json(self, webhook: Webhook) -> dict[str, Any]:
        settings = webhook.settings
        return {
            "id": webhook.id,
            "url": f"{self.url}/api/webhooks/{webhook.id}",
            "target_url": settings["target_url"],
            "description": settings.get("description", ""),
            "type": settings["type"],
            "content_type": "application/json",
            "is_active": settings.get("is_active", True),
            "enable_ssl": settings.get("enable_ssl", True),
            "created_date": webhook.created,
            "updated_date": now(),
            "owner": self.basic_user(webhook.owner),
            "project_id": settings.get("project_id"),
            "organization": settings.get("organization"),
            "events": sorted(settings["events"]),
        }

    def labels_from(self, payload: Any) -> list[Label]:
        """As strict as CVAT: duplicate and blank names are refused, a type or a colour of any kind is not."""
        check_labels(payload)
        names = [label["name"] for label in payload]
        if len(set(names)) < len(names):
            raise Refusal(400, ["All label names must be unique"])
        return [self._label(label) for label in payload]

    def change_label(self, project: Project, payload: dict[str, Any]) -> None:
        """A label with its id: name, colour and type are set, attributes are added, or changed by their names."""
        (label,) = [label for label in project.labels if label.id == payload["id"]] or [None]
        if label is None:
            raise Refusal(404, {"detail": f"Not found label with id #{payload['id']} to change"})
        label.name = payload.get("name") or label.name
        label.color = payload.get("color") or label.color
        label.type = payload.get("type") or label.type
        sent = self._label({"name": label.name, "attributes": payload.get("attributes")}).attributes
        for attribute in sent:
            existing = next((own for own in label.attributes if own["name"] == attribute["name"]), None)
            if existing is None:
                label.attributes.append(attribute)
            else:
                existing.update({**attribute, "id": existing["id"]})

    def _label(self, payload: dict[str, Any]) -> Label:
        attributes = []
        for attribute in payload.get("attributes") or []:
            for key in ("name", "mutable", "input_type", "values"):
                if key not in attribute:
                    raise Refusal(400, {"labels": [{"attributes": [{key: ["This field is required."]}]}]})
            attributes.append(
                {
                    "id": self.next_id("attribute"),
                    "name": attribute["name"],
                    "mutable": attribute["mutable"],
                    "input_type": attribute["input_type"],
                    "default_value": attribute.get("default_value", ""),
                    "values": attribute["values"] or [""],
                }
            )
        id = self.next_id("label")
        return Label(id, payload["name"], payload.get("color") or "#c06060", payload.get("type") or "any", attributes)


def check_labels(payload: Any) -> None:
    """Validation that CVAT does before it creates anything."""
    if not isinstance(payload, list):
        raise Refusal(400, {"labels": ['Expected a list of items but got type "str".']})
    faults = [{} if label.get("name") else {"name": ["This field may not be blank."]} for label in payload]
    if any(faults):
        raise Refusal(400, {"labels": faults})
