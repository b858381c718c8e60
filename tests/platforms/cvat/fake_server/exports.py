"""Routes for annotations, exports and requests of the fake CVAT server, with both APIs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .annotations import FORMATS, export, put, read
from .data import step
from .objects import get_job, get_project, get_task, page, respond
from .state import ExportWork, Job, Refusal, Task, now

if TYPE_CHECKING:
    from .server import FakeCvat, Request, Response

UNKNOWN = Refusal(400, ["Unknown format specified for the request"])


def formats(cvat: FakeCvat, request: Request) -> Response:
    items = [
        {"name": name, "ext": "ZIP", "version": name.rpartition(" ")[2], "enabled": True, "dimension": "2d"}
        for name in FORMATS
    ]
    return respond(200, {"importers": items, "exporters": items})


def annotations(cvat: FakeCvat, request: Request, kind_of_subject: str, number: str, kind: str) -> Response:
    state = cvat.state
    tasks, jobs = _subject(cvat, request, kind_of_subject, int(number))
    if request.method == "GET" and "format" in request.query:
        return _poll(cvat, request, kind_of_subject, int(number), kind)
    if kind == "dataset":
        raise Refusal(400, "Format is not specified")
    if request.method == "GET":
        if kind_of_subject == "tasks" and not tasks[0].frames:
            raise Refusal(400, "Exporting annotations from a task without data is not allowed")
        return respond(200, read(state, jobs))
    if request.method == "DELETE":
        for job in jobs:
            job.shapes, job.tags, job.tracks = {}, {}, {}
        return respond(204)
    action = request.query.get("action", "") if request.method == "PATCH" else "replace"
    if action not in ("create", "update", "delete", "replace"):
        raise Refusal(400, ["Please specify a correct 'action' for the request"])
    payload = request.json()
    result = (
        put(state, jobs[0], payload, action)
        if kind_of_subject == "jobs"
        else _put_into_jobs(cvat, jobs, payload, action)
    )
    for job in jobs:
        job.updated = now()
    cvat.send_event("update:job", tasks[0].project, {"job": state.job_json(jobs[0]), "before_update": {}}, request.me)
    return respond(200, result)


def _put_into_jobs(cvat: FakeCvat, jobs: list[Job], payload: dict[str, Any], action: str) -> dict[str, Any]:
    """Annotations of a task go to the jobs that hold the frames. Those in a job on a frame that is not one of its
    own cannot be changed that way."""
    result: dict[str, Any] = {"version": 0, "tags": [], "shapes": [], "tracks": []}
    for job in jobs:
        mine = {
            kind: [item for item in payload.get(kind) or [] if job.start <= item["frame"] <= job.stop]
            for kind in ("tags", "shapes", "tracks")
        }
        if any(mine.values()) or action == "replace":
            for kind, items in put(cvat.state, job, mine, action).items():
                if kind != "version":
                    result[kind] += items
    return result


def _subject(cvat: FakeCvat, request: Request, kind_of_subject: str, number: int) -> tuple[list[Task], list[Job]]:
    state = cvat.state
    if kind_of_subject == "jobs":
        job = get_job(state, request, number)
        return [state.tasks[job.task]], [job]
    if kind_of_subject == "tasks":
        tasks = [get_task(state, request, number)]
    else:
        get_project(state, request, number)
        tasks = sorted((task for task in state.tasks.values() if task.project == number), key=lambda task: task.id)
    return tasks, [job for task in tasks for job in state.jobs_of(task.id)]


# Exports


def _poll(cvat: FakeCvat, request: Request, kind_of_subject: str, number: int, kind: str) -> Response:
    """The way of 2.15: 202, then 201, then with action=download the file, once."""
    action, form = request.query.get("action", ""), request.query["format"]
    if form not in FORMATS:
        raise UNKNOWN
    if action not in ("", "download"):
        raise Refusal(400, ["Unexpected action specified for the request"])
    if not cvat.legacy_api and not (cvat.dialect == "requests" and action == "download"):
        raise Refusal(410, "This endpoint is no longer handled.")
    work = cvat.state.exports.get(_rq_id(request, kind_of_subject, number, kind))
    if action == "download":
        if work is None or work.file is None:
            if cvat.dialect == "requests":
                return respond(202, {"rq_id": _begin(cvat, request, kind_of_subject, number, kind).rq_id})
            raise Refusal(400, "Export has not finished")
        return _send_file(cvat, work, request.query.get("filename", work.filename))
    if work is None or work.expired:
        _begin(cvat, request, kind_of_subject, number, kind)
        return respond(202)
    _step(cvat, request, work)
    if work.state == "failed":  # told once
        del cvat.state.exports[work.rq_id]
        raise Refusal(500, work.message)
    return respond(201 if work.state == "finished" else 202)


def _send_file(cvat: FakeCvat, work: ExportWork, filename: str) -> Response:
    from .server import Response

    content = work.file
    assert content is not None
    del cvat.state.exports[work.rq_id]
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(200, content, headers, kind="application/zip")


def begin(cvat: FakeCvat, request: Request, kind_of_subject: str, number: str) -> Response:
    """The way of newer servers."""
    if request.method != "POST":
        raise Refusal(405, {"detail": f'Method "{request.method}" not allowed.'})
    if request.query.get("format") not in FORMATS:
        raise UNKNOWN
    if kind_of_subject == "projects" and cvat.forbid_project_exports:
        raise Refusal(403, {"detail": "You do not have permission to perform this action."})
    _subject(cvat, request, kind_of_subject, int(number))
    kind = "dataset" if request.query.get("save_images", "").lower() in ("true", "1") else "annotations"
    existing = cvat.state.exports.get(_rq_id(request, kind_of_subject, int(number), kind))
    if existing is not None:
        _step(cvat, request, existing)
    if existing is not None and existing.state in ("queued", "started") and not existing.expired:
        raise Refusal(409, "Export process is already started")
    return respond(202, {"rq_id": _begin(cvat, request, kind_of_subject, int(number), kind).rq_id})


def download(cvat: FakeCvat, request: Request, kind_of_subject: str, number: str) -> Response:
    work = cvat.state.exports.get(request.query.get("rq_id", ""))
    if work is None or work.file is None:
        raise Refusal(400, "Export has not finished")
    return _send_file(cvat, work, work.filename)


def _rq_id(request: Request, kind_of_subject: str, number: int, kind: str) -> str:
    form = request.query["format"].replace(" ", "_").replace(".", "@")
    return f"export:{kind_of_subject[:-1]}-{number}-{kind}-in-{form}-format-by-{request.me.id}"


def _begin(cvat: FakeCvat, request: Request, kind_of_subject: str, number: int, kind: str) -> ExportWork:
    tasks, _ = _subject(cvat, request, kind_of_subject, number)
    project = number if kind_of_subject == "projects" else tasks[0].project
    operation = {
        "type": f"export:{kind}", "target": kind_of_subject[:-1], "project_id": project,
        "task_id": number if kind_of_subject == "tasks" else None,
        "job_id": number if kind_of_subject == "jobs" else None,
        "format": request.query["format"],
    }  # fmt: skip
    rq_id = _rq_id(request, kind_of_subject, number, kind)
    params = {key: value for key, value in request.query.items() if key in ("format", "save_images")}
    work = ExportWork(rq_id, f"/api/{kind_of_subject}/{number}/{kind}", params, operation, request.me.id)
    cvat.state.exports[rq_id] = work
    work.polls = cvat.export_polls  # type: ignore[attr-defined]
    return work


def _step(cvat: FakeCvat, request: Request, work: ExportWork) -> None:
    if cvat.held or work.state != "started":
        return
    work.polls -= 1  # type: ignore[attr-defined]
    if work.polls >= 0:  # type: ignore[attr-defined]
        return
    match = re.match(r"/api/(\w+)/(\d+)/(\w+)", work.path)
    assert match is not None
    kind_of_subject, number, kind = match[1], int(match[2]), match[3]
    tasks, jobs = _subject(cvat, request, kind_of_subject, number)
    subset = (tasks[0].subset or "default") if kind_of_subject == "projects" and tasks else "default"
    work.finished = now()
    form = work.operation["format"]
    try:
        work.file = export(cvat.state, tasks, jobs, form, subset, images=kind == "dataset")
    except Refusal as refusal:
        work.state, work.message = "failed", refusal.body
        return
    name = (
        cvat.state.projects[number].name
        if kind_of_subject == "projects"
        else tasks[0].name
        if kind_of_subject == "tasks"
        else str(number)
    )
    work.state, work.filename = (
        "finished",
        f"{kind_of_subject[:-1]}_{name}_{kind}_2026_11_22_{form.lower()}.zip".encode("ascii", "replace").decode(),
    )


# Requests


def list_requests(cvat: FakeCvat, request: Request) -> Response:
    """Only the requests of the current user."""
    for task in list(cvat.state.tasks.values()):
        if task.work and task.owner == request.me.id:
            step(cvat, task)
    rows = [*_imports(cvat, request), *_exports(cvat, request)]
    for key in ("task_id", "project_id", "job_id"):
        if key in request.query:
            rows = [row for row in rows if str(row["operation"][key]) == request.query[key]]
    if "action" in request.query:
        rows = [row for row in rows if row["operation"]["type"].partition(":")[0] == request.query["action"]]
    if "status" in request.query:
        rows = [row for row in rows if row["status"] == request.query["status"]]
    request.query.setdefault("sort", "-created_date")
    return page(cvat, request, rows, dict)


def request_by_id(cvat: FakeCvat, request: Request, id: str) -> Response:
    for task in list(cvat.state.tasks.values()):
        if id == f"create:task-{task.id}" and task.work and task.owner == request.me.id and not task.work.expired:
            step(cvat, task)
    work = cvat.state.exports.get(id)
    if work is not None and not work.expired:
        _step(cvat, request, work)
    for row in [*_imports(cvat, request), *_exports(cvat, request)]:
        if row["id"] == id:
            return respond(200, row)
    raise Refusal(404, f"There is no request with specified id: {id}".encode())


def cancel(cvat: FakeCvat, request: Request, id: str) -> Response:
    work = cvat.state.exports.get(id)
    if work is None:
        raise Refusal(404, f"There is no request with specified id: {id}".encode())
    if work.state != "queued":
        raise Refusal(400, b"Only requests that have not yet been started can be cancelled")
    del cvat.state.exports[id]
    return respond(200)


def _imports(cvat: FakeCvat, request: Request) -> list[dict[str, Any]]:
    rows = []
    for task in cvat.state.tasks.values():
        work = task.work
        if work is None or work.expired or task.owner != request.me.id:
            continue
        operation = {
            "type": "create:task", "target": "task", "project_id": task.project, "task_id": task.id, "job_id": None,
            "format": None,
        }  # fmt: skip
        rows.append(
            _row(
                cvat,
                f"create:task-{task.id}",
                work.state,
                work.message,
                operation,
                task.owner,
                work.started,
                work.finished,
                None,
            )
        )
    return rows


def _exports(cvat: FakeCvat, request: Request) -> list[dict[str, Any]]:
    rows = []
    for work in cvat.state.exports.values():
        if work.expired or work.owner != request.me.id:
            continue
        url = None
        if work.state == "finished":
            params = work.params | {"action": "download"}
            url = f"{cvat.url}{work.path}?{urlencode(params)}"
            if not cvat.legacy_api:
                kind_of_subject = work.path.rpartition("/")[0]
                url = f"{cvat.url}{kind_of_subject}/dataset/download?{urlencode({'rq_id': work.rq_id})}"
        rows.append(
            _row(
                cvat, work.rq_id, work.state, work.message, work.operation, work.owner, work.created, work.finished, url
            )
        )
    return rows


def _row(
    cvat: FakeCvat, id: str, status: str, message: str, operation: dict[str, Any], owner: int, started: str,
    finished: str | None, url: str | None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "status": "started" if status == "queued" else status,
        "message": message,
        "id": id,
        "operation": operation,
        "progress": 1.0 if status == "finished" else 0.0,
        "created_date": started,
        "started_date": started,
        "finished_date": finished,
        "expiry_date": finished,
        "owner": {"id": owner, "username": cvat.state.users[owner].name},
        "result_url": url,
        "result_id": None,
    }
