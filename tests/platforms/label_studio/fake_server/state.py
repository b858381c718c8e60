"""What the stand-in keeps: projects, tasks, files, annotations, and the rules by which it counts them."""

from __future__ import annotations

import base64
import itertools
import json
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree


class Refused(Exception):
    """An answer with an error. `faults` are those of fields."""

    def __init__(self, status: int, detail: str, faults: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.faults = status, detail, faults


class NoRoute(Exception):
    """A page of HTML with status 404: there is no such call, or Enterprise alone has it."""


def not_found(kind: str) -> Refused:
    return Refused(404, f"No {kind} matches the given query.")


def invalid(**faults: list[Any]) -> Refused:
    return Refused(400, "Validation error", faults)


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _jwt(**claims: Any) -> str:
    """A token of the form of the server's own ones; nobody checks its signature."""
    whole = {**claims, "iat": int(time.time()), "jti": secrets.token_hex(16)}
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, whole))
    payload = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return f"{payload}.{secrets.token_urlsafe(32)}"


@dataclass
class User:
    id: int
    email: str
    password: str = "PASSWORD"
    legacy: str = field(default_factory=lambda: secrets.token_hex(20))
    name: str = ""

    def short(self) -> dict[str, Any]:
        return {"id": self.id, "first_name": self.name, "last_name": "", "email": self.email, "avatar": None}

    def whole(self) -> dict[str, Any]:
        return {
            **self.short(),
            "username": self.name.lower(),
            "last_activity": now(),
            "custom_hotkeys": {},
            "initials": "ow",
            "phone": "",
            "active_organization": 1,
            "active_organization_meta": {"title": "Label Studio", "email": "owner@example.com"},
            "allow_newsletters": None,
            "date_joined": now(),
        }


@dataclass
class Annotation:
    id: int
    task: int
    result: list[Any]
    completed_by: int
    updated_by: int | None
    was_cancelled: bool = False
    ground_truth: bool = False
    lead_time: float | None = None
    unique_id: str = ""
    parent_prediction: int | None = None
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)


@dataclass
class Draft:
    id: int
    task: int
    user: int
    result: list[Any]
    lead_time: float | None = None
    created_at: str = field(default_factory=now)


@dataclass
class Prediction:
    id: int
    task: int
    result: list[Any]
    model_version: str = ""
    score: float | None = None
    created_at: str = field(default_factory=now)


@dataclass
class Task:
    id: int
    project: int
    data: dict[str, Any]
    meta: dict[str, Any]
    inner_id: int
    file: int | None = None
    storage_filename: str | None = None
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)


@dataclass
class File:
    id: int
    project: int
    path: str
    """upload/PROJECT/HEX-NAME"""
    content: bytes


@dataclass
class Export:
    id: int
    project: int
    title: str
    content: bytes
    md5: str
    tasks: int
    conversions: list[str] = field(default_factory=list)
    created_at: str = field(default_factory=now)


DEFAULTS: dict[str, Any] = {
    "description": "",
    "expert_instruction": "",
    "show_instruction": False,
    "show_skip_button": True,
    "enable_empty_annotation": True,
    "show_annotation_history": False,
    "color": "#FFFFFF",
    "maximum_annotations": 1,
    "is_published": False,
    "model_version": "",
    "is_draft": False,
    "min_annotations_to_start_training": 0,
    "start_training_on_annotation_update": False,
    "show_collab_predictions": True,
    "sampling": "Sequential sampling",
    "show_ground_truth_first": False,
    "annotator_evaluation_enabled": False,
    "show_overlap_first": False,
    "overlap_cohort_percentage": 100,
    "task_data_login": None,
    "task_data_password": None,
    "evaluate_predictions_automatically": False,
    "skip_queue": "REQUEUE_FOR_OTHERS",
    "reveal_preannotations_interactively": False,
    "pinned_at": None,
}
"""What a project may be created and changed with, besides title and label_config."""
SKIP_QUEUES = ("REQUEUE_FOR_OTHERS", "REQUEUE_FOR_ME", "IGNORE_SKIPPED")


@dataclass
class Project:
    id: int
    title: str
    label_config: str
    settings: dict[str, Any]
    created_by: int | None
    created_at: str = field(default_factory=now)


class World:
    """Everything on one server. Its lock is held while a request is answered."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users = {1: User(1, "owner@example.com")}
        self.projects: dict[int, Project] = {}
        self.tasks: dict[int, Task] = {}
        self.files: dict[int, File] = {}
        self.annotations: dict[int, Annotation] = {}
        self.drafts: dict[int, Draft] = {}
        self.predictions: dict[int, Prediction] = {}
        self.exports: dict[int, Export] = {}
        self.webhooks: dict[int, dict[str, Any]] = {}
        self.storages: dict[int, dict[str, Any]] = {}
        self.storage_files: dict[str, list[str]] = {}
        """Names of files by the path of a local folder on the server."""
        self.api_tokens = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": False}
        self.pats: dict[str, int] = {}
        """Personal access tokens, and whose they are."""
        self.access: dict[str, tuple[int, float]] = {}
        """Access tokens: whose they are, and until when they are good."""
        self.access_seconds = 300.0
        self.guards_addresses = True
        """Whether webhooks to private addresses are refused."""
        self.doubles_creations = False
        """As SQLite does to two creations at once: the next creation makes two projects."""
        self._counters: dict[str, Iterator[int]] = {}

    def next_id(self, kind: str) -> int:
        return next(self._counters.setdefault(kind, itertools.count(1)))

    # Tokens

    def make_pat(self, user: int = 1) -> str:
        pat = _jwt(token_type="refresh", exp=int(time.time()) + 200 * 365 * 86_400, user_id=user)
        self.pats[pat] = user
        return pat

    def refresh(self, pat: object) -> str:
        if not isinstance(pat, str) or pat not in self.pats:
            raise Refused(401, "Token is invalid")
        ends = time.time() + self.access_seconds
        token = _jwt(token_type="access", exp=int(ends), user_id=self.pats[pat])
        self.access[token] = (self.pats[pat], ends)
        return token

    def user_of(self, authorization: str) -> User:
        kind, _, token = authorization.partition(" ")
        if kind == "Token":
            user = next((user for user in self.users.values() if user.legacy == token), None)
            if user is None:
                raise Refused(401, "Invalid token.")
            if not self.api_tokens["legacy_api_tokens_enabled"]:
                raise Refused(
                    401,
                    "Authentication token no longer valid: legacy token authentication has been disabled for this "
                    "organization",
                )
            return user
        number, ends = self.access.get(token, (0, 0.0)) if kind == "Bearer" else (0, 0.0)
        if time.time() >= ends:
            raise Refused(401, "Authentication credentials were not provided.")
        return self.users[number]

    # Look-ups

    def project(self, number: int) -> Project:
        if number not in self.projects:
            raise not_found("Project")
        return self.projects[number]

    def task(self, number: int) -> Task:
        if number not in self.tasks:
            raise not_found("Task")
        return self.tasks[number]

    def tasks_of(self, project: int) -> list[Task]:
        return [task for _, task in sorted(self.tasks.items()) if task.project == project]

    def annotations_of(self, task: int) -> list[Annotation]:
        return [annotation for _, annotation in sorted(self.annotations.items()) if annotation.task == task]

    def drafts_of(self, task: int) -> list[Draft]:
        return [draft for draft in self.drafts.values() if draft.task == task]

    def predictions_of(self, task: int) -> list[Prediction]:
        return [prediction for prediction in self.predictions.values() if prediction.task == task]

    # Rules

    def is_labeled(self, task: Task) -> bool:
        """As many different people as the overlap says; with IGNORE_SKIPPED a skip counts, too."""
        settings = self.projects[task.project].settings
        ignores = settings["skip_queue"] == "IGNORE_SKIPPED"
        entries = self.annotations_of(task.id)
        people = {entry.completed_by for entry in entries if ignores or not entry.was_cancelled}
        return len(people) >= settings["maximum_annotations"]

    def counters(self, project: int) -> dict[str, int]:
        tasks = self.tasks_of(project)
        entries = [entry for task in tasks for entry in self.annotations_of(task.id)]
        kept = [entry for entry in entries if not entry.was_cancelled]
        skipped = Counter(entry.task for entry in entries if entry.was_cancelled)
        finished = sum(map(self.is_labeled, tasks))
        return {
            "task_number": len(tasks),
            "finished_task_number": finished,
            "num_tasks_with_annotations": len({entry.task for entry in kept if not entry.ground_truth}),
            "useful_annotation_number": sum(not entry.ground_truth for entry in kept),
            "ground_truth_number": sum(entry.ground_truth for entry in kept),
            "skipped_annotations_number": skipped.total(),
            "total_annotations_number": len(kept),
            "total_predictions_number": sum(len(self.predictions_of(task.id)) for task in tasks),
            "queue_total": len(tasks),
            "queue_done": sum(self.is_labeled(task) or task.id in skipped for task in tasks),
        }

    def delete_task(self, task: int) -> None:
        del self.tasks[task]
        for table in (self.annotations, self.drafts, self.predictions):
            for number in [number for number, item in table.items() if item.task == task]:  # type: ignore[attr-defined]
                del table[number]  # type: ignore[attr-defined]


# Labeling configurations


def controls(config: str) -> dict[str, tuple[str, str]]:
    """The controls of a configuration by name: type of their regions, and where they lead. Raises Refused."""
    try:
        root = ElementTree.fromstring(config)
    except ElementTree.ParseError as error:
        raise invalid(label_config=[str(error).replace("not well-formed (invalid token)", "unclosed token")]) from None
    names = [element.get("name") for element in root.iter() if element.get("name")]
    if len(set(names)) != len(names):
        raise invalid(label_config=["Label config contains non-unique names"])
    found: dict[str, tuple[str, str]] = {}
    for element in root.iter():
        target = element.get("toName")
        if target is None:
            continue
        if target not in names:
            raise invalid(label_config=[f'toName="{target}" not found in names: {names}'])
        found[element.get("name", "")] = (element.tag.lower(), target)
    return found


def data_keys(config: str) -> list[str]:
    """Fields that the data of every task needs: those that a tag with a name shows."""
    root = ElementTree.fromstring(config)
    values = [element.get("value", "") for element in root.iter() if element.get("name")]
    return [value[1:] for value in values if re.fullmatch(r"\$\w+", value)]


def parsed(config: str) -> dict[str, Any]:
    """`parsed_label_config` as the server tells it."""
    root, result = ElementTree.fromstring(config), {}
    for element in root.iter():
        if element.get("toName") is None:
            continue
        labels = [item.get("value", "") for item in element]
        attributes = {item.get("value", ""): dict(item.attrib) for item in element}
        inputs = [{"type": "Image", "valueType": None, "value": "image"}]
        result[element.get("name", "")] = {
            "type": element.tag,
            "to_name": [element.get("toName")],
            "inputs": inputs,
            "labels": labels,
            "labels_attrs": attributes,
        }
    return result
