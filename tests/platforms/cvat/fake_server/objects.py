"""Routes for users, organizations, projects, tasks, jobs and webhooks of the fake CVAT server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .state import (
    Job,
    Project,
    Refusal,
    State,
    Task,
    Webhook,
    check_labels,
    forbidden,
    not_found,
    now,
    server_error,
)

if TYPE_CHECKING:
    from .server import FakeCvat, Request, Response

PROJECT_EVENTS = [
    "create:comment", "create:issue", "create:job", "create:task", "delete:comment", "delete:issue", "delete:job",
    "delete:project", "delete:task", "update:comment", "update:issue", "update:job", "update:project", "update:task",
]  # fmt: skip
ORGANIZATION_EVENTS = sorted(
    (set(PROJECT_EVENTS) - {"delete:project"})
    | {
        "create:invitation", "create:membership", "create:project", "delete:invitation", "delete:membership",
        "delete:organization", "delete:project", "update:membership", "update:organization",
    }
)  # fmt: skip


def respond(status: int, body: Any = None, headers: dict[str, str] | None = None) -> Response:
    from .server import Response

    return Response(status, body, headers or {})


# Lists


def page(cvat: FakeCvat, request: Request, items: Sequence[Any], show: Callable[[Any], dict[str, Any]]) -> Response:
    """Newest first unless `sort` says otherwise; a page past the end is 404, a filter that is none 400."""
    shown = [show(item) for item in items]
    if "filter" in request.query:
        shown = [row for row in shown if _holds(_rule(request.query["filter"]), row)]
    sort = request.query.get("sort", "-id")
    if shown and sort.lstrip("-") not in shown[0]:  # unknown ones are ignored
        sort = "-id"
    if shown and sort.lstrip("-") in shown[0]:
        shown.sort(key=lambda row: row[sort.lstrip("-")], reverse=sort.startswith("-"))
    page_size = request.query.get("page_size", "10")
    size = len(shown) or 1 if page_size == "all" else int(page_size)
    number = int(request.query.get("page", "1"))
    if number < 1 or (number > 1 and (number - 1) * size >= len(shown)):
        raise Refusal(404, {"detail": "Invalid page."})

    def link(to: int) -> str:
        rest = {key: value for key, value in request.query.items() if key != "page"}
        query = urlencode(sorted(({"page": to} if to > 1 else {} | {}).items()) + sorted(rest.items()))
        return f"{cvat.url}{request.path}?{query}"

    return respond(
        200,
        {
            "count": len(shown),
            "next": link(number + 1) if number * size < len(shown) else None,
            "previous": link(number - 1) if number > 1 else None,
            "results": shown[(number - 1) * size : number * size],
        },
    )


def _rule(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Refusal(400, ["filter: Json syntax should be used"]) from None


def _holds(rule: Any, item: dict[str, Any]) -> bool:
    ((operator, operands),) = rule.items()
    if operator == "!":
        return not _holds(operands, item)
    if operator in ("and", "or"):
        results = [_holds(operand, item) for operand in operands]
        return all(results) if operator == "and" else any(results)
    variable, value = operands
    return item.get(variable["var"]) == value


# Who may


def role(state: State, user: int, organization: int | None) -> str:
    if organization is None:
        return "none"
    return state.organizations[organization].members.get(user, "none")


def can_manage(state: State, request: Request, owner: int, organization: int | None) -> bool:
    if request.me.admin or owner == request.me.id:
        return True
    return role(state, request.me.id, organization) in ("owner", "maintainer", "supervisor")


def is_visible(request: Request, organization: int | None) -> bool:
    return request.visible_everywhere or request.organization == organization


# Users and organizations


def current_user(cvat: FakeCvat, request: Request) -> Response:
    return respond(200, cvat.state.full_user(request.me.id))


def users(cvat: FakeCvat, request: Request) -> Response:
    """Members of the organization; outside of one a user sees only himself, and an administrator everybody."""
    state = cvat.state
    if request.organization is not None:
        ids = list(state.organizations[request.organization].members)
    else:
        ids = list(state.users) if request.me.admin else [request.me.id]
    visible = [state.users[id] for id in ids]
    if "username" in request.query:
        visible = [user for user in visible if user.name == request.query["username"]]
    if "search" in request.query:
        visible = [user for user in visible if request.query["search"] in user.name]
    show = state.full_user if request.me.admin else state.basic_user
    return page(cvat, request, visible, lambda user: show(user.id) or {})


def organizations(cvat: FakeCvat, request: Request) -> Response:
    state = cvat.state
    if request.method == "GET":
        mine = [organization for organization in state.organizations.values() if request.me.id in organization.members]
        return page(cvat, request, mine, lambda organization: organization_json(state, organization))
    payload = request.json()
    created = state.add_organization(payload["slug"], request.me, payload.get("name", ""))
    return respond(201, organization_json(state, created))


def organization_json(state: State, organization: Any) -> dict[str, Any]:
    return {
        "id": organization.id, "slug": organization.slug, "name": organization.name, "description": "d",
        "created_date": organization.created,
        "updated_date": organization.created, "contact": {}, "owner": state.basic_user(organization.owner),
    }  # fmt: skip


def invitations(cvat: FakeCvat, request: Request) -> Response:
    state, payload = cvat.state, request.json()
    if request.organization is None:
        raise Refusal(400, {"organization": ["This field is required."]})
    organization = state.organizations[request.organization]
    user = next((user for user in state.users.values() if user.email == payload["email"]), None)
    if user is None:
        user = state.add_user(payload["email"].partition("@")[0], "", "")
        user.email = payload["email"]
    if user.id in organization.members:
        raise Refusal(400, ["The user is a member of the organization already."])
    organization.members[user.id] = payload["role"]
    invitation = {
        "key": "K" * 64, "created_date": now(), "owner": state.basic_user(request.me.id), "role": payload["role"],
        "user": state.basic_user(user.id), "organization": organization.id, "expired": None,
        "organization_info": {"id": organization.id, "slug": organization.slug},
    }  # fmt: skip
    return respond(201, invitation)


def memberships(cvat: FakeCvat, request: Request) -> Response:
    state = cvat.state
    rows = [
        (organization, user)
        for organization in state.organizations.values()
        if is_visible(request, organization.id)
        for user in organization.members
    ]

    def show(row: Any) -> dict[str, Any]:
        organization, user = row
        place = list(organization.members).index(user)
        return {
            "id": place + 1, "user": state.basic_user(user), "organization": organization.id, "is_active": True,
            "joined_date": organization.created, "role": organization.members[user],
            "invitation": None if place == 0 else "E" * 64,
        }  # fmt: skip

    return page(cvat, request, rows, show)


# Projects


def projects(cvat: FakeCvat, request: Request) -> Response:
    state = cvat.state
    if request.method == "GET":
        if request.user is None:
            return page(cvat, request, [], dict)
        visible = [
            project
            for project in state.projects.values()
            if is_visible(request, project.organization) and can_see_project(state, request, project)
        ]
        if "name" in request.query:
            visible = [project for project in visible if project.name == request.query["name"]]
        return page(cvat, request, visible, state.project_json)
    payload = request.json()
    _check_name(payload)
    if payload.get("assignee_id") is not None and payload["assignee_id"] not in state.users:
        raise server_error()
    check_labels(payload.get("labels", []))
    id = state.next_id("project")  # a database gives no number twice, even if nothing comes of it
    labels = state.labels_from(payload.get("labels", []))
    project = Project(id, payload["name"], request.me.id, request.organization, labels)
    project.assignee = payload.get("assignee_id")
    state.projects[project.id] = project
    return respond(201, state.project_json(project), {"Location": f"{cvat.url}/api/projects/{project.id}"})


def project_by_id(cvat: FakeCvat, request: Request, number: str) -> Response:
    state = cvat.state
    project = get_project(state, request, int(number))
    if request.method == "PATCH":
        payload = request.json()
        project.name = payload.get("name", project.name)
        names = {label.name for label in project.labels}
        fresh = [label for label in payload.get("labels", []) if "id" not in label]
        if names & {label.get("name") for label in fresh}:
            raise Refusal(400, ["All label names must be unique"])
        for change in payload.get("labels", []):
            if "id" in change:
                state.change_label(project, change)
        project.labels += state.labels_from(fresh)
        project.updated = now()
    elif request.method == "DELETE":
        under_way = [
            task
            for task in state.tasks.values()
            if task.project == project.id and task.work and task.work.state in ("queued", "started")
        ]
        if under_way:
            raise server_error()
        for task in [task for task in state.tasks.values() if task.project == project.id]:
            _drop_task(cvat, request, task)
        del state.projects[project.id]
        return respond(204)
    return respond(200, state.project_json(project))


def get_project(state: State, request: Request, number: int) -> Project:
    project = state.projects.get(number)
    if project is None or not is_visible(request, project.organization):
        raise not_found()
    if not can_see_project(state, request, project):
        raise forbidden()
    return project


def can_see_project(state: State, request: Request, project: Project) -> bool:
    return can_manage(state, request, project.owner, project.organization) or project.assignee == request.me.id


def _check_name(payload: dict[str, Any]) -> None:
    if "name" not in payload:
        raise Refusal(400, {"name": ["This field is required."]})
    if len(payload["name"]) > 256:
        raise Refusal(400, {"name": ["Ensure this field has no more than 256 characters."]})


def labels(cvat: FakeCvat, request: Request) -> Response:
    state, query = cvat.state, request.query
    if "project_id" in query:
        project = get_project(state, request, int(query["project_id"]))
        rows = [(label, project.id, None) for label in project.labels]
    else:
        number = int(query["task_id"]) if "task_id" in query else state.jobs[int(query["job_id"])].task
        task = state.tasks[number]
        rows = [(label, task.project, task.id) for label in state.labels_of(task)]
    request.query.setdefault("sort", "id")
    return page(cvat, request, rows, lambda row: state.label_json(*row))


def guide_by_id(cvat: FakeCvat, request: Request, number: str) -> Response:
    state = cvat.state
    guide = state.guides.get(int(number))
    if guide is None:
        raise not_found()
    get_project(state, request, guide["project_id"])
    if request.method == "PATCH":
        guide["markdown"] = request.json()["markdown"]
    return respond(200, {"id": int(number), "task_id": None, **guide})


def guides(cvat: FakeCvat, request: Request) -> Response:
    state, payload = cvat.state, request.json()
    project = get_project(state, request, payload["project_id"])
    if project.guide is not None:
        raise Refusal(400, ["A guide exists already."])
    project.guide = state.next_id("guide")
    state.guides[project.guide] = payload
    return respond(
        201, {"id": project.guide, "project_id": project.id, "task_id": None, "markdown": payload["markdown"]}
    )


# Tasks


def tasks(cvat: FakeCvat, request: Request) -> Response:
    state = cvat.state
    if request.method == "GET":
        visible = [
            task
            for task in state.tasks.values()
            if request.user and is_visible(request, task.organization) and can_see_task(state, request, task)
        ]
        for key, value in (("project_id", "project"), ("name", "name")):
            if key in request.query:
                visible = [task for task in visible if str(getattr(task, value)) == request.query[key]]
        return page(cvat, request, visible, state.task_json)
    payload = request.json()
    _check_name(payload)
    project_id, own = payload.get("project_id"), payload.get("labels")
    if project_id is not None and own:
        raise Refusal(400, ["Project must have only one of Label set or project_id"])
    if project_id is None and own is None:
        raise Refusal(400, ["Label set or project_id must be present"])
    if project_id is not None and project_id not in state.projects:
        raise Refusal(400, ["Project matching query does not exist."])
    if project_id is not None and state.projects[project_id].organization != request.organization:
        raise Refusal(400, ["The task and its project should be in the same organization."])
    _check_assignee(state, request, payload.get("assignee_id"))
    task = Task(
        state.next_id("task"), payload["name"], request.me.id, project_id, request.organization,
        payload.get("segment_size", 0),
        payload.get("overlap"), payload.get("subset", ""), payload.get("assignee_id"), state.labels_from(own or []),
    )  # fmt: skip
    task.bug_tracker = payload.get("bug_tracker", "")
    if len(task.bug_tracker) > 2000:
        raise Refusal(400, {"bug_tracker": ["Ensure this field has no more than 2000 characters."]})
    state.tasks[task.id] = task
    cvat.send_event("create:task", project_id, {"task": state.task_json(task)}, request.me)
    return respond(201, state.task_json(task), {"Location": f"{cvat.url}/api/tasks/{task.id}"})


def task_by_id(cvat: FakeCvat, request: Request, number: str) -> Response:
    state = cvat.state
    task = get_task(state, request, int(number))
    if request.method == "PATCH":
        payload = request.json()
        task.name = payload.get("name", task.name)
        task.bug_tracker = payload.get("bug_tracker", task.bug_tracker)
        if "assignee_id" in payload:
            _check_assignee(state, request, payload["assignee_id"])
            task.assignee = payload["assignee_id"]
        task.updated = now()
        cvat.send_event("update:task", task.project, {"task": state.task_json(task), "before_update": {}}, request.me)
    elif request.method == "DELETE":
        _drop_task(cvat, request, task)
        return respond(204)
    return respond(200, state.task_json(task))


def _drop_task(cvat: FakeCvat, request: Request, task: Task) -> None:
    state = cvat.state
    payload = state.task_json(task)
    for job in state.jobs_of(task.id):
        del state.jobs[job.id]
    del state.tasks[task.id]
    cvat.send_event("delete:task", task.project, {"task": payload}, request.me)


def get_task(state: State, request: Request, number: int) -> Task:
    task = state.tasks.get(number)
    if task is None or not is_visible(request, task.organization):
        raise not_found()
    if not can_see_task(state, request, task):
        raise forbidden()
    return task


def can_see_task(state: State, request: Request, task: Task) -> bool:
    owner = state.projects[task.project].owner if task.project is not None else task.owner
    return can_manage(state, request, owner, task.organization) or request.me.id in (task.owner, task.assignee)


def _check_assignee(state: State, request: Request, assignee: Any) -> None:
    """A name, or an id that nobody has, is a fault of the server's; somebody who may not be seen is refused."""
    if assignee is None:
        return
    if not isinstance(assignee, int) or isinstance(assignee, bool):
        raise server_error()
    if request.organization is None and not request.me.admin:
        if assignee != request.me.id:
            raise forbidden()
    elif assignee not in state.users:
        raise server_error()
    elif request.organization is None:
        return
    elif assignee not in state.organizations[request.organization].members:
        raise forbidden()


# Jobs


def jobs(cvat: FakeCvat, request: Request) -> Response:
    state, query = cvat.state, request.query
    visible = [
        job
        for job in state.jobs.values()
        if request.user and is_visible(request, state.tasks[job.task].organization) and can_see_job(state, request, job)
    ]
    for key, value in (("task_id", "task"), ("state", "state"), ("stage", "stage")):
        if key in query:
            visible = [job for job in visible if str(getattr(job, value)) == query[key]]
    if "project_id" in query:
        visible = [job for job in visible if str(state.tasks[job.task].project) == query["project_id"]]
    if "assignee" in query:
        visible = [job for job in visible if job.assignee and state.users[job.assignee].name == query["assignee"]]
    return page(cvat, request, visible, state.job_json)


def job_by_id(cvat: FakeCvat, request: Request, number: str) -> Response:
    state = cvat.state
    job = get_job(state, request, int(number))
    if request.method == "PATCH":
        payload = request.json()
        owner = can_manage_job(state, request, job)
        for key, allowed in (
            ("stage", ("annotation", "validation", "acceptance")),
            ("state", ("new", "in progress", "completed", "rejected")),
        ):
            if key in payload and payload[key] not in allowed:
                raise Refusal(400, {key: [f'"{payload[key]}" is not a valid choice.']})
        if "assignee" in payload:
            _check_assignee(state, request, payload["assignee"])
        if not owner and ("stage" in payload or "assignee" in payload):
            raise forbidden()
        before = {key: getattr(job, key) for key in ("stage", "state") if key in payload}
        if "stage" in payload and payload["stage"] != job.stage and "state" not in payload:
            job.state = "new"
        job.stage, job.state = payload.get("stage", job.stage), payload.get("state", job.state)
        if "assignee" in payload:
            job.assignee = payload["assignee"]
        job.updated = now()
        note = {"job": state.job_json(job), "before_update": before}
        cvat.send_event("update:job", state.tasks[job.task].project, note, request.me)
    return respond(200, state.job_json(job))


def get_job(state: State, request: Request, number: int) -> Job:
    job = state.jobs.get(number)
    if job is None or not is_visible(request, state.tasks[job.task].organization):
        raise not_found()
    if not can_see_job(state, request, job):
        raise forbidden()
    return job


def can_manage_job(state: State, request: Request, job: Job) -> bool:
    return can_see_task(state, request, state.tasks[job.task])


def can_see_job(state: State, request: Request, job: Job) -> bool:
    return can_manage_job(state, request, job) or job.assignee == request.me.id


# Webhooks


def events(cvat: FakeCvat, request: Request) -> Response:
    kind = request.query.get("type", "all")
    return respond(200, {"webhook_type": kind, "events": PROJECT_EVENTS if kind == "project" else ORGANIZATION_EVENTS})


def webhooks(cvat: FakeCvat, request: Request) -> Response:
    state = cvat.state
    if request.method == "GET":
        visible: Iterable[Webhook] = state.webhooks.values()
        if "project_id" in request.query:
            visible = [
                webhook for webhook in visible if str(webhook.settings.get("project_id")) == request.query["project_id"]
            ]
        return page(cvat, request, list(visible), state.webhook_json)
    payload = request.json()
    _check_webhook(payload)
    payload["organization"] = request.organization
    webhook = Webhook(state.next_id("webhook"), request.me.id, payload)
    state.webhooks[webhook.id] = webhook
    return respond(201, state.webhook_json(webhook), {"Location": f"{cvat.url}/api/webhooks/{webhook.id}"})


def _check_webhook(payload: dict[str, Any]) -> None:
    for event in payload.get("events", []):
        if event not in ORGANIZATION_EVENTS:
            raise Refusal(400, {"events": [f'"{event}" is not a valid choice.']})
    if not str(payload.get("target_url", "")).startswith(("http://", "https://")):
        raise Refusal(400, {"target_url": ["Enter a valid URL."]})


def webhook_by_id(cvat: FakeCvat, request: Request, number: str) -> Response:
    webhook = cvat.state.webhooks.get(int(number))
    if webhook is None:
        raise not_found()
    if request.method == "PATCH":
        payload = request.json()
        _check_webhook(webhook.settings | payload)
        webhook.settings |= payload
    elif request.method == "DELETE":
        del cvat.state.webhooks[webhook.id]
        return respond(204)
    return respond(200, cvat.state.webhook_json(webhook))


def ping(cvat: FakeCvat, request: Request, number: str) -> Response:
    webhook = cvat.state.webhooks[int(number)]
    note = {"webhook": cvat.state.webhook_json(webhook)}
    cvat.send_event("ping", webhook.settings.get("project_id"), note, request.me)
    delivery = note_delivery(
        cvat.state, webhook, "ping", {"event": "ping", **note, "sender": cvat.state.basic_user(request.me.id)}
    )
    return respond(200, delivery)


def deliveries(cvat: FakeCvat, request: Request, number: str) -> Response:
    return page(cvat, request, cvat.state.webhooks[int(number)].deliveries, dict)


def note_delivery(state: State, hook: Webhook, event: str, note: dict[str, Any]) -> dict[str, Any]:
    delivery = {
        "id": state.next_id("delivery"), "webhook_id": hook.id, "event": event, "status_code": 200, "redelivery": False,
        "created_date": now(), "updated_date": now(), "changed_fields": "", "request": note, "response": "ok",
    }  # fmt: skip
    hook.deliveries.append(delivery)
    return delivery
