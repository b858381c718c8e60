"""Annotations and exports of the stand-in for CVAT, and its requests, in both dialects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .standin_annotations import FORMATS, export, put, read
from .standin_data import step
from .standin_objects import answer, page, the_job, the_project, the_task
from .standin_state import ExportWork, Job, Refusal, Task, now

if TYPE_CHECKING:
    from .standin import Answer, Asked, StandIn

UNKNOWN = Refusal(400, ["Unknown format specified for the request"])


def formats(cvat: StandIn, asked: Asked) -> Answer:
    told = [
        {"name": name, "ext": "ZIP", "version": name.rpartition(" ")[2], "enabled": True, "dimension": "2d"}
        for name in FORMATS
    ]
    return answer(200, {"importers": told, "exporters": told})


def annotations(cvat: StandIn, asked: Asked, what: str, number: str, kind: str) -> Answer:
    state = cvat.state
    tasks, jobs = _subject(cvat, asked, what, int(number))
    if asked.method == "GET" and "format" in asked.query:
        return _poll(cvat, asked, what, int(number), kind)
    if kind == "dataset":
        raise Refusal(400, "Format is not specified")
    if asked.method == "GET":
        if what == "tasks" and not tasks[0].frames:
            raise Refusal(400, "Exporting annotations from a task without data is not allowed")
        return answer(200, read(state, jobs))
    if asked.method == "DELETE":
        for job in jobs:
            job.shapes, job.tags, job.tracks = {}, {}, {}
        return answer(204)
    action = asked.query.get("action", "") if asked.method == "PATCH" else "replace"
    if action not in ("create", "update", "delete", "replace"):
        raise Refusal(400, ["Please specify a correct 'action' for the request"])
    said = asked.said()
    told = put(state, jobs[0], said, action) if what == "jobs" else _spread(cvat, jobs, said, action)
    for job in jobs:
        job.updated = now()
    cvat.tell("update:job", tasks[0].project, {"job": state.job_json(jobs[0]), "before_update": {}}, asked.me)
    return answer(200, told)


def _spread(cvat: StandIn, jobs: list[Job], said: dict[str, Any], action: str) -> dict[str, Any]:
    """What is said of a task goes to the jobs that hold the frames: what lies in a job on a frame that is none of its
    own cannot be changed that way."""
    told: dict[str, Any] = {"version": 0, "tags": [], "shapes": [], "tracks": []}
    for job in jobs:
        mine = {
            kind: [one for one in said.get(kind) or [] if job.start <= one["frame"] <= job.stop]
            for kind in ("tags", "shapes", "tracks")
        }
        if any(mine.values()) or action == "replace":
            for kind, some in put(cvat.state, job, mine, action).items():
                if kind != "version":
                    told[kind] += some
    return told


def _subject(cvat: StandIn, asked: Asked, what: str, number: int) -> tuple[list[Task], list[Job]]:
    state = cvat.state
    if what == "jobs":
        job = the_job(state, asked, number)
        return [state.tasks[job.task]], [job]
    if what == "tasks":
        tasks = [the_task(state, asked, number)]
    else:
        the_project(state, asked, number)
        tasks = sorted((one for one in state.tasks.values() if one.project == number), key=lambda one: one.id)
    return tasks, [job for task in tasks for job in state.jobs_of(task.id)]


# Exports


def _poll(cvat: StandIn, asked: Asked, what: str, number: int, kind: str) -> Answer:
    """The way of 2.15: 202, then 201, then with action=download the file, once."""
    action, form = asked.query.get("action", ""), asked.query["format"]
    if form not in FORMATS:
        raise UNKNOWN
    if action not in ("", "download"):
        raise Refusal(400, ["Unexpected action specified for the request"])
    if not cvat.old_ways and not (cvat.dialect == "requests" and action == "download"):
        raise Refusal(410, "This endpoint is no longer handled.")
    work = cvat.state.exports.get(_rq_id(asked, what, number, kind))
    if action == "download":
        if work is None or work.file is None:
            if cvat.dialect == "requests":
                return answer(202, {"rq_id": _begin(cvat, asked, what, number, kind).rq_id})
            raise Refusal(400, "Export has not finished")
        return _hand_out(cvat, work, asked.query.get("filename", work.filename))
    if work is None or work.expired:
        _begin(cvat, asked, what, number, kind)
        return answer(202)
    _step(cvat, asked, work)
    if work.state == "failed":  # told once
        del cvat.state.exports[work.rq_id]
        raise Refusal(500, work.message)
    return answer(201 if work.state == "finished" else 202)


def _hand_out(cvat: StandIn, work: ExportWork, filename: str) -> Answer:
    from .standin import Answer

    content = work.file
    assert content is not None
    del cvat.state.exports[work.rq_id]
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Answer(200, content, headers, kind="application/zip")


def begin(cvat: StandIn, asked: Asked, what: str, number: str) -> Answer:
    """The way of newer servers."""
    if asked.method != "POST":
        raise Refusal(405, {"detail": f'Method "{asked.method}" not allowed.'})
    if asked.query.get("format") not in FORMATS:
        raise UNKNOWN
    if what == "projects" and cvat.forbid_project_exports:
        raise Refusal(403, {"detail": "You do not have permission to perform this action."})
    _subject(cvat, asked, what, int(number))
    kind = "dataset" if asked.query.get("save_images", "").lower() in ("true", "1") else "annotations"
    there = cvat.state.exports.get(_rq_id(asked, what, int(number), kind))
    if there is not None:
        _step(cvat, asked, there)
    if there is not None and there.state in ("queued", "started") and not there.expired:
        raise Refusal(409, "Export process is already started")
    return answer(202, {"rq_id": _begin(cvat, asked, what, int(number), kind).rq_id})


def download(cvat: StandIn, asked: Asked, what: str, number: str) -> Answer:
    work = cvat.state.exports.get(asked.query.get("rq_id", ""))
    if work is None or work.file is None:
        raise Refusal(400, "Export has not finished")
    return _hand_out(cvat, work, work.filename)


def _rq_id(asked: Asked, what: str, number: int, kind: str) -> str:
    form = asked.query["format"].replace(" ", "_").replace(".", "@")
    return f"export:{what[:-1]}-{number}-{kind}-in-{form}-format-by-{asked.me.id}"


def _begin(cvat: StandIn, asked: Asked, what: str, number: int, kind: str) -> ExportWork:
    tasks, _ = _subject(cvat, asked, what, number)
    project = number if what == "projects" else tasks[0].project
    operation = {
        "type": f"export:{kind}", "target": what[:-1], "project_id": project,
        "task_id": number if what == "tasks" else None, "job_id": number if what == "jobs" else None,
        "format": asked.query["format"],
    }  # fmt: skip
    rq_id = _rq_id(asked, what, number, kind)
    params = {key: value for key, value in asked.query.items() if key in ("format", "save_images")}
    work = ExportWork(rq_id, f"/api/{what}/{number}/{kind}", params, operation, asked.me.id)
    cvat.state.exports[rq_id] = work
    work.polls = cvat.export_polls  # type: ignore[attr-defined]
    return work


def _step(cvat: StandIn, asked: Asked, work: ExportWork) -> None:
    if cvat.held or work.state != "started":
        return
    work.polls -= 1  # type: ignore[attr-defined]
    if work.polls >= 0:  # type: ignore[attr-defined]
        return
    found = re.match(r"/api/(\w+)/(\d+)/(\w+)", work.path)
    assert found is not None
    what, number, kind = found[1], int(found[2]), found[3]
    tasks, jobs = _subject(cvat, asked, what, number)
    subset = (tasks[0].subset or "default") if what == "projects" and tasks else "default"
    work.finished = now()
    form = work.operation["format"]
    try:
        work.file = export(cvat.state, tasks, jobs, form, subset, images=kind == "dataset")
    except Refusal as refusal:
        work.state, work.message = "failed", refusal.body
        return
    name = cvat.state.projects[number].name if what == "projects" else tasks[0].name if what == "tasks" else str(number)
    work.state, work.filename = (
        "finished",
        f"{what[:-1]}_{name}_{kind}_2026_11_22_{form.lower()}.zip".encode("ascii", "replace").decode(),
    )


# Requests


def requests_list(cvat: StandIn, asked: Asked) -> Answer:
    """Those of whoever asks: nobody sees those of others."""
    for task in list(cvat.state.tasks.values()):
        if task.work and task.owner == asked.me.id:
            step(cvat, task)
    rows = [*_imports(cvat, asked), *_exports(cvat, asked)]
    for key in ("task_id", "project_id", "job_id"):
        if key in asked.query:
            rows = [row for row in rows if str(row["operation"][key]) == asked.query[key]]
    if "action" in asked.query:
        rows = [row for row in rows if row["operation"]["type"].partition(":")[0] == asked.query["action"]]
    if "status" in asked.query:
        rows = [row for row in rows if row["status"] == asked.query["status"]]
    asked.query.setdefault("sort", "-created_date")
    return page(cvat, asked, rows, dict)


def request(cvat: StandIn, asked: Asked, id: str) -> Answer:
    for task in list(cvat.state.tasks.values()):
        if id == f"create:task-{task.id}" and task.work and task.owner == asked.me.id and not task.work.expired:
            step(cvat, task)
    work = cvat.state.exports.get(id)
    if work is not None and not work.expired:
        _step(cvat, asked, work)
    for row in [*_imports(cvat, asked), *_exports(cvat, asked)]:
        if row["id"] == id:
            return answer(200, row)
    raise Refusal(404, f"There is no request with specified id: {id}".encode())


def cancel(cvat: StandIn, asked: Asked, id: str) -> Answer:
    work = cvat.state.exports.get(id)
    if work is None:
        raise Refusal(404, f"There is no request with specified id: {id}".encode())
    if work.state != "queued":
        raise Refusal(400, b"Only requests that have not yet been started can be cancelled")
    del cvat.state.exports[id]
    return answer(200)


def _imports(cvat: StandIn, asked: Asked) -> list[dict[str, Any]]:
    rows = []
    for task in cvat.state.tasks.values():
        work = task.work
        if work is None or work.expired or task.owner != asked.me.id:
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


def _exports(cvat: StandIn, asked: Asked) -> list[dict[str, Any]]:
    rows = []
    for work in cvat.state.exports.values():
        if work.expired or work.owner != asked.me.id:
            continue
        url = None
        if work.state == "finished":
            params = work.params | {"action": "download"}
            url = f"{cvat.url}{work.path}?{urlencode(params)}"
            if not cvat.old_ways:
                what = work.path.rpartition("/")[0]
                url = f"{cvat.url}{what}/dataset/download?{urlencode({'rq_id': work.rq_id})}"
        rows.append(
            _row(
                cvat, work.rq_id, work.state, work.message, work.operation, work.owner, work.created, work.finished, url
            )
        )
    return rows


def _row(
    cvat: StandIn, id: str, status: str, message: str, operation: dict[str, Any], owner: int, started: str,
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
