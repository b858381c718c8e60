"""The calls of Sonoma Creek and Geti, one method each. What they are put together to stands in geti.py and beside it.

Nothing is retried here but what geti_session says. Creating a project is not idempotent: names may come twice, so
whoever says it again after a lost answer looks first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.json_fields import Fields

from .media import GetiMedia
from .models import GetiProject, Unit, project_from
from .projects import CannotBe, NewTask, check, project_body
from .session import NAME
from .settings import GetiSettings


class GetiClient(GetiSettings, GetiMedia):
    """Every call: those of projects and jobs here, those of configuration, media and annotations in the parts."""

    # Projects

    def projects(self) -> Iterator[GetiProject]:
        """Every project of the workspace; of newer servers these may lack labels."""
        return self.dialect.projects(self.session, "list the projects")

    def project(self, project: str) -> GetiProject:
        return self.dialect.project(self.session, f"read project {project}", project)

    def find_project(self, name: str) -> GetiProject | None:
        """The project of exactly that name. Names are not unique: two raise PlatformRefused."""
        operation = f"find project '{name}'"
        found = [one for one in self.dialect.projects(self.session, operation) if one.name == name]
        if len(found) > 1:
            told = f"there are {len(found)} of that name: {', '.join(one.id for one in found[:10])}"
            raise PlatformRefused(NAME, operation, status=200, message=told, advice="Rename all but one.")
        return found[0] if found else None

    def create_project(self, name: str, tasks: list[NewTask]) -> GetiProject:
        """Not idempotent. Raises PlatformRefused for a project that cannot be, without asking the server."""
        operation = f"create project '{name}'"
        try:
            check(tasks)
        except CannotBe as fault:
            refused = PlatformRefused(NAME, operation, message=str(fault))
        else:
            body = project_body(name, tasks, every_group=self.unit is Unit.PIXELS)
            path = f"{self.dialect.root}/projects"
            return project_from(
                Fields(NAME, operation, self.session.ask(operation, "POST", path, json=body, repeatable=False))
            )
        raise refused

    def wait_until_ready(self, project: str, seconds: float = 30.0) -> None:
        """Until the server has made what belongs to a new project: before that its configuration cannot be read."""
        ends = time.monotonic() + seconds
        while True:
            try:
                self.session.ask(f"wait for project {project}", "GET", f"{self._of(project)}/status")
            except NotFound as failure:
                if time.monotonic() >= ends:
                    raise
                waited = failure
            else:
                return
            del waited
            time.sleep(min(0.5, max(0.0, ends - time.monotonic())))

    def delete_project(self, project: str) -> None:
        """Of a project that is gone it does nothing. Raises PlatformUnavailable while its jobs run."""
        self._delete(f"delete project {project}", self._of(project))

    def algorithms(self) -> list[dict[str, Any]]:
        """What can be trained, as SC 1.x tells it: `algorithm_name`, `task_type`, `model_template_id` and more."""
        operation = "list the algorithms"
        answer = Fields(NAME, operation, self.session.ask(operation, "GET", f"{self.dialect.api}/supported_algorithms"))
        return [one.json for one in answer.each("items" if answer.has("items") else "supported_algorithms")]

    def status(self, project: str) -> dict[str, Any]:
        """What its tasks are doing; tells of training, not of campaigns."""
        operation = f"read the status of project {project}"
        return Fields(NAME, operation, self.session.ask(operation, "GET", f"{self._of(project)}/status")).json

    # Jobs

    def job(self, job: str) -> dict[str, Any]:
        """With `state`: scheduled, running, finished, failed or cancelled. SC has it in `status`."""
        operation = f"read job {job}"
        return Fields(NAME, operation, self.session.ask(operation, "GET", f"{self.dialect.root}/jobs/{job}")).json

    def cancel_job(self, job: str) -> None:
        """Raises PlatformRefused (412) for one that cannot be cancelled any more."""
        self.session.ask(f"cancel job {job}", "POST", f"{self.dialect.root}/jobs/{job}:cancel", wanted="nothing")

    def wait_for_job(self, job: str, seconds: float = 3600.0, look_every: float = 2.0) -> dict[str, Any]:
        """Until it ended. Raises PlatformUnavailable when it did not in time, PlatformRefused when it failed."""
        ends, operation = time.monotonic() + seconds, f"wait for job {job}"
        while True:
            found = self.job(job)
            state = _state_of(found)
            if state == "finished":
                return found
            if state in ("failed", "cancelled"):
                raise PlatformRefused(NAME, operation, status=200, message=f"the job {state}")
            if time.monotonic() >= ends:
                raise PlatformUnavailable(
                    NAME, operation, message=f"the job is still '{state}'", advice="Look again later."
                )
            time.sleep(min(look_every, max(0.0, ends - time.monotonic())))


def _state_of(job: dict[str, Any]) -> str:
    status = job.get("status")
    told = job.get("state") or (status.get("state") if isinstance(status, dict) else "")
    return str(told or "").casefold()
