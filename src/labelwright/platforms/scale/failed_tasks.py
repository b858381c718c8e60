"""Tasks of a campaign that ended without labels: errors and cancelled ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import FailedImage

from .client import Json, ScaleClient
from .errors import InvalidRequest
from .listing import TaskListing
from .models import CANCELLED, DEAD, ERROR, failed_from, has_image_id, image_name, metadata_of, status_of
from .order import SETTLED

NAME = "scale"


@dataclass(frozen=True, slots=True)
class FailedTasks:
    """The failed tasks of one batch. `list_tasks` lists its tasks of a status, or all of them for None."""

    client: ScaleClient
    campaign: str
    list_tasks: Callable[[str | None], TaskListing]

    def images(self) -> Iterator[FailedImage]:
        """The images whose task failed and was neither replaced nor dropped."""
        for task in self._tasks(f"list the failed images of campaign '{self.campaign}'"):
            name = image_name(task, self.campaign)
            if name is not None and has_image_id(task, self.campaign):
                yield failed_from(task, name)

    def count(self) -> tuple[int, int]:
        """Counts failed and cancelled images that were neither replaced nor dropped."""
        failed = cancelled = 0
        for task in self._tasks(f"read campaign '{self.campaign}'"):
            if has_image_id(task, self.campaign):
                failed, cancelled = failed + (status_of(task) == ERROR), cancelled + (status_of(task) in CANCELLED)
        return failed, cancelled

    def mark_settled(self) -> None:
        """Records in the batch that from now on not every failed task counts as an image. Idempotent."""
        metadata = metadata_of(self.client.get_batch(self.campaign))
        if metadata.get(SETTLED) != "yes":
            self.client.set_batch_metadata(self.campaign, metadata | {SETTLED: "yes"})

    def drop(self, tasks: Sequence[str]) -> None:
        """Takes the images of failed tasks out of the campaign. Raises PlatformRefused for a task that did not fail."""
        self.mark_settled()
        for id in tasks:
            operation = f"leave image {id} out"
            task = Fields(NAME, operation, self.client.fetch_task(id))
            if task.json.get("batch") not in (None, self.campaign) or status_of(task) not in DEAD:
                message = f"it is {status_of(task)} in batch '{task.json.get('batch')}'"
                raise PlatformRefused(NAME, operation, message=message, advice="Only failed images can be left out.")
            if has_image_id(task, self.campaign):
                self.client.clear_unique_id(id)

    def _tasks(self, operation: str) -> Iterator[Fields]:
        for filter, states in ((ERROR, {ERROR}), ("canceled", CANCELLED)):
            for doc in self._of_status(filter):
                task = Fields(NAME, operation, doc, f"task {doc.get('task_id')}")
                if status_of(task) in states:
                    yield task

    def _of_status(self, status: str) -> Iterator[Json]:
        """The tasks of that status, or all tasks where the server has no such filter: Scale's client has none for
        errors."""
        any_listed = False
        try:
            for doc in self.list_tasks(status):
                any_listed = True
                yield doc
        except InvalidRequest:
            if any_listed:
                raise
            yield from self.list_tasks(None)
