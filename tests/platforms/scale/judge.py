"""Checks the fake server with Scale's own client. Runs in an environment that has scaleapi, without our package:

    python scale_judge.py URL [CA]      one line of JSON for each case: its name, and what went wrong (null: nothing)

Each case is a function of a Judge. tests/platforms/scale/test_sdk.py runs them.
"""

from __future__ import annotations

import io
import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

TASK: dict[str, Any] = {
    "callback_url": "https://labels.example.com/callback",
    "instruction": "Box each boat.",
    "attachment_type": "image",
    "attachment": "https://store.example.com/boat.jpg",
    "geometries": {"box": {"objects_to_annotate": ["boat", "buoy"], "min_height": 10, "min_width": 10}},
}
PROJECT = "judged"


@dataclass
class Judge:
    """The client in test mode and in live mode, and its library."""

    test: Any
    live: Any
    sdk: Any
    url: str
    ca: str | None

    def task(self, client: Any = None, **more: Any) -> Any:
        return (client or self.test).create_task(self.sdk.tasks.TaskType.ImageAnnotation, **(TASK | more))

    def batch(self, client: Any = None, project: str = PROJECT, **more: Any) -> Any:
        params = {"project": project, "batch_name": f"batch {uuid4()}", "callback": "https://labels.example.com/b"}
        return (client or self.test).create_batch(**(params | more))

    def raises(self, kind: str, call: Callable[[], Any], code: int | None, message: str = "") -> None:
        caught: Any = None
        try:
            call()
        except self.sdk.exceptions.ScaleException as error:
            caught = error
        assert type(caught).__name__ == kind, f"{type(caught).__name__}: {caught}, and {kind} was expected"
        assert caught.code == code, caught.code
        assert message in caught.message, caught.message


def a_task_of_the_test_mode_is_completed_at_once_and_read_back_as_it_was_made(judge: Judge) -> None:
    task = judge.task(metadata={"file": "boat.jpg"}, unique_id=str(uuid4()), tags=["river"])
    read = judge.test.get_task(task.id)
    assert (task.status, read.status) == ("pending", "completed")
    for name in ("callback_url", "instruction", "metadata", "type", "created_at", "unique_id", "tags"):
        assert getattr(read, name) == getattr(task, name), name
    for name in ("attachment_type", "attachment", "geometries"):
        assert read.params[name] == TASK[name], name
    assert read.response["annotations"][0]["label"] == "boat"
    task.refresh()
    assert task.status == "completed"


def keys_that_mean_nothing_are_absent_and_not_null(judge: Judge) -> None:
    task = judge.task().as_dict()
    assert "unique_id" not in task
    assert "tags" not in task
    assert task["metadata"] == {}
    assert None not in task.values()
    live = judge.task(judge.live).as_dict()
    assert live["status"] == "pending"
    assert "response" not in live
    assert "completed_at" not in live


def every_type_of_task_is_refused_without_what_it_needs(judge: Judge) -> None:
    kinds = judge.sdk.tasks.TaskType
    common = {name: TASK[name] for name in ("callback_url", "instruction", "attachment_type")}
    page = {"attachment": "https://www.example.com/"}
    objects = page | {"objects_to_annotate": ["boat"]}
    for kind, needed in {
        kinds.ImageAnnotation: page | {"geometries": TASK["geometries"]},
        kinds.Categorization: page | {"categories": ["river", "sea"]},
        kinds.Annotation: objects | {"min_width": "30", "with_labels": True},
        kinds.PolygonAnnotation: objects,
        kinds.LineAnnotation: objects,
        kinds.Transcription: page | {"fields": {"title": "Title"}},
        kinds.DataCollection: page | {"fields": {"page": "Page"}},
        kinds.DocumentTranscription: page | {"features": [{"type": "block", "label": "code"}]},
        kinds.NamedEntityRecognition: {"text": "Maas", "labels": [{"name": "river", "description": "a river"}]},
    }.items():
        task = judge.test.create_task(kind, **common, **needed)
        assert judge.test.get_task(task.id).status == "completed", kind
        judge.raises("ScaleInvalidRequest", lambda kind=kind: judge.test.create_task(kind, **common), 400)


def a_unique_id_is_taken_once_and_the_other_task_is_named(judge: Judge) -> None:
    unique = str(uuid4())
    task = judge.task(unique_id=unique)
    judge.raises("ScaleDuplicateResource", lambda: judge.task(unique_id=unique), 409, task.id)
    renamed = judge.test.update_task_unique_id(task.id, f"{unique}-2")
    assert renamed.as_dict()["unique_id"] == f"{unique}-2"
    assert judge.task(unique_id=unique).id != task.id
    judge.raises("ScaleDuplicateResource", lambda: task.update_unique_id(unique), 409)
    assert "unique_id" not in judge.test.clear_task_unique_id(task.id).as_dict()
    assert judge.task(unique_id=f"{unique}-2").id


def live_and_test_know_nothing_of_each_other(judge: Judge) -> None:
    unique = str(uuid4())
    task = judge.task(unique_id=unique)
    judge.raises("ScaleResourceNotFound", lambda: judge.live.get_task(task.id), 404)
    assert judge.task(judge.live, unique_id=unique).id != ""
    batch = judge.batch()
    judge.raises("ScaleResourceNotFound", lambda: judge.live.get_batch(batch.name), 404)


def metadata_and_tags_are_set_added_and_taken_away(judge: Judge) -> None:
    task = judge.task()
    set_to = judge.test.set_task_metadata(task.id, {"river": "Maas"})
    assert (task.metadata, set_to.metadata) == ({}, {"river": "Maas"})
    task.set_tags(["a", "b"])
    task.add_tags(["b", "c"])
    task.delete_tags(["a"])
    task.refresh()
    assert task.tags == ["b", "c"]
    task.delete_tags(["b", "c"])
    task.refresh()
    assert "tags" not in task.as_dict()
    task.set_tags(["d"])
    task.set_tags([])
    task.set_metadata({"a": 1})
    task.set_metadata({})
    task.refresh()
    assert ("tags" in task.as_dict(), task.metadata) == (False, {}), "the client sends no body for what is empty"


def a_pending_task_is_cancelled_and_a_completed_one_is_not(judge: Judge) -> None:
    judge.raises("ScaleInvalidRequest", judge.task().cancel, 400)
    unique = str(uuid4())
    live = judge.task(judge.live, unique_id=unique)
    assert judge.live.cancel_task(live.id, clear_unique_id=True).status == "canceled"
    assert judge.task(judge.live, unique_id=unique).id != live.id


def an_audit_is_read_back_by_its_filter(judge: Judge) -> None:
    batch = judge.batch()
    good, bad = judge.task(batch=batch.name), judge.task(batch=batch.name)
    good.audit(True, "well done")
    bad.audit(False)
    review = judge.sdk.tasks.TaskReviewStatus

    def task_ids(status: Any) -> set[str]:
        return {task.id for task in judge.test.get_tasks(batch_name=batch.name, review_status=status)}

    assert task_ids(review.Accepted) == {good.id}
    assert task_ids([review.Accepted, review.Rejected]) == {good.id, bad.id}


def tasks_are_listed_newest_first_by_token_to_the_end(judge: Judge) -> None:
    batch = judge.batch()
    task_ids = [judge.task(batch=batch.name).id for _ in range(5)]
    first = judge.test.tasks(batch=batch.name, limit=2)
    assert [task.id for task in first] == [task_ids[4], task_ids[3]]
    assert (first.total, first.limit, first.offset, first.has_more) == (5, 2, 0, True)
    last = judge.test.tasks(batch=batch.name, limit=3, next_token=first.next_token)
    assert [task.id for task in last] == [task_ids[2], task_ids[1], task_ids[0]]
    assert (last.has_more, last.next_token) == (False, None)
    listed = [task.id for task in judge.test.get_tasks(project_name=PROJECT, batch_name=batch.name, limit=2)]
    assert listed == task_ids[::-1]
    assert judge.test.get_tasks_count(batch_name=batch.name) == 5


def tasks_are_filtered_by_everything_that_the_client_knows(judge: Judge) -> None:
    batch, unique, other = judge.batch(), str(uuid4()), str(uuid4())
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)
    first_task = judge.task(batch=batch.name, unique_id=unique, tags=["a", "b"])
    two = judge.task(batch=batch.name, unique_id=other, tags=["a"])

    def ids(**filters: Any) -> set[str]:
        return {task.id for task in judge.test.tasks(batch=batch.name, **filters)}

    both = {first_task.id, two.id}
    assert ids(unique_id=unique) == {first_task.id}
    assert ids(unique_id=[unique, other]) == both
    assert ids(tags="b") == {first_task.id}
    assert ids(tags=["a", "b"]) == {first_task.id}
    assert ids(status="completed", type="imageannotation", project=PROJECT) == both
    assert ids(status="pending") == ids(type="categorization") == set()
    later = (before + timedelta(hours=1)).isoformat()
    assert ids(start_time=before.isoformat(), end_time=later) == both
    assert ids(completed_after=before.isoformat(), updated_before=later) == both
    assert ids(start_time=later) == ids(completed_before=before.isoformat()) == ids(updated_after=later) == set()
    time.sleep(0.02)
    start = datetime.now(UTC).replace(tzinfo=None).isoformat()
    assert judge.test.tasks(start_time=start).docs == []
    judge.raises("ScaleInvalidRequest", lambda: judge.test.tasks(bogus=0), 400)


def no_page_is_longer_than_a_hundred(judge: Judge) -> None:
    for limit in (0, 101):
        judge.raises("ScaleInvalidRequest", lambda limit=limit: judge.test.tasks(limit=limit), 400)
        judge.raises("ScaleInvalidRequest", lambda limit=limit: judge.test.batches(limit=limit), 400)


def an_enterprise_batch_is_at_work_from_the_start_and_finalizing_does_nothing(judge: Judge) -> None:
    batch = judge.batch(metadata={"river": "Maas"})
    assert (batch.status, batch.project, batch.metadata) == ("in_progress", PROJECT, {"river": "Maas"})
    assert batch.get_status() == {"status": "in_progress"}, "counts that are zero are left out"
    judge.task(batch=batch.name)
    batch.finalize()
    judge.test.finalize_batch(batch.name)
    judge.task(batch=batch.name)
    assert batch.get_status() == {"status": "in_progress", "completed": 2}
    assert judge.test.set_batch_metadata(batch.name, {"a": 1}).metadata == {"a": 1}
    again = judge.test.get_batch(batch.name)
    assert (again.name, again.metadata) == (batch.name, {"a": 1})


def a_rapid_batch_waits_in_staging_and_takes_nothing_after_it_was_finalized(judge: Judge) -> None:
    name = f"rapid {uuid4()}"
    kinds = judge.sdk.tasks.TaskType
    judge.live.create_project(name, kinds.ImageAnnotation, {"instruction": "Box it."}, rapid=True)
    batch = judge.batch(judge.live, name)
    assert batch.status == "staging"
    judge.raises("ScaleInvalidRequest", lambda: judge.task(judge.live, project=name), 400)
    judge.task(judge.live, batch=batch.name)
    batch.finalize()
    assert batch.status == "in_progress"
    judge.raises("ScaleInvalidRequest", lambda: judge.task(judge.live, batch=batch.name), 400, "finalized")


def batches_are_listed_newest_first_by_offset_to_the_end(judge: Judge) -> None:
    kinds, name = judge.sdk.tasks.TaskType, f"many {uuid4()}"
    judge.test.create_project(name, kinds.ImageAnnotation)
    names = [judge.batch(project=name).name for _ in range(5)]
    page = judge.test.batches(project=name, limit=2, offset=1)
    assert [batch.name for batch in page] == [names[3], names[2]]
    assert (page.total, page.limit, page.offset, page.has_more) == (5, 2, 1, True)
    assert page.next_token is None
    more = [judge.batch(project=name).name for _ in range(96)]
    listed = [batch.name for batch in judge.test.get_batches(project_name=name)]
    assert listed == [*names, *more][::-1]
    assert judge.test.batches(project=name, limit=1).total == 101


def a_name_is_taken_once_and_read_whatever_is_in_it(judge: Judge) -> None:
    kinds, name = judge.sdk.tasks.TaskType, f"a bc/дef #1? 100% {uuid4()}"
    judge.test.create_project(name, kinds.ImageAnnotation)
    assert judge.test.get_project(name).name == name
    judge.raises("ScaleDuplicateResource", lambda: judge.test.create_project(name, kinds.Categorization), 409)
    batch = judge.batch(project=name, batch_name=name)
    assert judge.test.get_batch(name).name == name
    assert judge.test.batch_status(name)["status"] == "in_progress"
    judge.raises("ScaleDuplicateResource", lambda: judge.batch(batch_name=batch.name), 409)


def a_projects_parameters_are_patched_or_replaced(judge: Judge) -> None:
    kinds, name = judge.sdk.tasks.TaskType, f"params {uuid4()}"
    created = judge.test.create_project(name, kinds.ImageAnnotation, {"instruction": "first", "tips": "none"})
    assert (created.version, created.instruction, created.type) == (0, "first", "imageannotation")
    patched = judge.test.update_project(name, patch=True, instruction="second")
    assert (patched.version, patched.instruction, patched.params["tips"]) == (1, "second", "none")
    replaced = judge.test.update_project(name, instruction="third")
    assert (replaced.version, replaced.instruction) == (2, "third")
    assert "tips" not in replaced.params
    assert len(replaced.as_dict()["param_history"]) == 3
    assert name in [project.name for project in judge.test.projects()]


def a_task_belongs_to_the_project_of_its_batch(judge: Judge) -> None:
    kinds, other = judge.sdk.tasks.TaskType, f"other {uuid4()}"
    judge.test.create_project(other, kinds.Categorization)
    batch = judge.batch()
    assert judge.task(batch=batch.name).project == PROJECT
    judge.raises("ScaleInvalidRequest", lambda: judge.task(batch=batch.name, project=other), 400)
    judge.raises("ScaleInvalidRequest", lambda: judge.task(project=other), 400, "categorization")
    judge.raises("ScaleInvalidRequest", lambda: judge.task(batch="nowhere"), 400)
    judge.raises("ScaleInvalidRequest", lambda: judge.batch(project="nowhere"), 400)


def files_are_uploaded_and_imported_for_tasks(judge: Judge) -> None:
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n\x00--\r\n\xff")
    file.name = "boat.png"
    upload = judge.test.upload_file(file=file, project_name=PROJECT, reference_id=str(uuid4()))
    assert upload.attachment_url.startswith("scaledata://")
    assert judge.task(attachment=upload.attachment_url).params["attachment"] == upload.attachment_url
    imported = judge.test.import_file("https://store.example.com/boat.png", project_name=PROJECT)
    assert imported.attachment_url != upload.attachment_url
    judge.raises("ScaleInvalidRequest", lambda: judge.task(attachment="scaledata://nowhere/1"), 400)
    reference = str(uuid4())
    judge.test.upload_file(file=io.BytesIO(b"1"), reference_id=reference)
    taken = lambda: judge.test.upload_file(file=io.BytesIO(b"1"), reference_id=reference)  # noqa: E731
    judge.raises("ScaleDuplicateResource", taken, 409)


def teammates_are_listed_invited_and_given_roles(judge: Judge) -> None:
    role, email = judge.sdk.TeammateRole, f"{uuid4()}@labels.example.com"
    before = {teammate.email for teammate in judge.test.list_teammates()}
    assert before, "an account has an owner"
    judge.test.invite_teammates([email], role.Member)
    assert {teammate.email for teammate in judge.test.invite_teammates([email], role.Member)} == before | {email}
    judge.test.update_teammates_role([email], role.Manager)
    assert {teammate.email: teammate.role for teammate in judge.test.list_teammates()}[email] == "manager"
    stranger = lambda: judge.test.update_teammates_role(["nobody@labels.example.com"], role.Admin)  # noqa: E731
    judge.raises("ScaleInvalidRequest", stranger, 400)


def every_type_that_the_client_can_name_is_known(judge: Judge) -> None:
    for kind in judge.sdk.tasks.TaskType:
        try:
            judge.test.create_task(kind, instruction="Do it.")
        except judge.sdk.exceptions.ScaleException as error:
            problem = (error.code, error.message)
        assert problem[0] == 402 or (problem[0] == 400 and "Missing required parameter" in problem[1]), (kind, problem)


def every_class_of_error_is_told_apart(judge: Judge) -> None:
    kinds = judge.sdk.tasks.TaskType
    stranger = judge.sdk.ScaleClient("dummy_api_key", api_instance_url=judge.url, verify=judge.ca)
    judge.raises("ScaleUnauthorized", lambda: stranger.batches(limit=1), 401)
    lidar = lambda: judge.test.create_task(kinds.LidarAnnotation, attachments=["x"])  # noqa: E731
    judge.raises("ScaleNotEnabled", lidar, 402)
    judge.raises("ScaleResourceNotFound", lambda: judge.test.get_task("nobody"), 404)
    judge.raises("ScaleInvalidRequest", lambda: judge.task(attachment=""), 400, "attachment")


def answers_that_the_server_makes_in_trouble_are_told_apart(judge: Judge) -> None:
    """The fake server returns STATUS for a project named `fault-STATUS`, every time."""
    for status, kind in {
        429: "ScaleTooManyRequests",
        500: "ScaleInternalError",
        503: "ScaleServiceUnavailable",
        504: "ScaleTimeoutError",
        418: "ScaleException",
    }.items():
        if not judge.ca:  # over https the client asks four times, with long waits
            judge.raises(kind, lambda status=status: judge.test.get_project(f"fault-{status}"), status, "fault")


def what_the_client_retries_over_tls_is_made_once(judge: Judge) -> None:
    """The fake server returns 429 once, or 500 once after creating the task, for tasks with such a name."""
    if not judge.ca:
        return  # over http the client retries nothing
    batch = judge.batch()
    for fault in ("429 once", "500 after it was made"):
        judge.task(batch=batch.name, unique_id=str(uuid4()), metadata={"fault": fault})
    assert judge.test.tasks(batch=batch.name).total == 2
    judge.task(batch=batch.name, metadata={"fault": "500 after it was made, without unique_id"})
    assert judge.test.tasks(batch=batch.name).total == 4, "made twice, and billed twice"


CASES: list[Callable[[Judge], None]] = [
    a_task_of_the_test_mode_is_completed_at_once_and_read_back_as_it_was_made,
    keys_that_mean_nothing_are_absent_and_not_null,
    every_type_of_task_is_refused_without_what_it_needs,
    a_unique_id_is_taken_once_and_the_other_task_is_named,
    live_and_test_know_nothing_of_each_other,
    metadata_and_tags_are_set_added_and_taken_away,
    a_pending_task_is_cancelled_and_a_completed_one_is_not,
    an_audit_is_read_back_by_its_filter,
    tasks_are_listed_newest_first_by_token_to_the_end,
    tasks_are_filtered_by_everything_that_the_client_knows,
    no_page_is_longer_than_a_hundred,
    an_enterprise_batch_is_at_work_from_the_start_and_finalizing_does_nothing,
    a_rapid_batch_waits_in_staging_and_takes_nothing_after_it_was_finalized,
    batches_are_listed_newest_first_by_offset_to_the_end,
    a_name_is_taken_once_and_read_whatever_is_in_it,
    a_projects_parameters_are_patched_or_replaced,
    a_task_belongs_to_the_project_of_its_batch,
    files_are_uploaded_and_imported_for_tasks,
    teammates_are_listed_invited_and_given_roles,
    every_type_that_the_client_can_name_is_known,
    every_class_of_error_is_told_apart,
    answers_that_the_server_makes_in_trouble_are_told_apart,
    what_the_client_retries_over_tls_is_made_once,
]


def main() -> None:
    import scaleapi

    url, ca = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None

    def client(key: str) -> Any:
        return scaleapi.ScaleClient(key, "judge", api_instance_url=url, verify=ca)

    judge = Judge(client("test_judge"), client("judge|live"), scaleapi, url, ca)
    for scale_client in (judge.test, judge.live):
        scale_client.create_project(PROJECT, scaleapi.tasks.TaskType.ImageAnnotation)
    for case in CASES:
        try:
            case(judge)
            fault = None
        except Exception:  # noqa: BLE001 - whatever it is, it is told
            fault = traceback.format_exc()
        print(json.dumps({"case": case.__name__, "fault": fault}), flush=True)


if __name__ == "__main__":
    main()
