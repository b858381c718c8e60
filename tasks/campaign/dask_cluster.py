"""Checks the images of one campaign on a Dask cluster, where one machine would decode and hash for days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from labelwright.campaigns.image_source import limits_of
from labelwright.ingest import Checked, RemoteChecker, SourceFile, check_files
from labelwright.platforms import PlatformUnavailable
from labelwright.settings import SettingsError
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import UNCACHED

if TYPE_CHECKING:
    from prefect_dask.task_runners import DaskTaskRunner

_AHEAD = 200
"""Batches under way: some hundred thousand files, 20 MB of names here, and enough work for hundreds of cores."""


@task(task_run_name="check images of {title} from {files[0].name}", **UNCACHED)
def check_batch(title: str, files: list[SourceFile]) -> list[Checked]:
    """Check a batch on a machine of the cluster, whose settings name the ledger and the images' credentials.

    Files that may be readable later are returned, not raised: `build_inventory` decides what follows.
    """
    context = CampaignContext(title)
    return check_files(context.source, files, limits_of(context.spec.images))


class DaskCluster:
    """Takes batches from `build_inventory` (an `RemoteChecker`). Connects at the first one."""

    ahead = _AHEAD

    def __init__(self, title: str, batch: int, runner: DaskTaskRunner, address: str) -> None:
        self._title, self.batch, self._runner, self._address = title, batch, runner, address

    def check(self, files: list[SourceFile]) -> Callable[[], list[Checked]]:
        with self._cluster_errors():
            future = self._runner.submit(check_batch, {"title": self._title, "files": files})

        def results() -> list[Checked]:
            with self._cluster_errors():
                return list(future.result())

        return results

    @contextmanager
    def _cluster_errors(self) -> Iterator[None]:
        """Report a cluster that is away, or whose machines died, as unavailable: checks have no effects to undo."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            yield
        except (CancelledError, KilledWorker, CommClosedError, TimeoutError, OSError) as error:
            raise PlatformUnavailable(
                "Dask",
                "check images",
                message=f"the cluster at {self._address} failed: {type(error).__name__}",
                advice="Check its scheduler and workers, or remove LABELWRIGHT_DASK_SCHEDULER from the settings.",
            ) from error


@contextmanager
def connected_cluster(context: CampaignContext) -> Iterator[RemoteChecker | None]:
    """The Dask cluster of the settings, open while images are checked; None without one. Raises SettingsError."""
    address = context.settings.dask_scheduler
    if address is None:
        yield None
        return
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError:
        raise SettingsError(
            "a Dask cluster needs one more package: pip install 'labelwright[dask]', here and on every machine of the "
            "cluster. Or remove LABELWRIGHT_DASK_SCHEDULER from the settings"
        ) from None
    log().info("images of %s are checked by the Dask cluster at %s", context.title, address)
    with DaskTaskRunner(address=address, client_kwargs={"set_as_default": False}) as runner:
        yield DaskCluster(context.title, context.settings.batch_size, runner, address)
