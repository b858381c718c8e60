"""Base of the client: detects the server's API version once and builds the paths of its resources."""

from __future__ import annotations

from functools import cached_property

from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable

from .api_versions import ApiVersion, detect_api_version
from .models import CoordinateUnit, GetiMedium, GetiProject, GetiTask
from .session import NAME, GetiSession


class GetiPaths:
    """A session, the server's API version, and the paths of projects, datasets and media.

    `page_size` is the number of media per request; by default the API version's own.
    """

    def __init__(
        self, session: GetiSession, *, workspace: str = "", organization: str = "", page_size: int | None = None
    ) -> None:
        self.session = session
        self._workspace, self._organization = workspace, organization
        self.page_size = page_size

    @cached_property
    def _detected_version(self) -> tuple[ApiVersion, str]:
        return detect_api_version(self.session, workspace=self._workspace, organization=self._organization)

    def connect_platform(self) -> str:
        """Detects the API version again. Returns the server's version."""
        self.__dict__.pop("_detected_version", None)
        return self.version

    @property
    def api_version(self) -> ApiVersion:
        return self._detected_version[0]

    @property
    def version(self) -> str:
        """The server's own version, such as `1.1.0-release-20220624125113`."""
        return self._detected_version[1]

    @property
    def unit(self) -> CoordinateUnit:
        return self.api_version.unit

    # Paths

    @property
    def _page_size(self) -> int:
        return self.page_size or self.api_version.page

    def _project_path(self, project: str) -> str:
        return f"{self.api_version.root}/projects/{project}"

    def _task_chain_path(self, project: GetiProject, task: GetiTask) -> str:
        return f"{self._project_path(project.id)}/configuration/task_chain/{task.id}"

    def _dataset_path(self, project: GetiProject, dataset: str) -> str:
        """Path of a dataset, by default the first. Raises PlatformRefused when the project lists none."""
        if not dataset and not project.datasets:
            message = f"the server lists no dataset of project {project.id}"
            raise PlatformRefused(NAME, f"find the dataset of '{project.name}'", status=200, message=message)
        return f"{self._project_path(project.id)}/datasets/{dataset or project.dataset}"

    def _medium_path(self, project: GetiProject, medium: GetiMedium, dataset: str) -> str:
        kind = "videos" if medium.type == "video" else "images"
        return f"{self._dataset_path(project, dataset)}/media/{kind}/{medium.id}"

    def _delete(self, operation: str, path: str) -> None:
        """Idempotent. Raises PlatformUnavailable while jobs of the project run (409)."""
        try:
            self.session.request(operation, "DELETE", path)
        except NotFound:
            return
        except PlatformRefused as refused:
            if refused.status != 409:
                raise
            conflict = refused
        else:
            return
        advice = "Jobs of the project are running: wait for them, or cancel them."
        raise PlatformUnavailable(NAME, operation, status=409, message=conflict.message, advice=advice)
