"""Every call of Scale's document is a task of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import Task

from labelwright.platforms import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.scale.errors import Duplicate, InvalidRequest
from labelwright.settings import forget_settings
from labelwright.tasks.platforms import scale as scale_calls
from tests.platforms.scale.server import ScaleServer
from tests.platforms.scale.state import State

BOXES: dict[str, Any] = {
    "attachment": "https://s.example.com/a.jpg",
    "geometries": {"box": {"objects_to_annotate": ["boat"]}},
}


@pytest.fixture(scope="module")
def shared() -> Iterator[ScaleServer]:
    with ScaleServer() as server:
        server.live.create_project(
            {"name": "p", "type": "imageannotation", "params": {"instruction": "a", "tips": "b"}}
        )
        yield server


@pytest.fixture
def server(shared: ScaleServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScaleServer]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SCALE__URL", shared.url)
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SCALE__KEY", "live_key")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__TRIAL__PLATFORM", "scale")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__TRIAL__URL", shared.url)
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__TRIAL__KEY", "test_key")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__RIVER__PLATFORM", "campaign_api")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__RIVER__URL", "http://127.0.0.1:9/api/v1")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__RIVER__KEY", "key")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__RIVER__SECRET", "secret")
    forget_settings()
    yield shared
    shared.heal()
    forget_settings()


def say(name: str, *arguments: Any, **more: Any) -> Any:
    """The task's own function: retries are Prefect's."""
    task = getattr(scale_calls, name)
    assert isinstance(task, Task)
    return task.fn(*arguments, **more)


def test_tasks_are_made_fetched_listed_and_cancelled(server: ScaleServer) -> None:
    batch = say("create_batch", "of tasks", "p")["name"]
    created = say("create_task", "imageannotation", "t/1", BOXES | {"batch": batch})
    assert say("fetch_task", created["task_id"]) == created
    other = say("create_task", "imageannotation", "t/2", BOXES | {"batch": batch})
    page = say("list_tasks", {"batch": batch, "limit": 1})
    assert (page["docs"], page["total"]) == ([other], 2)
    page = say("list_tasks", {"batch": batch, "limit": 1, "next_token": page["next_token"]})
    assert (page["docs"], page["next_token"]) == ([created], None)
    assert say("cancel_task", created["task_id"])["status"] == "canceled"
    with pytest.raises(NotFound):
        say("fetch_task", "nobody")


def test_a_task_whose_answer_was_lost_is_the_one_that_is_answered(server: ScaleServer) -> None:
    server.fail("POST", "/task/", 500, after=True)
    with pytest.raises(PlatformUnavailable):
        say("create_task", "imageannotation", "lost/1", BOXES | {"project": "p"})
    created = say("create_task", "imageannotation", "lost/1", BOXES | {"project": "p"})
    assert server.live.unique_ids["lost/1"] == created["task_id"]
    for other in (
        ("categorization", BOXES | {"categories": ["a"]}),
        ("imageannotation", BOXES | {"batch": "elsewhere"}),
    ):
        with pytest.raises((Duplicate, InvalidRequest)):
            say("create_task", other[0], "lost/1", other[1])


def test_a_task_with_another_attachment_is_not_the_one_that_was_lost(server: ScaleServer) -> None:
    theirs = BOXES | {"project": "p", "attachment": "https://store.example.com/1.png?sig=a"}
    created = say("create_task", "imageannotation", "lost/2", theirs)
    again = theirs | {"attachment": "https://store.example.com/1.png?sig=b"}
    assert say("create_task", "imageannotation", "lost/2", again)["task_id"] == created["task_id"]
    ours = theirs | {"attachment": "https://store.example.com/2.png?sig=secret"}
    with pytest.raises(Duplicate) as caught:
        say("create_task", "imageannotation", "lost/2", ours)
    for part in ("shows https://store.example.com/1.png", "not https://store.example.com/2.png", created["task_id"]):
        assert part in str(caught.value)
    assert "secret" not in str(caught.value)


def test_another_task_is_not_taken_for_the_one_that_was_lost(
    server: ScaleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a server that does not heed the filter."""
    say("create_task", "imageannotation", "mine/1", BOXES | {"project": "p"})
    say("create_task", "imageannotation", "newer/1", BOXES | {"project": "p"})
    monkeypatch.setattr(server.live, "list_tasks", lambda query: State.list_tasks(server.live, {"limit": ["1"]}))
    with pytest.raises(Duplicate):
        say("create_task", "imageannotation", "mine/1", BOXES | {"project": "p"})


def test_tasks_are_renamed_marked_tagged_and_audited(server: ScaleServer) -> None:
    id = say("create_task", "imageannotation", "m/1", BOXES)["task_id"]
    assert say("set_unique_id", id, "m/2")["unique_id"] == "m/2"
    assert "unique_id" not in say("clear_unique_id", id)
    assert say("set_task_metadata", id, {"a": 1})["metadata"] == {"a": 1}
    say("set_tags", id, ["a"])
    say("add_tags", id, ["b"])
    assert say("remove_tags", id, ["a"])["tags"] == ["b"]
    server.live.complete(id, {"annotations": []})
    say("audit_task", id, accepted=True, comments="fine")
    assert say("fetch_task", id)["customer_review_status"] == "accepted"


def test_batches_are_created_once_read_finalized_and_listed(server: ScaleServer) -> None:
    more = {"callback": "https://labels.example.com/hook", "metadata": {"a": 1}}
    assert say("create_batch", "b1", "p", more) == say("create_batch", "b1", "p", more)
    server.live.create_project({"name": "q", "type": "imageannotation"})
    with pytest.raises(Duplicate):
        say("create_batch", "b1", "q")
    assert say("get_batch", "b1")["metadata"] == {"a": 1}
    assert say("batch_status", "b1") == {"status": "in_progress"}
    assert say("finalize_batch", "b1")["name"] == "b1"
    assert say("set_batch_metadata", "b1", {"b": 2})["metadata"] == {"b": 2}
    for number in range(3):
        say("create_batch", f"q{number}", "q")
    page = say("list_batches", {"project": "q", "limit": 2})
    assert ([item["name"] for item in page["docs"]], page["total"], page["offset"]) == (["q2", "q1"], 3, 2)
    assert say("list_batches", {"project": "q", "offset": 2})["offset"] is None
    assert [item["name"] for item in say("list_all_batches", {"project": "q"})] == ["q2", "q1", "q0"]


def test_what_waits_in_a_batch_is_cancelled_and_what_is_done_stays(server: ScaleServer) -> None:
    say("create_batch", "given up", "p")
    created = [
        say("create_task", "imageannotation", f"g/{n}", BOXES | {"batch": "given up"})["task_id"] for n in range(5)
    ]
    server.live.complete(created[0], {"annotations": []})
    server.fail("POST", f"{created[1]}/cancel", 400)
    assert say("cancel_pending_tasks", "given up") == {"cancelled": 3, "left": 1}
    assert say("cancel_pending_tasks", "given up") == {"cancelled": 1, "left": 0}
    assert say("batch_status", "given up") == {"status": "completed", "completed": 1, "canceled": 4}


def test_projects_are_made_once_read_listed_and_updated(server: ScaleServer) -> None:
    assert say("create_project", "r", "imageannotation") == say("create_project", "r", "imageannotation")
    with pytest.raises(Duplicate):
        say("create_project", "r", "categorization")
    assert say("get_project", "r")["type"] == "imageannotation"
    assert "r" in [item["name"] for item in say("list_projects")]
    assert say("create_project", "rapid", "imageannotation", None, {"rapid": True})["rapid"] is True
    assert say("list_projects", archived=False) == say("list_projects")
    assert ("GET", "/v1/projects?archived=false", 200) in server.requests
    assert say("update_project", "p", {"instruction": "c"})["param_history"][-1]["tips"] == "b"
    assert "tips" not in say("update_project", "p", {"instruction": "d"}, patch=False)["param_history"][-1]


def test_files_are_uploaded_and_imported(server: ScaleServer, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"12345")
    url = say("upload_file", str(tmp_path / "a.png"), "image/png", "r1", {"project_name": "p"})["attachment_url"]
    assert server.live.files[url]["size"] == 5
    assert say("import_file", "https://s.example.com/a.png", {"project_name": "p"})["attachment_url"] != url


def test_another_connection_is_another_account(server: ScaleServer) -> None:
    say("create_project", "only in test", "imageannotation", connection="trial")
    with pytest.raises(NotFound):
        say("get_project", "only in test")
    with pytest.raises(PlatformRefused, match="leads to campaign_api"):
        say("get_project", "p", connection="river")


def test_every_task_but_one_is_tried_again_and_takes_no_secret() -> None:
    tasks = {name: item for name, item in vars(scale_calls).items() if isinstance(item, Task)}
    assert len(tasks) == 25
    assert [name for name, item in tasks.items() if not item.retries] == ["update_project"]
    for name, item in tasks.items():
        parameters = set(item.fn.__annotations__)
        assert "connection" in parameters, name
        assert not parameters & {"key", "secret", "url_with_signature"}, name
