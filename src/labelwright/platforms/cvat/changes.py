"""Changes the labels and instructions of a project that labelers already work on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from labelwright.domain import Geometry, Label, LabelSchema
from labelwright.platforms.errors import PlatformRefused

from . import jobs as cvat_jobs
from .client import NAME
from .models import CvatProject, CvatTask, Stage
from .schema import TYPES, CvatLabel, differences, labels_for
from .server import Server


def change_labels(server: Server, project: int, schema: LabelSchema) -> None:
    """Adds labels and attributes, widens types and sets colours, all in one request. Reads them back.

    Labels of the project that are not in the schema stay. Raises PlatformRefused when the project's labels contradict
    the schema otherwise.
    """
    payload = list(_changes(server, project, schema))
    if payload:
        operation = f"change the labels of project {project}"
        server.client.call(operation, "PATCH", f"/api/projects/{project}", json={"labels": payload})
        remaining = [str(label["name"]) for label in _changes(server, project, schema)]
        if remaining:
            message = f"CVAT accepted the request and did not change: {', '.join(remaining[:10])}"
            advice = "Change these labels on the project's page, then run the command again."
            raise PlatformRefused(NAME, operation, message=message, advice=advice)


def _changes(server: Server, project: int, schema: LabelSchema) -> Iterator[dict[str, Any]]:
    existing = server.labels(project)
    widened = {label.name for label in schema if label.geometry is Geometry.ANY}
    contradictions = differences(existing, schema, widened=widened)
    if contradictions:
        advice = "Change the labels on the project's page, then run the command again."
        raise PlatformRefused(NAME, f"use project {project}", message="; ".join(contradictions[:10]), advice=advice)
    for label, payload in zip(schema, labels_for(schema), strict=True):
        current = existing.find(label.name)
        if current is None:
            yield payload
        elif changes := _changes_of(current, label, payload):
            yield {"id": current.id, "name": current.name, **changes}


def _changes_of(current: CvatLabel, label: Label, payload: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if label.geometry is Geometry.ANY and current.type != TYPES[Geometry.ANY]:
        changes["type"] = TYPES[Geometry.ANY]
    if label.color and label.color.lower() != current.color.lower():
        changes["color"] = label.color
    attributes = [
        attribute
        for attribute in payload["attributes"]
        if attribute["name"] not in current.attributes
        or set(attribute["values"]) - set(current.values.get(attribute["name"], ()))
    ]
    return changes | ({"attributes": attributes} if attributes else {})


def put_instructions(server: Server, project: CvatProject, instructions: str) -> None:
    """Stores the instructions, in place of earlier ones."""
    if project.guide is None:
        server.put_guide(project.id, instructions)
        return
    advice = "Change the guide on the project's page, then run the command again with --ledger-only."
    payload = {"markdown": instructions}
    server.client.call("change the instructions", "PATCH", f"/api/guides/{project.guide}", json=payload, advice=advice)


def give_to(server: Server, tasks: Sequence[CvatTask], labeler: int) -> None:
    """Assigns each task, and those of its jobs that are not done, to the labeler instead of the task's assignee.

    Jobs of other people, of reviewers too, stay with them; what is saved in a job stays in it. The task is assigned
    last: until then a repeated call finds what is left.
    """
    means = server.options.done_means
    for task in tasks:
        if task.assignee in (None, labeler):
            continue
        for job in cvat_jobs.jobs_of(server.client, task=task.id) if task.size else []:
            if job.assignee == task.assignee and job.stage is Stage.ANNOTATION and not job.done(means):
                cvat_jobs.assign(server.client, job.id, labeler)
        payload = {"assignee_id": labeler}
        server.client.call(f"assign task {task.id}", "PATCH", f"/api/tasks/{task.id}", json=payload)
