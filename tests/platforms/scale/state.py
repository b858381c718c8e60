"""State of the fake Scale server, as strict as the contract: projects, batches, tasks and files of one key mode.

Nothing here knows HTTP: verbs take and give JSON, and raise Answer for everything that is not 200. Live tasks wait for
`complete`, `recall`, `fail`, `review`; tasks of the test mode complete at once with made-up labels, as Scale's do.
"""

from __future__ import annotations

import base64
import bisect
import itertools
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]
Query = Mapping[str, Sequence[str]]

REQUIRED = {
    "annotation": ("attachment", "objects_to_annotate"),
    "audiotranscription": ("attachment",),
    "categorization": ("attachment", "categories"),
    "comparison": ("attachments",),
    "cuboidannotation": ("attachment",),
    "datacollection": ("attachment", "fields"),
    "documentmodel": ("attachment",),
    "documenttranscription": ("attachment", "features"),
    "imageannotation": ("attachment", "geometries"),
    "laneannotation": ("attachment",),
    "lineannotation": ("attachment", "objects_to_annotate"),
    "namedentityrecognition": ("text", "labels"),
    "pointannotation": ("attachment", "objects_to_annotate"),
    "polygonannotation": ("attachment", "objects_to_annotate"),
    "segmentannotation": ("attachment", "labels"),
    "textcollection": ("fields",),
    "transcription": ("attachment", "fields"),
    "videoannotation": ("attachment", "geometries"),
    "videoboxannotation": ("attachment", "objects_to_annotate"),
    "videocuboidannotation": ("attachment",),
}
NOT_ENABLED = frozenset(
    {
        "chat",
        "chatexperimental",
        "chatlite",
        "federal2dvideoannotation",
        "lidarannotation",
        "lidarlinking",
        "lidarsegmentation",
        "lidartopdown",
        "multichat",
        "multistage",
        "sensorfusion",
        "videoplaybackannotation",
    }
)
"""Together with those above: every type that Scale's client can name, then and now."""
TOP = frozenset({"callback_url", "instruction", "project", "batch", "metadata", "unique_id", "tags"})
TASK_FILTERS = frozenset(
    {
        "start_time",
        "end_time",
        "status",
        "type",
        "project",
        "batch",
        "limit",
        "completed_before",
        "completed_after",
        "next_token",
        "customer_review_status",
        "tags",
        "updated_before",
        "updated_after",
        "unique_id",
        "include_attachment_url",
        "limited_response",
    }
)
BATCH_FILTERS = frozenset(["start_time", "end_time", "exclude_archived", "status", "project", "limit", "offset"])
GEOMETRIES = frozenset({"box", "polygon", "line", "point", "cuboid", "ellipse"})
REVIEWS = frozenset({"pending", "accepted", "fixed", "rejected", "commented"})
LARGEST_FILE = 80_000_000
ROLES = frozenset({"labeler", "member", "manager", "admin"})


class Answer(Exception):
    """Anything but 200: `{"status_code": ..., "error": ...}`."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(status, error)
        self.status, self.error = status, error


def bad(error: str) -> Answer:
    return Answer(400, error)


class State:
    """One account in one mode. `attachment` answers the HTTP status with which Scale's fetching of an address ends."""

    def __init__(self, *, test: bool) -> None:
        self.test = test
        self.projects: dict[str, Json] = {}
        self.batches: dict[str, Json] = {}
        self.tasks: dict[str, Json] = {}
        self.files: dict[str, Json] = {}
        self.unique_ids: dict[str, str] = {}
        self.teammates: dict[str, Json] = {}
        """By their e-mail address; an account has at least its owner."""
        self._join("owner@customer.example", "admin")
        self.finalized: list[str] = []
        """Names, repeated for each call."""
        self.attachment: Callable[[str], int] = lambda url: 200
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._of_batch: dict[str, list[str]] = {}
        self._order: list[str] = []
        self._numbers = itertools.count(1)
        self._references: set[str] = set()
        self._version = 0
        self._seen: dict[Any, tuple[int, list[str]]] = {}
        self.lock = threading.RLock()

    # Projects

    def create_project(self, body: Json) -> Json:
        name, kind = _text(body, "name"), _text(body, "type")
        if kind not in REQUIRED and kind not in NOT_ENABLED:
            raise bad(f'"{kind}" is no type of task')
        if name in self.projects:
            raise Answer(409, f'A project with name "{name}" already exists.')
        params = body.get("params") or {}
        history = [self._version_of(params, 0)] if params else []
        project = {"type": kind, "name": name, "param_history": history, "created_at": self._now()}
        project |= {flag: True for flag in ("rapid", "studio") if body.get(flag)}
        self.projects[name] = project
        return project

    def project(self, name: str) -> Json:
        if name not in self.projects:
            raise Answer(404, f'There is no project "{name}".')
        return self.projects[name]

    def set_params(self, name: str, body: Json) -> Json:
        project = self.project(name)
        params = {key: value for key, value in body.items() if key != "patch"}
        history = project["param_history"]
        if body.get("patch") and history:
            kept = {key: value for key, value in history[-1].items() if key not in ("version", "created_at")}
            params = kept | params
        history.append(self._version_of(params, len(history)))
        return project

    def _version_of(self, params: Json, number: int) -> Json:
        return {**params, "version": number, "created_at": self._now()}

    # Batches

    def create_batch(self, body: Json) -> Json:
        name, project = _text(body, "name"), self.projects.get(_text(body, "project"))
        if project is None:
            raise bad(f'There is no project "{body["project"]}".')
        if name in self.batches:
            raise Answer(409, f'A batch with name "{name}" already exists.')
        _check_callback(body.get("callback"))
        waits = bool(project.get("rapid") or project.get("studio"))
        self.batches[name] = batch = {
            "name": name,
            "project": project["name"],
            "status": "staging" if waits else "in_progress",
            "created_at": self._now(),
            "metadata": _object(body.get("metadata") or {}, "metadata"),
            "callback": body.get("callback") or "",
        }
        self._of_batch[name] = []
        return batch

    def batch(self, name: str) -> Json:
        if name not in self.batches:
            raise Answer(404, f'There is no batch "{name}".')
        return self.batches[name]

    def finalize(self, name: str) -> Json:
        batch = self.batch(name)
        self.finalized.append(name)
        if batch["status"] == "staging":
            batch["status"] = "in_progress"
            self._settle(name)
        return batch

    def batch_status(self, name: str) -> Json:
        batch, counts = self.batch(name), {}
        for task in self._of_batch[name]:
            status = self.tasks[task]["status"]
            counts[status] = counts.get(status, 0) + 1
        return {"status": batch["status"], **counts}

    def list_batches(self, query: Query) -> Json:
        _known(query, BATCH_FILTERS)
        limit, offset = _limit(query), _whole(query, "offset", 0)
        start, end = _moment(query, "start_time"), _moment(query, "end_time")
        batches = [
            batch
            for batch in reversed(self.batches.values())
            if _is(batch, query, "project", "status") and _between(batch["created_at"], start, end)
        ]
        docs = batches[offset : offset + limit]
        more = offset + limit < len(batches)
        return {"docs": docs, "totalDocs": len(batches), "limit": limit, "offset": offset, "has_more": more}

    def set_batch_metadata(self, name: str, body: Any) -> Json:
        self.batch(name)["metadata"] = _object({} if body is None else body, "metadata")
        return self.batch(name)

    # Tasks

    def create_task(self, kind: str, body: Json) -> Json:
        if kind in NOT_ENABLED:
            raise Answer(402, f"Tasks of type {kind} are not enabled for this account.")
        if kind not in REQUIRED:
            raise bad(f'"{kind}" is no type of task')
        missing = [name for name in REQUIRED[kind] if not body.get(name)]
        if missing:
            raise bad(f"Missing required parameter: {missing[0]}")
        self._check_params(kind, body)
        unique = body.get("unique_id")
        if unique is not None:
            if not isinstance(unique, str) or not unique:
                raise bad("unique_id must be a text")
            self._refuse_taken(unique)
        project = self._project_of(kind, body)
        now, id = self._now(), f"{next(self._numbers):024x}"
        task: Json = {
            "task_id": id,
            "type": kind,
            "status": "pending",
            "created_at": now,
            "updated_at": now,
            "instruction": body.get("instruction", ""),
            "callback_url": body.get("callback_url", ""),
            "params": {key: value for key, value in body.items() if key not in TOP},
            "metadata": _object(body.get("metadata") or {}, "metadata"),
            "is_test": self.test,
        }
        task |= {"project": project} if project else {}
        task |= {key: body[key] for key in ("batch", "unique_id", "tags") if body.get(key)}
        self.tasks[id] = task
        self._order.append(id)
        if unique:
            self.unique_ids[unique] = id
        if body.get("batch"):
            self._of_batch[body["batch"]].append(id)
            if self.batches[body["batch"]]["status"] == "completed":
                self.batches[body["batch"]]["status"] = "in_progress"
        self._version += 1
        created = dict(task)
        self._take_attachment(task)
        # A task of the test mode is answered as it was made, pending; whoever reads it afterwards finds it completed.
        return created if self.test else self.task(id)

    def _check_params(self, kind: str, body: Json) -> None:
        _check_callback(body.get("callback_url"))
        attachment = body.get("attachment")
        if attachment is not None:
            if not isinstance(attachment, str) or not re.match(r"(https?|s3|gs|scaledata)://.", attachment):
                raise bad("attachment must be a URL")
            if attachment.startswith("scaledata://") and attachment not in self.files:
                raise bad("attachment names a file that does not exist")
        if kind == "imageannotation":
            geometries = _object(body["geometries"], "geometries")
            for name, geometry in geometries.items():
                if name not in GEOMETRIES:
                    raise bad(f'"{name}" is no geometry')
                if not _object(geometry, name).get("objects_to_annotate"):
                    raise bad(f"geometries.{name}.objects_to_annotate is empty")
        if kind == "categorization" and not all(isinstance(category, str | dict) for category in body["categories"]):
            raise bad("categories must be a list of texts")

    def _project_of(self, kind: str, body: Json) -> str | None:
        name, batch = body.get("project"), body.get("batch")
        if batch is not None:
            if batch not in self.batches:
                raise bad(f'There is no batch "{batch}".')
            project_name = self.batches[batch]["project"]
            if name is not None and name != project_name:
                raise bad(f'Batch "{batch}" belongs to project "{project_name}".')
            name = project_name
        if name is None:
            return None
        project = self.projects.get(name)
        if project is None:
            raise bad(f'There is no project "{name}".')
        if project["type"] != kind:
            raise bad(f'Project "{name}" is of type {project["type"]}.')
        if project.get("rapid") and batch is None:
            raise bad("Tasks of Rapid projects need a batch.")
        waits = project.get("rapid") or project.get("studio")
        if batch is not None and waits and self.batches[batch]["status"] != "staging":
            raise bad(f'Batch "{batch}" is finalized: no task can be added.')
        return str(name)

    def _take_attachment(self, task: Json) -> None:
        url = task["params"].get("attachment")
        status = self.attachment(url) if isinstance(url, str) and url.startswith("http") else 200
        if status != 200:
            problem = {"error": "One or more attachments could not be downloaded."}
            self._end(task, "error", {**problem, "attachments": [{"statusCode": status, "url": url}]})
        elif self.test:
            self._end(task, "completed", made_up(task))

    def task(self, id: str) -> Json:
        if id not in self.tasks:
            raise Answer(404, f'There is no task "{id}".')
        return self.tasks[id]

    def cancel(self, id: str, query: Query) -> Json:
        task = self.task(id)
        if task["status"] != "pending":
            raise bad(f"The task is {task['status']} and cannot be cancelled.")
        self._end(task, "canceled", None)
        if query.get("clear_unique_id") == ["true"]:
            self.clear_unique_id(id)
        return task

    def set_unique_id(self, id: str, body: Json) -> Json:
        task, unique = self.task(id), _text(body, "unique_id")
        self._refuse_taken(unique, id)
        self.clear_unique_id(id)
        self.unique_ids[unique] = id
        task["unique_id"] = unique
        return task

    def clear_unique_id(self, id: str) -> Json:
        task = self.task(id)
        self.unique_ids.pop(task.pop("unique_id", ""), None)
        self._version += 1
        return task

    def _refuse_taken(self, unique: str, by: str = "") -> None:
        other = self.unique_ids.get(unique)
        if other is not None and other != by:
            raise Answer(409, f'The unique_id ("{unique}") is already used for a different task ({other}).')

    def set_task_metadata(self, id: str, body: Any) -> Json:
        # A new object: what was answered before stays as it was.
        self.tasks[id] = {**self.task(id), "metadata": _object({} if body is None else body, "metadata")}
        return self.tasks[id]

    def set_tags(self, id: str, method: str, body: Any) -> Json:
        task, body = self.task(id), [] if body is None else body  # Scale's client sends no body for an empty list
        if not isinstance(body, list) or not all(isinstance(tag, str) for tag in body):
            raise bad("tags must be a list of texts")
        old = task.pop("tags", [])
        kept = {"POST": [], "PUT": old, "DELETE": [tag for tag in old if tag not in body]}[method]
        tags = kept + [tag for tag in body if method != "DELETE" and tag not in kept]
        task |= {"tags": tags} if tags else {}
        self._version += 1
        return task

    def audit(self, id: str, body: Json) -> Json:
        task = self.task(id)
        if task["status"] != "completed":
            raise bad("Only completed tasks can be audited.")
        if not isinstance(body.get("accepted"), bool):
            raise bad("accepted must be true or false")
        self.review(id, "accepted" if body["accepted"] else "rejected")
        return task

    def list_tasks(self, query: Query) -> Json:
        _known(query, TASK_FILTERS)
        limit, after = _limit(query), _token(query)
        ids = self._found(query)
        first = 0 if after is None else bisect.bisect_right(ids, -after, key=lambda id: -int(id, 16))
        docs = ids[first : first + limit]
        more = first + limit < len(ids)
        page: Json = {"docs": [self.tasks[id] for id in docs], "total": len(ids), "limit": limit, "offset": 0}
        page["has_more"] = more
        return page | ({"next_token": base64.b64encode(docs[-1].encode()).decode()} if more else {})

    def _found(self, query: Query) -> list[str]:
        """Ids, the newest first."""
        filters = {key: tuple(query[key]) for key in query if key not in ("limit", "next_token")}
        key = tuple(sorted(filters.items()))
        version, matches = self._seen.get(key, (-1, []))
        if version == self._version:
            return matches
        bounds = {name: (_moment(query, a), _moment(query, b)) for name, a, b in _TIMES}
        reviews = {review for text in query.get("customer_review_status", ()) for review in text.split(",")}
        if reviews - REVIEWS:
            raise bad("customer_review_status is none")
        ids = self._of_batch.get(query["batch"][0], []) if query.get("batch") else self._order
        matches = [
            id
            for id in reversed(ids)
            if _is(self.tasks[id], query, "status", "type", "project", "unique_id")
            and (not reviews or self.tasks[id].get("customer_review_status") in reviews)
            and set(query.get("tags", ())) <= set(self.tasks[id].get("tags", ()))
            and all(_between(self.tasks[id].get(name), *both) for name, both in bounds.items())
        ]
        if len(self._seen) > 200:
            self._seen.clear()
        self._seen[key] = (self._version, matches)
        return matches

    # Files

    def upload(self, fields: Mapping[str, str], file: bytes | None) -> Json:
        if file is None:
            raise bad("Missing file")
        if len(file) > LARGEST_FILE:
            raise bad("The file has more than 80 MB.")
        return self._keep(fields, len(file))

    def import_file(self, body: Json) -> Json:
        if not re.match(r"https?://.", _text(body, "file_url")):
            raise bad("file_url must be a URL")
        return self._keep(body, 0)

    def _keep(self, fields: Mapping[str, Any], size: int) -> Json:
        name, reference = fields.get("project_name"), fields.get("reference_id")
        if name is not None and name not in self.projects:
            raise bad(f'There is no project "{name}".')
        if reference in self._references:
            raise Answer(409, f'A file with reference_id "{reference}" already exists.')
        if reference is not None:
            self._references.add(reference)
        id = f"{next(self._numbers):024x}"
        url = f"scaledata://{quote(str(name or 'account'), safe='')}/{id}"
        self.files[url] = {"id": id, "attachment_url": url, "size": size}
        return {"id": id, "attachment_url": url}

    # Teammates

    def invite(self, body: Json) -> list[Json]:
        emails, role = self._people(body)
        for email in emails:
            if email not in self.teammates:
                self._join(email, role)
        return list(self.teammates.values())

    def set_roles(self, body: Json) -> list[Json]:
        emails, role = self._people(body)
        unknown = [email for email in emails if email not in self.teammates]
        if unknown:
            raise bad(f"{unknown[0]} is no teammate")
        for email in emails:
            self.teammates[email]["role"] = role
        return list(self.teammates.values())

    def _people(self, body: Json) -> tuple[list[str], str]:
        emails, role = body.get("emails"), body.get("team_role")
        if (
            not isinstance(emails, list)
            or not emails
            or not all(isinstance(email, str) and "@" in email for email in emails)
        ):
            raise bad("emails must be a list of e-mail addresses")
        if role not in ROLES:
            raise bad("team_role is none")
        return emails, role

    def _join(self, email: str, role: str) -> None:
        self.teammates[email] = {"email": email, "role": role, "company": "customer", "isStudioLabeler": False}

    # What people at Scale, and the customer, do

    def complete(self, id: str, response: Any) -> Json:
        return self._end(self.task(id), "completed", response)

    def fail(self, id: str, status: int = 403) -> Json:
        task = self.task(id)
        attachments = [{"statusCode": status, "url": task["params"]["attachment"]}]
        response = {"error": "One or more attachments could not be downloaded.", "attachments": attachments}
        return self._end(task, "error", response)

    def recall(self, id: str) -> Json:
        task = self.task(id)
        task.pop("response", None)
        task.pop("completed_at", None)
        task |= {"status": "pending", "updated_at": self._now()}
        self._version += 1
        if "batch" in task and self.batches[task["batch"]]["status"] == "completed":
            self.batches[task["batch"]]["status"] = "in_progress"
        return task

    def review(self, id: str, review: str) -> None:
        assert review in REVIEWS
        self.task(id)["customer_review_status"] = review
        self._version += 1

    def _end(self, task: Json, status: str, response: Any) -> Json:
        now = self._now()
        task |= {"status": status, "updated_at": now, "completed_at": now}
        if response is not None:
            task["response"] = response
        self._version += 1
        if "batch" in task:
            self._settle(task["batch"])
        return task

    def _settle(self, name: str) -> None:
        """A batch that people may work on is completed when no task waits; it may hold errors."""
        batch, tasks = self.batches[name], self._of_batch[name]
        waits = batch["status"] == "staging" or not tasks
        # In test mode tasks complete one by one while more are added: there the batch stays as it is.
        if not waits and not self.test and all(self.tasks[id]["status"] != "pending" for id in reversed(tasks)):
            batch["status"] = "completed"

    def _now(self) -> str:
        return self.clock().isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


_TIMES = (
    ("created_at", "start_time", "end_time"),
    ("completed_at", "completed_after", "completed_before"),
    ("updated_at", "updated_after", "updated_before"),
)


def made_up(task: Json) -> Json:
    """What a task of the test mode is answered."""
    if task["type"] == "categorization":
        first = task["params"]["categories"][0]
        return {"category": first if isinstance(first, str) else first["choice"]}
    geometries = task["params"].get("geometries")
    if not isinstance(geometries, dict) or "box" not in geometries:
        return {"annotations": []}
    label = geometries["box"]["objects_to_annotate"][0]
    while isinstance(label, dict):
        label = label["subchoices"][0]
    box = {"type": "box", "label": label, "uuid": task["task_id"], "left": 1, "top": 2, "width": 5, "height": 4}
    return {"annotations": [box]}


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise bad(f"Missing required parameter: {name}")
    return value


def _object(value: Any, name: str) -> Json:
    if not isinstance(value, dict):
        raise bad(f"{name} must be an object")
    return value


def _check_callback(value: Any) -> None:
    if value and not (isinstance(value, str) and re.match(r"https?://.|[^@\s]+@[^@\s]+$", value)):
        raise bad("a callback is a URL or an e-mail address")


def _known(query: Query, names: frozenset[str]) -> None:
    unknown = set(query) - names
    if unknown:
        raise bad(f"Unknown parameter: {min(unknown)}")


def _whole(query: Query, name: str, default: int) -> int:
    text = query.get(name, [str(default)])[0]
    if not text.isdecimal():
        raise bad(f"{name} must be a number")
    return int(text)


def _limit(query: Query) -> int:
    limit = _whole(query, "limit", 100)
    if not 1 <= limit <= 100:
        raise bad("limit must be from 1 to 100")
    return limit


def _token(query: Query) -> int | None:
    if not query.get("next_token"):
        return None
    try:
        return int(base64.b64decode(query["next_token"][0], validate=True), 16)
    except ValueError:
        raise bad("next_token is none") from None


def _moment(query: Query, name: str) -> datetime | None:
    if not query.get(name):
        return None
    try:
        moment = datetime.fromisoformat(query[name][0])
    except ValueError:
        raise bad(f"{name} is no time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _between(text: str | None, start: datetime | None, end: datetime | None) -> bool:
    if start is None and end is None:
        return True
    if text is None:
        return False
    moment = datetime.fromisoformat(text)
    return (start is None or moment >= start) and (end is None or moment <= end)


def _is(thing: Json, query: Query, *names: str) -> bool:
    return all(not query.get(name) or thing.get(name) in query[name] for name in names)
