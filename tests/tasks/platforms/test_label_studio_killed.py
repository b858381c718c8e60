"""A worker that is killed at any changing call to Label Studio does no harm: run again, everything is there once."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.domain import Annotation, Box, Size
from labelwright.platforms.label_studio.annotations import to_result
from labelwright.platforms.label_studio.label_config import label_config, read_config
from tests.flows.crashing import FORKS, Counter, Moment
from tests.platforms.label_studio.fake_server.server import FakeLabelStudio
from tests.platforms.label_studio.harness import submit
from tests.platforms.proxy import FaultProxy, Request

pytestmark = pytest.mark.slow

CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
BOAT = Annotation("boat", Box(4, 3, 20, 15))
IMAGES = 5


def worker(step: str, spec: dict[str, Any], environment: dict[str, str]) -> None:
    """Launches the campaign, or finishes and exports it, in a process of its own and without Prefect."""
    os.environ.update(environment)
    from labelwright.flows.finish_campaign import finish_campaign
    from labelwright.flows.launch_campaign import launch_campaign
    from labelwright.settings import forget_settings
    from tests.tasks.without_prefect import run_as_functions

    forget_settings()
    run_as_functions(pytest.MonkeyPatch())
    if step == "launch":
        launch_campaign(CampaignSpec.model_validate(spec))
    else:
        finish_campaign(spec["title"], export=True)


class Course:
    """One campaign from its launch to its datasets. The worker is killed at most once."""

    def __init__(self, folder: Path, moment: Moment | None) -> None:
        self.folder, self.moment, self.killed = folder, moment, False
        photos = folder / "photos"
        photos.mkdir(parents=True)
        for number in range(IMAGES):
            Image.new("RGB", (40, 30), (number * 20, 9, 9)).save(photos / f"photo-{number}.png")
        self.spec = validate_spec(
            {
                "title": "river",
                "platform": "label_studio",
                "images": {"folder": str(photos)},
                "labels": ["boat", "buoy"],
                "labeler": "owner@example.com",
                "options": {"images_per_batch": 3},
                "export": {"folder": str(folder / "datasets"), "formats": ["coco"]},
            },
            "campaign.yaml",
        )

    def run(self) -> tuple[dict[str, Any], int]:
        """How it ends, and how many changing calls there were."""
        with FakeLabelStudio() as server, FaultProxy(("127.0.0.1", server.port)) as proxy:
            server.world.access_seconds = 3600
            environment = {
                "LABELWRIGHT_HOME": str(self.folder / "home"),
                "LABELWRIGHT_CONNECTIONS__LABEL_STUDIO__URL": proxy.url,
                "LABELWRIGHT_CONNECTIONS__LABEL_STUDIO__KEY": server.pat,
            }
            calls = self._attempt("launch", environment, proxy, 0)
            config = read_config(label_config(self.spec.schema_of_labels()))
            for number, task in enumerate(list(server.world.tasks)):
                submit(server, str(task), [] if number == 1 else to_result([BOAT], Size(40, 30), config))
            calls = self._attempt("finish", environment, proxy, calls)
            return self._state(server), calls

    def _attempt(self, step: str, environment: dict[str, str], proxy: FaultProxy, calls: int) -> int:
        """Runs the step, again if it was killed. Returns the number of calls so far."""
        process = FORKS.Process(target=worker, args=(step, self.spec.model_dump(mode="json"), environment))
        counter = Counter(
            "request",
            None if self.killed else self.moment,
            lambda: os.kill(process.pid or 0, signal.SIGKILL),
            calls,
        )

        def before(request: Request) -> None:
            """A request of a worker that was killed before it asked does not reach the server, not even late."""
            if _changes(request):
                counter.before()
                if counter.struck:
                    raise ConnectionAbortedError("killed before this request")

        proxy.before_forward = before
        proxy.after_answer = lambda request, _: counter.after() if _changes(request) else None
        process.start()
        process.join(300)
        proxy.before_forward = proxy.after_answer = None
        if process.exitcode == -signal.SIGKILL and not self.killed:
            self.killed = True
            return self._attempt(step, environment, proxy, counter.count)
        assert process.exitcode == 0, f"{step} ended with {process.exitcode} after a kill {self.moment}"
        return counter.count

    def _state(self, server: FakeLabelStudio) -> dict[str, Any]:
        (coco,) = (self.folder / "datasets").rglob("v1/*_coco.json")
        document = json.loads(coco.read_text())
        names = {image["id"]: image["file_name"] for image in document["images"]}
        world = server.world
        return {
            "projects": [project.title for project in world.projects.values()],
            "tasks": sorted(task.data["lw_name"] for task in world.tasks.values()),
            "files": len(world.files),
            "snapshots": len(world.exports),
            "images": sorted(names.values()),
            "objects": sorted((names[item["image_id"]], item["bbox"]) for item in document["annotations"]),
            "versions": len(list((self.folder / "datasets").glob("*/v*"))),
        }


def _changes(request: Request) -> bool:
    return request.method in CHANGING and request.path.startswith("/api/projects")


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Callable[[Moment | None], Course]:
    return lambda moment: Course(tmp_path_factory.mktemp("killed"), moment)


@pytest.fixture(scope="module")
def undisturbed(course) -> tuple[dict[str, Any], int]:
    state, calls = course(None).run()
    assert (len(state["tasks"]), len(state["images"]), len(state["objects"])) == (IMAGES, IMAGES, IMAGES - 1)
    assert calls >= 7
    return state, calls


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_before_and_after_every_changing_call_leaves_everything_there_once(when, course, undisturbed):
    expected, calls = undisturbed
    for number in range(1, calls + 1):
        attempt = course(Moment("request", number, when))
        state, _ = attempt.run()
        assert attempt.killed, f"nobody was killed {attempt.moment}"
        assert state == expected, f"it ends otherwise after a kill {attempt.moment}"
