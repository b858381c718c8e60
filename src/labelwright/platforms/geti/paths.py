"""A Sonoma Creek or Geti server, from the first call on: which dialect it speaks, and where on it things are."""

from __future__ import annotations

from functools import cached_property

from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable

from .api_versions import Dialect, detect_api_version
from .models import GetiMedium, GetiProject, GetiTask, Unit
from .session import NAME, GetiSession


class GetiReached:
    """`page_size` is how many media are asked for at a time (default: the dialect's own)."""

    def __init__(
        self, session: GetiSession, *, workspace: str = "", organization: str = "", page_size: int | None = None
    ) -> None:
        self.session = session
        self._workspace, self._organization = workspace, organization
        self.page_size = page_size

    @cached_property
    def _met(self) -> tuple[Dialect, str]:
        return detect_api_version(self.session, workspace=self._workspace, organization=self._organization)

    def connect_platform(self) -> str:
        """Ask the server anew what it is. Answers its version."""
        self.__dict__.pop("_met", None)
        return self.version

    @property
    def dialect(self) -> Dialect:
        return self._met[0]

    @property
    def version(self) -> str:
        return self._met[1]

    @property
    def unit(self) -> Unit:
        return self.dialect.unit

    # Where things are

    @property
    def _size(self) -> int:
        return self.page_size or self.dialect.page

    def _of(self, project: str) -> str:
        return f"{self.dialect.root}/projects/{project}"

    def _chain(self, project: GetiProject, task: GetiTask) -> str:
        return f"{self._of(project.id)}/configuration/task_chain/{task.id}"

    def _dataset(self, project: GetiProject, dataset: str) -> str:
        """Path of a dataset; by default the first. Raises PlatformRefused when the server told of none."""
        if not dataset and not project.datasets:
            told = f"the server told of no dataset of project {project.id}"
            raise PlatformRefused(NAME, f"find the dataset of '{project.name}'", status=200, message=told)
        return f"{self._of(project.id)}/datasets/{dataset or project.dataset}"

    def _medium(self, project: GetiProject, medium: GetiMedium, dataset: str) -> str:
        kind = "videos" if medium.type == "video" else "images"
        return f"{self._dataset(project, dataset)}/media/{kind}/{medium.id}"

    def _delete(self, operation: str, path: str) -> None:
        try:
            self.session.ask(operation, "DELETE", path)
        except NotFound:
            return
        except PlatformRefused as refused:
            if refused.status != 409:
                raise
            locked = refused
        else:
            return
        advice = "Jobs of the project are running: wait for them, or cancel them."
        raise PlatformUnavailable(NAME, operation, status=409, message=locked.message, advice=advice)
