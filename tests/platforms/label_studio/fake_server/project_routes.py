"""Server, tokens, people, projects, exports, storages, webhooks."""

from __future__ import annotations

import hashlib
import io
import ipaddress
import json
import socket
import zipfile
from typing import Any
from urllib.parse import urlsplit

from .server import Call, Reply, route
from .state import (
    DEFAULTS,
    SKIP_QUEUES,
    Export,
    NoRoute,
    Project,
    Refused,
    User,
    controls,
    invalid,
    not_found,
    now,
)
from .views import export_json, exported_task, only, project_json


@route("GET", r"/health")
def health(_: Call) -> Reply:
    return Reply(200, body=b'{"status": "UP"}', kind="text/html; charset=utf-8")


@route("GET", r"/api/version")
def version(_: Call) -> Reply:
    build = {"message": "fix", "commit": "df96d7", "date": "2026-09-25T09:13:03.000Z", "branch": "develop"}
    package = {
        "version": "1.23.2",
        "short_version": "1.23",
        "latest_version_from_pypi": None,
        "latest_version_upload_time": None,
        "current_version_is_outdated": False,
    }
    parts = {
        "label-studio-os-package": package,
        "label-studio-os-backend": {**build, "version": "1.23.2+0.gdf96d79.dirty"},
        "label-studio-converter": {"version": "2.1.2"},
        "backend": {"commit": "df96d7"},
        **dict.fromkeys(("label-studio-frontend", "dm2", "lsf"), build),
    }
    return Reply(200, {"release": "1.23.2", "edition": "Community", **parts})


# Tokens and people


@route("POST", r"/user/login")
def log_in(call: Call) -> Reply:
    form = call.json()
    for user in call.world.users.values():
        if (user.email, user.password) == (form.get("email"), form.get("password")):
            headers = {"Location": "/", "Set-Cookie": f"sessionid={user.id}; HttpOnly; Path=/"}
            return Reply(302, body=b"", kind="text/html; charset=utf-8", headers=headers)
    return Reply(200, body=b"<html>The email and password you entered don't match.</html>", kind="text/html")


@route("POST", r"/api/token/refresh")
def refresh(call: Call) -> Reply:
    return Reply(200, {"access": call.world.refresh(call.json().get("refresh"))})


@route("POST", r"/api/token/rotate")
def rotate(call: Call) -> Reply:
    old = call.json().get("refresh")
    if old not in call.world.pats:
        raise Refused(400, "Token is invalid")
    return Reply(200, {"refresh": call.world.make_pat(call.world.pats.pop(old))})


@route("GET", r"/api/token")
def list_pats(_: Call) -> Reply:
    return Reply(200, [])


@route("POST", r"/api/token")
def make_pat(call: Call) -> Reply:
    return Reply(201, {"token": call.world.make_pat(call.user.id)})


@route("GET", r"/api/jwt/settings")
def token_settings(call: Call) -> Reply:
    return Reply(200, call.world.api_tokens)


@route("POST", r"/api/jwt/settings")
def change_token_settings(call: Call) -> Reply:
    call.world.api_tokens |= call.json()
    return Reply(200, call.world.api_tokens)


@route("GET", r"/api/current-user/whoami")
def whoami(call: Call) -> Reply:
    return Reply(200, {**call.user.whole(), "permissions": ["organizations.create"] * 44})


@route("GET", r"/api/current-user/token")
def legacy_token(call: Call) -> Reply:
    return Reply(200, {"token": call.user.legacy})


@route("GET", r"/api/users")
def users(call: Call) -> Reply:
    return Reply(200, [user.whole() for user in call.world.users.values()])


@route("POST", r"/api/users")
def make_user(call: Call) -> Reply:
    payload = call.json()
    number = max(call.world.users) + 1
    call.world.users[number] = user = User(number, payload["email"], name=payload.get("first_name", ""))
    return Reply(201, {**user.whole(), "active_organization": None})


@route("GET", r"/api/organizations/1/memberships")
def members(call: Call) -> Reply:
    none = {"created_projects": None, "contributed_to_projects": None}
    results = [
        {"id": user.id, "organization": 1, "user": {**user.whole(), **none}, **none}
        for user in call.world.users.values()
    ]
    return Reply(200, {"count": len(results), "next": None, "previous": None, "results": results})


@route("GET", r"/api/invite")
def invite(_: Call) -> Reply:
    return Reply(200, {"token": "INVITE_TOKEN", "invite_url": "/user/signup/?token=INVITE_TOKEN"})


# Projects


@route("GET", r"/api/projects")
def list_projects(call: Call) -> Reply:
    title, ids = call.query.get("title", "").lower(), call.query.get("ids")
    listed = [project for _, project in sorted(call.world.projects.items(), reverse=True)]
    listed = [project for project in listed if title in project.title.lower()]
    if ids:
        listed = [project for project in listed if str(project.id) in ids.split(",")]
    size, page = int(call.query.get("page_size", 100)), int(call.query.get("page", 1))
    if page > 1 and (page - 1) * size >= len(listed):
        raise Refused(404, "Invalid page.")
    following = f"{call.path}?page={page + 1}&page_size={size}" if page * size < len(listed) else None
    results = [
        only(project_json(call.world, project), call.query.get("include"))
        for project in listed[(page - 1) * size : page * size]
    ]
    return Reply(200, {"count": len(listed), "next": following, "previous": None, "results": results})


@route("POST", r"/api/projects")
def create_project(call: Call) -> Reply:
    payload = call.json()
    settings = dict(DEFAULTS)
    title = _check(payload, settings)
    for _ in range(2 if call.world.doubles_creations else 1):
        project = Project(
            call.world.next_id("project"), title, payload.get("label_config", "<View></View>"), settings, call.user.id
        )
        call.world.projects[project.id] = project
    call.world.doubles_creations = False
    return Reply(201, project_json(call.world, project, fresh=True))


def _check(payload: dict[str, Any], settings: dict[str, Any], title: str = "") -> str:
    title = str(payload.get("title", title)).strip()
    if len(title) > 50:
        raise invalid(title=["Ensure this field has no more than 50 characters."])
    if len(title) < 3:
        raise invalid(title=["Project title must be 3-50 characters long"])
    if "label_config" in payload:
        controls(payload["label_config"])
    if payload.get("skip_queue", SKIP_QUEUES[0]) not in SKIP_QUEUES:
        raise invalid(skip_queue=[f'"{payload["skip_queue"]}" is not a valid choice.'])
    settings |= {name: value for name, value in payload.items() if name in DEFAULTS}
    return title


@route("GET", r"/api/projects/(\d+)")
def read_project(call: Call, number: int) -> Reply:
    return Reply(200, only(project_json(call.world, call.world.project(number)), call.query.get("include")))


@route("PATCH", r"/api/projects/(\d+)")
def change_project(call: Call, number: int) -> Reply:
    project, payload = call.world.project(number), call.json()
    if "label_config" in payload:
        _refuse_incompatible(call, project, controls(payload["label_config"]))
    project.title = _check(payload, project.settings, project.title)
    project.label_config = payload.get("label_config", project.label_config)
    return Reply(200, project_json(call.world, project))


def _refuse_incompatible(call: Call, project: Project, offered: dict[str, tuple[str, str]]) -> None:
    """A control that annotations use may not go. A label that they use may."""
    counts: dict[tuple[str, str, str], int] = {}
    for task in call.world.tasks_of(project.id):
        for entry in call.world.annotations_of(task.id):
            for region in entry.result:
                used = (region.get("from_name"), region.get("to_name"), region.get("type"))
                counts[used] = counts.get(used, 0) + 1
    lost = [
        f"{count} with from_name={name}, to_name={target}, type={kind}"
        for (name, target, kind), count in counts.items()
        if offered.get(name) != (kind, target)
    ]
    if lost:
        text = "Created annotations are incompatible with provided labeling schema, we found:\n" + "\n".join(lost)
        raise invalid(label_config=[text])


@route("PUT", r"/api/projects/(\d+)")
def put_project(call: Call, number: int) -> Reply:
    """200, and from then on the project has no creator and cannot be exported."""
    project = call.world.project(number)
    project.created_by = None
    return Reply(200, project_json(call.world, project))


@route("DELETE", r"/api/projects/(\d+)")
def delete_project(call: Call, number: int) -> Reply:
    """Files stay on the disk."""
    call.world.project(number)
    for task in call.world.tasks_of(number):
        call.world.delete_task(task.id)
    del call.world.projects[number]
    return Reply(204)


# Exports


@route("GET", r"/api/projects/(\d+)/export")
def export(call: Call, number: int) -> Reply:
    project, kind = call.world.project(number), call.query.get("exportType", "JSON")
    if project.created_by is None:
        raise Refused(500, "'NoneType' object has no attribute 'email'")
    if kind in ("COCO", "YOLO", "VOC"):
        return Reply(200, body=_archive(), kind="application/zip")
    if kind != "JSON":
        raise Refused(500, "")
    tasks = call.world.tasks_of(number)
    if call.query.get("download_all_tasks") != "true":
        tasks = [task for task in tasks if call.world.annotations_of(task.id)]
    return Reply(200, [exported_task(call.world, task) for task in tasks], kind="application/.json")


def _archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("result.json", "{}")
    return file.getvalue()


@route("GET", r"/api/projects/(\d+)/exports")
def list_snapshots(call: Call, number: int) -> Reply:
    call.world.project(number)
    exports = [item for item in call.world.exports.values() if item.project == number]
    return Reply(200, [export_json(call.world, item) for item in reversed(exports)])


@route("POST", r"/api/projects/(\d+)/exports")
def make_snapshot(call: Call, number: int) -> Reply:
    call.world.project(number)
    payload, tasks = call.json(), call.world.tasks_of(number)
    if payload.get("task_filter_options", {}).get("finished") == "only":
        tasks = [task for task in tasks if call.world.is_labeled(task)]
    exported = [exported_task(call.world, task) for task in tasks]
    if "annotation_filter_options" in payload:
        for task_payload in exported:
            entries = task_payload["annotations"]
            task_payload["annotations"] = [entry for entry in entries if _passes(entry, payload)]
    content = json.dumps(exported).encode()
    digest = hashlib.md5(content).hexdigest()
    made = Export(call.world.next_id("export"), number, payload.get("title", ""), content, digest, len(tasks))
    call.world.exports[made.id] = made
    options = {"task_filter_options": None, "annotation_filter_options": None, "serialization_options": None}
    return Reply(201, {**export_json(call.world, made), **options})


def _passes(entry: dict[str, Any], payload: dict[str, Any]) -> bool:
    kind = "skipped" if entry["was_cancelled"] else "ground_truth" if entry["ground_truth"] else "usual"
    return bool(payload["annotation_filter_options"].get(kind))


def _snapshot(call: Call, number: int) -> Export:
    if number not in call.world.exports:
        raise NoRoute
    return call.world.exports[number]


@route("GET", r"/api/projects/\d+/exports/(\d+)")
def read_snapshot(call: Call, number: int) -> Reply:
    return Reply(200, export_json(call.world, _snapshot(call, number)))


@route("GET", r"/api/projects/\d+/exports/(\d+)/download")
def download_snapshot(call: Call, number: int) -> Reply:
    made = _snapshot(call, number)
    if call.query.get("exportType", "JSON") != "JSON":
        return Reply(200, body=_archive(), kind="application/zip")
    return Reply(200, body=made.content)


@route("POST", r"/api/projects/\d+/exports/(\d+)/convert")
def convert_snapshot(call: Call, number: int) -> Reply:
    made, kind = _snapshot(call, number), call.json()["export_type"]
    made.conversions.append(kind)
    return Reply(200, {"export_type": kind, "converted_format": len(made.conversions)})


@route("DELETE", r"/api/projects/\d+/exports/(\d+)")
def delete_snapshot(call: Call, number: int) -> Reply:
    del call.world.exports[_snapshot(call, number).id]
    return Reply(204)


# Webhooks


def _guard(call: Call, url: str, status: int) -> None:
    if not call.world.guards_addresses:
        return
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(socket.gethostbyname(host))
    except OSError:
        return
    if address.is_private:
        text = "URL resolves to a reserved network address (block: 127.0.0.0/8)"
        raise Refused(403, text) if status == 403 else invalid(non_field_errors=[text])


@route("GET", r"/api/webhooks")
def list_webhooks(call: Call) -> Reply:
    hooks = call.world.webhooks.values()
    project = call.query.get("project")
    return Reply(200, [hook for hook in hooks if project is None or str(hook["project"]) == project])


@route("POST", r"/api/webhooks")
def make_webhook(call: Call) -> Reply:
    payload = call.json()
    _guard(call, payload["url"], 403)
    number = call.world.next_id("webhook")
    hook = {
        "id": number,
        "organization": 1,
        "project": payload.get("project"),
        "url": payload["url"],
        "send_payload": payload.get("send_payload", True),
        "send_for_all_actions": payload.get("send_for_all_actions", True),
        "headers": payload.get("headers", {}),
        "is_active": payload.get("is_active", True),
        "actions": payload.get("actions", []),
        "created_at": now(),
        "updated_at": now(),
    }
    call.world.webhooks[number] = hook
    return Reply(201, hook)


def _webhook(call: Call, number: int) -> dict[str, Any]:
    if number not in call.world.webhooks:
        raise not_found("Webhook")
    return call.world.webhooks[number]


@route("PATCH", r"/api/webhooks/(\d+)")
def change_webhook(call: Call, number: int) -> Reply:
    hook = _webhook(call, number)
    hook |= {name: value for name, value in call.json().items() if name in hook}
    return Reply(200, hook)


@route("DELETE", r"/api/webhooks/(\d+)")
def delete_webhook(call: Call, number: int) -> Reply:
    del call.world.webhooks[_webhook(call, number)["id"]]
    return Reply(204)
