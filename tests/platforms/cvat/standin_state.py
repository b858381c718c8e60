"""What the stand-in for CVAT keeps: users, organizations, projects, tasks, jobs, annotations; and their JSON.

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
    """An answer that is no success. `body` of None: an HTML page, as the web framework shows for faults of its own."""

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
    said: dict[str, Any]
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
        made = Organization(self.next_id("organization"), slug, owner.id, name or slug, {owner.id: "owner"})
        for member, role in members.items():
            made.members[self.named(member).id] = role
        self.organizations[made.id] = made
        return made

    def named(self, name: str) -> User:
        return next(user for user in self.users.values() if user.name == name)

    def labels_of(self, task: Task) -> list[Label]:
        return self.projects[task.project].labels if task.project is not None else task.labels

    def jobs_of(self, task: int) -> list[Job]:
        return sorted((job for job in self.jobs.values() if job.task == task), key=lambda job: job.id)

    # JSON

    def basic(self, id: int | None) -> dict[str, Any] | None:
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

    def whole_user(self, id: int) -> dict[str, Any]:
        told = self.basic(id) or {}
        return told | {
            "email": self.users[id].email,
            "groups": ["user"],
            "is_staff": False,
            "is_superuser": False,
            "is_active": True,
            "last_login": now(),
            "date_joined": now(),
        }

    def project_json(self, one: Project) -> dict[str, Any]:
        tasks = [task for task in self.tasks.values() if task.project == one.id]
        return {
            "url": f"{self.url}/api/projects/{one.id}",
            "id": one.id,
            "name": one.name,
            "owner": self.basic(one.owner),
            "assignee": self.basic(one.assignee),
            "guide_id": one.guide,
            "bug_tracker": "",
            "created_date": one.created,
            "updated_date": one.updated,
            "status": "annotation",
            "dimension": "2d" if tasks else None,
            "organization": one.organization,
            "target_storage": None,
            "source_storage": None,
            "tasks": {"count": len(tasks), "url": f"{self.url}/api/tasks?project_id={one.id}"},
            "labels": {"url": f"{self.url}/api/labels?project_id={one.id}"},
            "task_subsets": sorted({task.subset for task in tasks if task.subset}),
        }

    def task_json(self, one: Task) -> dict[str, Any]:
        jobs = self.jobs_of(one.id)
        accepted = [job for job in jobs if job.stage == "acceptance" and job.state == "completed"]
        told: dict[str, Any] = {
            "url": f"{self.url}/api/tasks/{one.id}",
            "id": one.id,
            "name": one.name,
            "project_id": one.project,
            "mode": "annotation" if one.frames else "",
            "owner": self.basic(one.owner),
            "assignee": self.basic(one.assignee),
            "bug_tracker": one.bug_tracker,
            "created_date": one.created,
            "updated_date": one.updated,
            "overlap": one.overlap,
            "segment_size": one.segment_size,
            "status": "completed" if jobs and len(accepted) == len(jobs) else "annotation",
            "guide_id": None,
            "dimension": "2d",
            "subset": one.subset,
            "organization": one.organization,
            "target_storage": None,
            "source_storage": None,
            "jobs": {
                "count": len(jobs),
                "completed": len(accepted),
                "validation": len([job for job in jobs if job.stage == "validation"]),
                "url": f"{self.url}/api/jobs?task_id={one.id}",
            },
            "labels": {"url": f"{self.url}/api/labels?task_id={one.id}"},
        }
        if one.data is not None:
            told |= {
                "data_chunk_size": 72 if one.frames else None,
                "data_compressed_chunk_type": "imageset",
                "data_original_chunk_type": "imageset",
                "size": len(one.frames),
                "image_quality": one.data.quality,
                "data": one.data.id,
            }
        return told

    def job_json(self, one: Job) -> dict[str, Any]:
        task = self.tasks[one.task]
        return {
            "url": f"{self.url}/api/jobs/{one.id}",
            "id": one.id,
            "task_id": one.task,
            "project_id": task.project,
            "assignee": self.basic(one.assignee),
            "guide_id": None,
            "dimension": "2d",
            "bug_tracker": "",
            "status": one.status,
            "stage": one.stage,
            "state": one.state,
            "mode": "annotation",
            "frame_count": one.stop - one.start + 1,
            "start_frame": one.start,
            "stop_frame": one.stop,
            "data_chunk_size": 72,
            "data_compressed_chunk_type": "imageset",
            "created_date": one.created,
            "updated_date": one.updated,
            "issues": {"url": f"{self.url}/api/issues?job_id={one.id}", "count": 0},
            "labels": {"url": f"{self.url}/api/labels?job_id={one.id}"},
            "type": "annotation",
            "organization": task.organization,
            "target_storage": None,
            "source_storage": None,
        }

    def label_json(self, one: Label, project: int | None, task: int | None) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": one.id,
            "name": one.name,
            "color": one.color,
            "attributes": one.attributes,
            "type": one.type,
            "sublabels": [],
            "parent_id": None,
            "has_parent": False,
        }
        return told | ({"project_id": project} if project is not None else {"task_id": task})

    def webhook_json(self, one: Webhook) -> dict[str, Any]:
        said = one.said
        return {
            "id": one.id,
            "url": f"{self.url}/api/webhooks/{one.id}",
            "target_url": said["target_url"],
            "description": said.get("description", ""),
            "type": said["type"],
            "content_type": "application/json",
            "is_active": said.get("is_active", True),
            "enable_ssl": said.get("enable_ssl", True),
            "created_date": one.created,
            "updated_date": now(),
            "owner": self.basic(one.owner),
            "project_id": said.get("project_id"),
            "organization": said.get("organization"),
            "events": sorted(said["events"]),
        }

    def labels_from(self, said: Any) -> list[Label]:
        """As strict as CVAT: duplicate and blank names are refused, a type or a colour of any kind is not."""
        check_labels(said)
        names = [one["name"] for one in said]
        if len(set(names)) < len(names):
            raise Refusal(400, ["All label names must be unique"])
        return [self._label(one) for one in said]

    def _label(self, said: dict[str, Any]) -> Label:
        attributes = []
        for one in said.get("attributes") or []:
            for key in ("name", "mutable", "input_type", "values"):
                if key not in one:
                    raise Refusal(400, {"labels": [{"attributes": [{key: ["This field is required."]}]}]})
            attributes.append(
                {
                    "id": self.next_id("attribute"),
                    "name": one["name"],
                    "mutable": one["mutable"],
                    "input_type": one["input_type"],
                    "default_value": one.get("default_value", ""),
                    "values": one["values"] or [""],
                }
            )
        id = self.next_id("label")
        return Label(id, said["name"], said.get("color") or "#c06060", said.get("type") or "any", attributes)


def check_labels(said: Any) -> None:
    """What is looked at before anything is made."""
    if not isinstance(said, list):
        raise Refusal(400, {"labels": ['Expected a list of items but got type "str".']})
    faults = [{} if one.get("name") else {"name": ["This field may not be blank."]} for one in said]
    if any(faults):
        raise Refusal(400, {"labels": faults})
