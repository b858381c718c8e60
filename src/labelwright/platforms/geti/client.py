"""Client of Sonoma Creek and Geti: one method per call of the API.

Retries are the session's only. Creating a project is not idempotent, because names may occur twice: look the project
up by name before creating it again after a lost response.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.json_fields import Fields

from .media import GetiMedia
from .models import CoordinateUnit, GetiProject, project_from
from .projects import InvalidProject, NewTask, check, project_body
from .session import NAME
from .settings import GetiSettings


class GetiClient(GetiSettings, GetiMedia):
    """All calls: projects and jobs are here, configuration in GetiSettings, media and annotations in GetiMedia."""

    # Projects

    def projects(self) -> Iterator[GetiProject]:
        """Every project of the workspace. From newer servers these may lack labels."""
        return self.api_version.projects(self.session, "list the projects")

    def project(self, project: str) -> GetiProject:
        return self.api_version.project(self.session, f"read project {project}", project)

    def find_project(self, name: str) -> GetiProject | None:
        """The project of exactly that name, or None. Raises PlatformRefused when there are several."""
        operation = f"find project '{name}'"
        matches = [project for project in self.api_version.projects(self.session, operation) if project.name == name]
        if len(matches) > 1:
            ids = ", ".join(project.id for project in matches[:10])
            message = f"there are {len(matches)} of that name: {ids}"
            raise PlatformRefused(NAME, operation, status=200, message=message, advice="Rename all but one.")
        return matches[0] if matches else None

    def create_project(self, name: str, tasks: list[NewTask]) -> GetiProject:
        """Not idempotent. Raises PlatformRefused for an invalid project before any request is sent."""
        operation = f"create project '{name}'"
        try:
            check(tasks)
        except InvalidProject as error:
            refused = PlatformRefused(NAME, operation, message=str(error))
        else:
            body = project_body(name, tasks, every_group=self.unit is CoordinateUnit.PIXELS)
            path = f"{self.api_version.root}/projects"
            response = self.session.request(operation, "POST", path, json=body, repeatable=False)
            return project_from(Fields(NAME, operation, response))
        raise refused

    def wait_until_ready(self, project: str, seconds: float = 30.0) -> None:
        """Waits until a new project has a status; before that its configuration cannot be read. Raises NotFound."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.session.request(f"wait for project {project}", "GET", f"{self._project_path(project)}/status")
            except NotFound:
                if time.monotonic() >= deadline:
                    raise
            else:
                return
            time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))

    def delete_project(self, project: str) -> None:
        """Idempotent. Raises PlatformUnavailable while jobs of the project run."""
        self._delete(f"delete project {project}", self._project_path(project))

    def algorithms(self) -> list[dict[str, Any]]:
        """Trainable algorithms of SC 1.x: `algorithm_name`, `task_type`, `model_template_id` and more."""
        listing = self.session.get("list the algorithms", f"{self.api_version.api}/supported_algorithms")
        return [item.json for item in listing.each("items" if listing.has("items") else "supported_algorithms")]

    def status(self, project: str) -> dict[str, Any]:
        """Training status of the project's tasks; it does not tell how far annotating is."""
        return self.session.get(f"read the status of project {project}", f"{self._project_path(project)}/status").json

    # Jobs

    def job(self, job: str) -> dict[str, Any]:
        """A job with its `state`: scheduled, running, finished, failed or cancelled. SC has it in `status`."""
        return self.session.get(f"read job {job}", f"{self.api_version.root}/jobs/{job}").json

    def cancel_job(self, job: str) -> None:
        """Raises PlatformRefused (412) for a job that cannot be cancelled any more."""
        path = f"{self.api_version.root}/jobs/{job}:cancel"
        self.session.request(f"cancel job {job}", "POST", path, response_type="nothing")

    def wait_for_job(self, job: str, seconds: float = 3600.0, look_every: float = 2.0) -> dict[str, Any]:
        """Waits until a job finishes. Raises PlatformUnavailable at the deadline, PlatformRefused when it failed."""
        deadline, operation = time.monotonic() + seconds, f"wait for job {job}"
        while True:
            details = self.job(job)
            state = _job_state(details)
            if state == "finished":
                return details
            if state in ("failed", "cancelled"):
                raise PlatformRefused(NAME, operation, status=200, message=f"the job {state}")
            if time.monotonic() >= deadline:
                message = f"the job is still '{state}'"
                raise PlatformUnavailable(NAME, operation, message=message, advice="Look again later.")
            time.sleep(min(look_every, max(0.0, deadline - time.monotonic())))


def _job_state(job: dict[str, Any]) -> str:
    status = job.get("status")
    state = job.get("state") or (status.get("state") if isinstance(status, dict) else "")
    return str(state or "").casefold()
