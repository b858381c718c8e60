"""Tasks for every call of Scale's REST API, for flows that go beyond campaigns.

`connection` is the name of the credentials in the settings. Tasks return Scale's own JSON. They raise the errors of
`platforms.errors` and `platforms.scale.errors`; transient ones are retried, and Prefect shows each try. Retries create
no duplicates, because every Scale task has a unique_id.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from labelwright.platforms import PlatformRefused
from labelwright.platforms.batches import for_each
from labelwright.platforms.protocol import Secret
from labelwright.platforms.scale.adapter import Scale
from labelwright.platforms.scale.attachments import describe_attachments, same_attachments
from labelwright.platforms.scale.client import Json, Page, ScaleClient
from labelwright.platforms.scale.errors import Duplicate, InvalidRequest
from labelwright.tasks.chaining import task
from labelwright.tasks.context import connect_platform
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

HERE = "scale"
"""Default connection."""


def account(connection: str = HERE) -> ScaleClient:
    """Returns the client of a connection. Raises SettingsError, and PlatformRefused for another platform's one."""
    platform, reached = connect_platform(connection)
    if platform != Scale.name:
        raise PlatformRefused(Scale.name, "connect", message=f"connection '{connection}' leads to {platform}")
    return cast("Scale", reached).client


# Tasks


@task(task_run_name="create {type} task {unique_id}", **RETRY_POLICY)
def create_task(type: str, unique_id: str, params: Json, connection: str = HERE) -> Json:
    """Creates a task of any type. Idempotent: returns an existing task that matches.

    It matches if it has the unique_id, the same type and batch (or project), and the same attachment (signatures in
    addresses aside). Raises Duplicate when a different task has the unique_id.
    """
    scale = account(connection)
    log().info("create %s task %s", type, unique_id)
    try:
        return scale.create_task(type, unique_id=unique_id, **params)
    except Duplicate as duplicate:
        for existing in scale.tasks(unique_id=unique_id, limit=1).docs:
            same = {"type": type} | {name: params[name] for name in ("batch", "project") if name in params}
            if existing.get("unique_id") not in (None, unique_id):
                continue  # the server ignored the filter
            if not all(existing.get(name) == value for name, value in same.items()):
                continue
            if not same_attachments(params, existing.get("params")):
                raise Duplicate(
                    Scale.name,
                    duplicate.operation,
                    status=409,
                    message=f"task {existing.get('task_id')} has that unique_id and shows "
                    f"{describe_attachments(existing.get('params'))}, not {describe_attachments(params)}",
                    advice="Give the task another unique_id, or clear that of the other task.",
                ) from None
            return existing
        raise duplicate from None


@task(task_run_name="fetch task {task_id}", **RETRY_POLICY)
def fetch_task(task_id: str, connection: str = HERE) -> Json:
    return account(connection).fetch_task(task_id)


@task(task_run_name="list tasks", **RETRY_POLICY)
def list_tasks(filters: Json | None = None, connection: str = HERE) -> Json:
    """Returns a page: `docs`, `total`, and `next_token` for the next call, which is None on the last page."""
    return _as_json(account(connection).tasks(**(filters or {})), "next_token")


@task(task_run_name="cancel task {task_id}", **RETRY_POLICY)
def cancel_task(task_id: str, clear_unique_id: bool = False, connection: str = HERE) -> Json:
    """Cancels a task that no labeler has started. Idempotent: returns the cancelled task."""
    log().info("cancel task %s", task_id)
    return account(connection).cancel_task(task_id, clear_unique_id=clear_unique_id)


@task(task_run_name="set unique_id of task {task_id}", **RETRY_POLICY)
def set_unique_id(task_id: str, unique_id: str, connection: str = HERE) -> Json:
    return account(connection).set_unique_id(task_id, unique_id)


@task(task_run_name="clear unique_id of task {task_id}", **RETRY_POLICY)
def clear_unique_id(task_id: str, connection: str = HERE) -> Json:
    return account(connection).clear_unique_id(task_id)


@task(task_run_name="set metadata of task {task_id}", **RETRY_POLICY)
def set_task_metadata(task_id: str, metadata: Json, connection: str = HERE) -> Json:
    return account(connection).set_task_metadata(task_id, metadata)


@task(task_run_name="set tags of task {task_id}", **RETRY_POLICY)
def set_tags(task_id: str, tags: list[str], connection: str = HERE) -> Json:
    return account(connection).set_tags(task_id, tags)


@task(task_run_name="add tags to task {task_id}", **RETRY_POLICY)
def add_tags(task_id: str, tags: list[str], connection: str = HERE) -> Json:
    return account(connection).add_tags(task_id, tags)


@task(task_run_name="take tags off task {task_id}", **RETRY_POLICY)
def remove_tags(task_id: str, tags: list[str], connection: str = HERE) -> Json:
    return account(connection).remove_tags(task_id, tags)


@task(task_run_name="audit task {task_id}", **RETRY_POLICY)
def audit_task(task_id: str, accepted: bool, comments: str | None = None, connection: str = HERE) -> None:
    """Accepts or rejects the work, as the customer."""
    account(connection).audit_task(task_id, accepted=accepted, comments=comments)


# Batches


@task(task_run_name="create batch {name}", **RETRY_POLICY)
def create_batch(name: str, project: str, more: Json | None = None, connection: str = HERE) -> Json:
    """Creates a batch. Idempotent: returns an existing batch of that name in the same project.

    more: callback, metadata, calibration_batch, self_label_batch. Raises Duplicate for a batch of another project.
    """
    scale = account(connection)
    log().info("create batch %s", name)
    try:
        return scale.create_batch(name, project, **(more or {}))
    except Duplicate as duplicate:
        existing = scale.get_batch(name)
        if existing.get("project") != project:
            raise duplicate from None
        return existing


@task(task_run_name="finalize batch {name}", **RETRY_POLICY)
def finalize_batch(name: str, connection: str = HERE) -> Json:
    """Finalizes a batch, so that labelers can start its tasks. Idempotent."""
    log().info("finalize batch %s", name)
    return account(connection).finalize_batch(name)


@task(task_run_name="read status of batch {name}", **RETRY_POLICY)
def batch_status(name: str, connection: str = HERE) -> Json:
    """Returns the number of tasks by status, without zeros."""
    return account(connection).batch_status(name)


@task(task_run_name="read batch {name}", **RETRY_POLICY)
def get_batch(name: str, connection: str = HERE) -> Json:
    return account(connection).get_batch(name)


@task(task_run_name="list batches", **RETRY_POLICY)
def list_batches(filters: Json | None = None, connection: str = HERE) -> Json:
    """Returns a page: `docs`, `total`, and `offset` for the next call, which is None on the last page."""
    page = _as_json(account(connection).list_batches(**(filters or {})), "offset")
    return page | {"offset": int(page["offset"]) if page["offset"] is not None else None}


@task(task_run_name="list all batches", **RETRY_POLICY)
def list_all_batches(filters: Json | None = None, connection: str = HERE) -> list[Json]:
    """Returns every batch that matches the filters, from all pages."""
    return list(account(connection).all_batches(**(filters or {})))


@task(task_run_name="cancel what waits in batch {name}", **RETRY_POLICY)
def cancel_pending_tasks(name: str, connection: str = HERE) -> dict[str, int]:
    """Cancels every task of a batch that no labeler has started, so that it is not billed. Others are finished.

    For cancelled campaigns, because Scale cannot delete a batch. Returns the numbers of `cancelled` tasks and of those
    `left`.
    """
    scale = account(connection)
    log().info("cancel what waits in batch %s", name)
    ids = [str(pending["task_id"]) for pending in scale.all_tasks(batch=name, status="pending")]

    def cancel(task_id: str) -> bool:
        try:
            scale.cancel_task(task_id)
        except InvalidRequest:  # started or completed in the meantime
            return False
        return True

    cancelled = sum(for_each(cancel, ids, 8))
    return {"cancelled": cancelled, "left": len(ids) - cancelled}


@task(task_run_name="set metadata of batch {name}", **RETRY_POLICY)
def set_batch_metadata(name: str, metadata: Json, connection: str = HERE) -> Json:
    return account(connection).set_batch_metadata(name, metadata)


# Projects


@task(task_run_name="create project {name}", **RETRY_POLICY)
def create_project(
    name: str, type: str, params: Json | None = None, more: Json | None = None, connection: str = HERE
) -> Json:
    """Creates a project. Idempotent: returns an existing project of that name and type.

    more: rapid, studio, dataset. Raises Duplicate for a project of another type.
    """
    scale = account(connection)
    log().info("create project %s", name)
    try:
        return scale.create_project(name, type, params, **(more or {}))
    except Duplicate as duplicate:
        existing = scale.get_project(name)
        if existing.get("type") != type:
            raise duplicate from None
        return existing


@task(task_run_name="read project {name}", **RETRY_POLICY)
def get_project(name: str, connection: str = HERE) -> Json:
    return account(connection).get_project(name)


@task(task_run_name="list projects", **RETRY_POLICY)
def list_projects(archived: bool | None = None, connection: str = HERE) -> list[Json]:
    return account(connection).projects(archived=archived)


@task(task_run_name="update project {name}", **UNCACHED)
def update_project(name: str, params: Json, patch: bool = True, connection: str = HERE) -> Json:
    """Creates a new version of a project's parameters. Without `patch`, parameters not given are dropped.

    Not retried, because each try would create another version.
    """
    log().info("update project %s", name)
    return account(connection).update_project(name, patch=patch, **params)


# Files


@task(task_run_name="upload {path}", **RETRY_POLICY)
def upload_file(
    path: str, media_type: str, reference_id: str, fields: Json | None = None, connection: str = HERE
) -> Json:
    """Uploads a file of this machine to Scale's storage. Returns `id` and `attachment_url`.

    Raises Duplicate for a reference_id that is taken.
    """
    file = Path(path)
    form: dict[str, Any] = {"reference_id": reference_id, **(fields or {})}
    return account(connection).upload_file(file.read_bytes(), file.name, media_type=media_type, **form)


@task(task_run_name="import a file", **RETRY_POLICY)
def import_file(url: str, fields: Json | None = None, connection: str = HERE) -> Json:
    """Lets Scale copy a file from a URL. Task runs show their parameters: do not pass a signed URL."""
    return account(connection).import_file(Secret(url), **(fields or {}))


def _as_json(page: Page, following: str) -> Json:
    return {"docs": page.docs, "total": page.total, following: page.next}
