"""Users, organizations, projects, tasks, jobs and webhooks of the stand-in for CVAT."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .standin_state import (
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
    from .standin import Answer, Asked, StandIn

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


def answer(status: int, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
    from .standin import Answer

    return Answer(status, body, headers or {})


# Lists


def page(cvat: StandIn, asked: Asked, items: Sequence[Any], show: Callable[[Any], dict[str, Any]]) -> Answer:
    """Newest first unless `sort` says otherwise; a page past the end is 404, a filter that is none 400."""
    shown = [show(item) for item in items]
    if "filter" in asked.query:
        shown = [one for one in shown if _holds(_rule(asked.query["filter"]), one)]
    sort = asked.query.get("sort", "-id")
    if shown and sort.lstrip("-") not in shown[0]:  # unknown ones are ignored
        sort = "-id"
    if shown and sort.lstrip("-") in shown[0]:
        shown.sort(key=lambda one: one[sort.lstrip("-")], reverse=sort.startswith("-"))
    given = asked.query.get("page_size", "10")
    size = len(shown) or 1 if given == "all" else int(given)
    number = int(asked.query.get("page", "1"))
    if number < 1 or (number > 1 and (number - 1) * size >= len(shown)):
        raise Refusal(404, {"detail": "Invalid page."})

    def link(to: int) -> str:
        rest = {key: value for key, value in asked.query.items() if key != "page"}
        query = urlencode(sorted(({"page": to} if to > 1 else {} | {}).items()) + sorted(rest.items()))
        return f"{cvat.url}{asked.path}?{query}"

    return answer(
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
        told = [_holds(one, item) for one in operands]
        return all(told) if operator == "and" else any(told)
    variable, value = operands
    return item.get(variable["var"]) == value


# Who may


def role(state: State, user: int, organization: int | None) -> str:
    if organization is None:
        return "none"
    return state.organizations[organization].members.get(user, "none")


def manages(state: State, asked: Asked, owner: int, organization: int | None) -> bool:
    if asked.me.admin or owner == asked.me.id:
        return True
    return role(state, asked.me.id, organization) in ("owner", "maintainer", "supervisor")


def here(asked: Asked, organization: int | None) -> bool:
    return asked.visible_everywhere or asked.organization == organization


# Users and organizations


def self_(cvat: StandIn, asked: Asked) -> Answer:
    return answer(200, cvat.state.whole_user(asked.me.id))


def users(cvat: StandIn, asked: Asked) -> Answer:
    """Members of the organization; outside of one a user sees only himself, and an administrator everybody."""
    state = cvat.state
    if asked.organization is not None:
        ids = list(state.organizations[asked.organization].members)
    else:
        ids = list(state.users) if asked.me.admin else [asked.me.id]
    found = [state.users[id] for id in ids]
    if "username" in asked.query:
        found = [user for user in found if user.name == asked.query["username"]]
    if "search" in asked.query:
        found = [user for user in found if asked.query["search"] in user.name]
    show = state.whole_user if asked.me.admin else state.basic
    return page(cvat, asked, found, lambda user: show(user.id) or {})


def organizations(cvat: StandIn, asked: Asked) -> Answer:
    state = cvat.state
    if asked.method == "GET":
        mine = [one for one in state.organizations.values() if asked.me.id in one.members]
        return page(cvat, asked, mine, lambda one: organization_json(state, one))
    said = asked.said()
    made = state.add_organization(said["slug"], asked.me, said.get("name", ""))
    return answer(201, organization_json(state, made))


def organization_json(state: State, one: Any) -> dict[str, Any]:
    return {
        "id": one.id, "slug": one.slug, "name": one.name, "description": "d", "created_date": one.created,
        "updated_date": one.created, "contact": {}, "owner": state.basic(one.owner),
    }  # fmt: skip


def invitations(cvat: StandIn, asked: Asked) -> Answer:
    state, said = cvat.state, asked.said()
    if asked.organization is None:
        raise Refusal(400, {"organization": ["This field is required."]})
    organization = state.organizations[asked.organization]
    user = next((user for user in state.users.values() if user.email == said["email"]), None)
    if user is None:
        user = state.add_user(said["email"].partition("@")[0], "", "")
        user.email = said["email"]
    if user.id in organization.members:
        raise Refusal(400, ["The user is a member of the organization already."])
    organization.members[user.id] = said["role"]
    told = {
        "key": "K" * 64, "created_date": now(), "owner": state.basic(asked.me.id), "role": said["role"],
        "user": state.basic(user.id), "organization": organization.id, "expired": None,
        "organization_info": {"id": organization.id, "slug": organization.slug},
    }  # fmt: skip
    return answer(201, told)


def memberships(cvat: StandIn, asked: Asked) -> Answer:
    state = cvat.state
    rows = [(one, user) for one in state.organizations.values() if here(asked, one.id) for user in one.members]

    def show(row: Any) -> dict[str, Any]:
        one, user = row
        place = list(one.members).index(user)
        return {
            "id": place + 1, "user": state.basic(user), "organization": one.id, "is_active": True,
            "joined_date": one.created, "role": one.members[user], "invitation": None if place == 0 else "E" * 64,
        }  # fmt: skip

    return page(cvat, asked, rows, show)


# Projects


def projects(cvat: StandIn, asked: Asked) -> Answer:
    state = cvat.state
    if asked.method == "GET":
        if asked.user is None:
            return page(cvat, asked, [], dict)
        found = [
            one for one in state.projects.values() if here(asked, one.organization) and _sees_project(state, asked, one)
        ]
        if "name" in asked.query:
            found = [one for one in found if one.name == asked.query["name"]]
        return page(cvat, asked, found, state.project_json)
    said = asked.said()
    _check_name(said)
    if said.get("assignee_id") is not None and said["assignee_id"] not in state.users:
        raise server_error()
    check_labels(said.get("labels", []))
    id = state.next_id("project")  # a database gives no number twice, even if nothing comes of it
    labels = state.labels_from(said.get("labels", []))
    made = Project(id, said["name"], asked.me.id, asked.organization, labels)
    made.assignee = said.get("assignee_id")
    state.projects[made.id] = made
    return answer(201, state.project_json(made), {"Location": f"{cvat.url}/api/projects/{made.id}"})


def project(cvat: StandIn, asked: Asked, number: str) -> Answer:
    state = cvat.state
    one = the_project(state, asked, int(number))
    if asked.method == "PATCH":
        said = asked.said()
        one.name = said.get("name", one.name)
        known = {label.name for label in one.labels}
        fresh = [label for label in said.get("labels", []) if "id" not in label]
        if known & {label.get("name") for label in fresh}:
            raise Refusal(400, ["All label names must be unique"])
        one.labels += state.labels_from(fresh)
        one.updated = now()
    elif asked.method == "DELETE":
        under_way = [
            task
            for task in state.tasks.values()
            if task.project == one.id and task.work and task.work.state in ("queued", "started")
        ]
        if under_way:
            raise server_error()
        for task in [task for task in state.tasks.values() if task.project == one.id]:
            _drop_task(cvat, asked, task)
        del state.projects[one.id]
        return answer(204)
    return answer(200, state.project_json(one))


def the_project(state: State, asked: Asked, number: int) -> Project:
    one = state.projects.get(number)
    if one is None or not here(asked, one.organization):
        raise not_found()
    if not _sees_project(state, asked, one):
        raise forbidden()
    return one


def _sees_project(state: State, asked: Asked, one: Project) -> bool:
    return manages(state, asked, one.owner, one.organization) or one.assignee == asked.me.id


def _check_name(said: dict[str, Any]) -> None:
    if "name" not in said:
        raise Refusal(400, {"name": ["This field is required."]})
    if len(said["name"]) > 256:
        raise Refusal(400, {"name": ["Ensure this field has no more than 256 characters."]})


def labels(cvat: StandIn, asked: Asked) -> Answer:
    state, query = cvat.state, asked.query
    if "project_id" in query:
        one = the_project(state, asked, int(query["project_id"]))
        found = [(label, one.id, None) for label in one.labels]
    else:
        number = int(query["task_id"]) if "task_id" in query else state.jobs[int(query["job_id"])].task
        task_ = state.tasks[number]
        found = [(label, task_.project, task_.id) for label in state.labels_of(task_)]
    asked.query.setdefault("sort", "id")
    return page(cvat, asked, found, lambda row: state.label_json(*row))


def guides(cvat: StandIn, asked: Asked) -> Answer:
    state, said = cvat.state, asked.said()
    one = the_project(state, asked, said["project_id"])
    if one.guide is not None:
        raise Refusal(400, ["A guide exists already."])
    one.guide = state.next_id("guide")
    state.guides[one.guide] = said
    return answer(201, {"id": one.guide, "project_id": one.id, "task_id": None, "markdown": said["markdown"]})


# Tasks


def tasks(cvat: StandIn, asked: Asked) -> Answer:
    state = cvat.state
    if asked.method == "GET":
        found = [
            one
            for one in state.tasks.values()
            if asked.user and here(asked, one.organization) and _sees_task(state, asked, one)
        ]
        for key, value in (("project_id", "project"), ("name", "name")):
            if key in asked.query:
                found = [one for one in found if str(getattr(one, value)) == asked.query[key]]
        return page(cvat, asked, found, state.task_json)
    said = asked.said()
    _check_name(said)
    project_id, own = said.get("project_id"), said.get("labels")
    if project_id is not None and own:
        raise Refusal(400, ["Project must have only one of Label set or project_id"])
    if project_id is None and own is None:
        raise Refusal(400, ["Label set or project_id must be present"])
    if project_id is not None and project_id not in state.projects:
        raise Refusal(400, ["Project matching query does not exist."])
    if project_id is not None and state.projects[project_id].organization != asked.organization:
        raise Refusal(400, ["The task and its project should be in the same organization."])
    _check_assignee(state, asked, said.get("assignee_id"))
    made = Task(
        state.next_id("task"), said["name"], asked.me.id, project_id, asked.organization, said.get("segment_size", 0),
        said.get("overlap"), said.get("subset", ""), said.get("assignee_id"), state.labels_from(own or []),
    )  # fmt: skip
    made.bug_tracker = said.get("bug_tracker", "")
    if len(made.bug_tracker) > 2000:
        raise Refusal(400, {"bug_tracker": ["Ensure this field has no more than 2000 characters."]})
    state.tasks[made.id] = made
    cvat.tell("create:task", project_id, {"task": state.task_json(made)}, asked.me)
    return answer(201, state.task_json(made), {"Location": f"{cvat.url}/api/tasks/{made.id}"})


def task(cvat: StandIn, asked: Asked, number: str) -> Answer:
    state = cvat.state
    one = the_task(state, asked, int(number))
    if asked.method == "PATCH":
        said = asked.said()
        one.name = said.get("name", one.name)
        one.bug_tracker = said.get("bug_tracker", one.bug_tracker)
        one.updated = now()
        cvat.tell("update:task", one.project, {"task": state.task_json(one), "before_update": {}}, asked.me)
    elif asked.method == "DELETE":
        _drop_task(cvat, asked, one)
        return answer(204)
    return answer(200, state.task_json(one))


def _drop_task(cvat: StandIn, asked: Asked, one: Task) -> None:
    state = cvat.state
    told = state.task_json(one)
    for job_ in state.jobs_of(one.id):
        del state.jobs[job_.id]
    del state.tasks[one.id]
    cvat.tell("delete:task", one.project, {"task": told}, asked.me)


def the_task(state: State, asked: Asked, number: int) -> Task:
    one = state.tasks.get(number)
    if one is None or not here(asked, one.organization):
        raise not_found()
    if not _sees_task(state, asked, one):
        raise forbidden()
    return one


def _sees_task(state: State, asked: Asked, one: Task) -> bool:
    owner = state.projects[one.project].owner if one.project is not None else one.owner
    return manages(state, asked, owner, one.organization) or asked.me.id in (one.owner, one.assignee)


def _check_assignee(state: State, asked: Asked, assignee: Any) -> None:
    """A name, or an id that nobody has, is a fault of the server's; somebody who may not be seen is refused."""
    if assignee is None:
        return
    if not isinstance(assignee, int) or isinstance(assignee, bool):
        raise server_error()
    if asked.organization is None and not asked.me.admin:
        if assignee != asked.me.id:
            raise forbidden()
    elif assignee not in state.users:
        raise server_error()
    elif asked.organization is None:
        return
    elif assignee not in state.organizations[asked.organization].members:
        raise forbidden()


# Jobs


def jobs(cvat: StandIn, asked: Asked) -> Answer:
    state, query = cvat.state, asked.query
    found = [
        one
        for one in state.jobs.values()
        if asked.user and here(asked, state.tasks[one.task].organization) and _sees_job(state, asked, one)
    ]
    for key, value in (("task_id", "task"), ("state", "state"), ("stage", "stage")):
        if key in query:
            found = [one for one in found if str(getattr(one, value)) == query[key]]
    if "project_id" in query:
        found = [one for one in found if str(state.tasks[one.task].project) == query["project_id"]]
    if "assignee" in query:
        found = [one for one in found if one.assignee and state.users[one.assignee].name == query["assignee"]]
    return page(cvat, asked, found, state.job_json)


def job(cvat: StandIn, asked: Asked, number: str) -> Answer:
    state = cvat.state
    one = the_job(state, asked, int(number))
    if asked.method == "PATCH":
        said = asked.said()
        owner = _manages_job(state, asked, one)
        for key, known in (
            ("stage", ("annotation", "validation", "acceptance")),
            ("state", ("new", "in progress", "completed", "rejected")),
        ):
            if key in said and said[key] not in known:
                raise Refusal(400, {key: [f'"{said[key]}" is not a valid choice.']})
        if "assignee" in said:
            _check_assignee(state, asked, said["assignee"])
        if not owner and ("stage" in said or "assignee" in said):
            raise forbidden()
        before = {key: getattr(one, key) for key in ("stage", "state") if key in said}
        if "stage" in said and said["stage"] != one.stage and "state" not in said:
            one.state = "new"
        one.stage, one.state = said.get("stage", one.stage), said.get("state", one.state)
        if "assignee" in said:
            one.assignee = said["assignee"]
        one.updated = now()
        note = {"job": state.job_json(one), "before_update": before}
        cvat.tell("update:job", state.tasks[one.task].project, note, asked.me)
    return answer(200, state.job_json(one))


def the_job(state: State, asked: Asked, number: int) -> Job:
    one = state.jobs.get(number)
    if one is None or not here(asked, state.tasks[one.task].organization):
        raise not_found()
    if not _sees_job(state, asked, one):
        raise forbidden()
    return one


def _manages_job(state: State, asked: Asked, one: Job) -> bool:
    return _sees_task(state, asked, state.tasks[one.task])


def _sees_job(state: State, asked: Asked, one: Job) -> bool:
    return _manages_job(state, asked, one) or one.assignee == asked.me.id


# Webhooks


def events(cvat: StandIn, asked: Asked) -> Answer:
    kind = asked.query.get("type", "all")
    return answer(200, {"webhook_type": kind, "events": PROJECT_EVENTS if kind == "project" else ORGANIZATION_EVENTS})


def webhooks(cvat: StandIn, asked: Asked) -> Answer:
    state = cvat.state
    if asked.method == "GET":
        found: Iterable[Webhook] = state.webhooks.values()
        if "project_id" in asked.query:
            found = [one for one in found if str(one.said.get("project_id")) == asked.query["project_id"]]
        return page(cvat, asked, list(found), state.webhook_json)
    said = asked.said()
    _check_webhook(said)
    said["organization"] = asked.organization
    made = Webhook(state.next_id("webhook"), asked.me.id, said)
    state.webhooks[made.id] = made
    return answer(201, state.webhook_json(made), {"Location": f"{cvat.url}/api/webhooks/{made.id}"})


def _check_webhook(said: dict[str, Any]) -> None:
    for event in said.get("events", []):
        if event not in ORGANIZATION_EVENTS:
            raise Refusal(400, {"events": [f'"{event}" is not a valid choice.']})
    if not str(said.get("target_url", "")).startswith(("http://", "https://")):
        raise Refusal(400, {"target_url": ["Enter a valid URL."]})


def webhook(cvat: StandIn, asked: Asked, number: str) -> Answer:
    one = cvat.state.webhooks.get(int(number))
    if one is None:
        raise not_found()
    if asked.method == "PATCH":
        said = asked.said()
        _check_webhook(one.said | said)
        one.said |= said
    elif asked.method == "DELETE":
        del cvat.state.webhooks[one.id]
        return answer(204)
    return answer(200, cvat.state.webhook_json(one))


def ping(cvat: StandIn, asked: Asked, number: str) -> Answer:
    one = cvat.state.webhooks[int(number)]
    note = {"webhook": cvat.state.webhook_json(one)}
    cvat.tell("ping", one.said.get("project_id"), note, asked.me)
    told = note_delivery(cvat.state, one, "ping", {"event": "ping", **note, "sender": cvat.state.basic(asked.me.id)})
    return answer(200, told)


def deliveries(cvat: StandIn, asked: Asked, number: str) -> Answer:
    return page(cvat, asked, cvat.state.webhooks[int(number)].deliveries, dict)


def note_delivery(state: State, hook: Webhook, event: str, note: dict[str, Any]) -> dict[str, Any]:
    told = {
        "id": state.next_id("delivery"), "webhook_id": hook.id, "event": event, "status_code": 200, "redelivery": False,
        "created_date": now(), "updated_date": now(), "changed_fields": "", "request": note, "response": "ok",
    }  # fmt: skip
    hook.deliveries.append(told)
    return told
