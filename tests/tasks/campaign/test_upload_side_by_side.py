"""Batches of an image set are sent side by side, and share the threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from labelwright.settings import forget_settings
from labelwright.tasks.campaign.image_set_upload import counting, upload_batch, upload_batches


class Uploads:
    """Stands for Prefect's task runner: runs the batches in threads."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.sent: list[int] = []
        self.running = self.most_running = 0
        self.lock = threading.Lock()
        self.failing: set[int] = set()

    def submit(self, title: str, batch: int) -> Future[Any]:
        return self._pool.submit(self._send, title, batch)

    def _send(self, _title: str, batch: int) -> int:
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        time.sleep(0.02)
        with self.lock:
            self.running -= 1
            self.sent.append(batch)
        if batch in self.failing:
            raise ConnectionError(f"batch {batch}")
        return 1


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Uploads]:
    with ThreadPoolExecutor(8) as pool:
        uploads = Uploads(pool)
        monkeypatch.setattr(upload_batch, "submit", uploads.submit)
        yield uploads
    forget_settings()


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[[int], None]:
    def choose(count: int) -> None:
        monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
        monkeypatch.setenv("LABELWRIGHT_UPLOAD_THREADS", str(count))
        forget_settings()

    return choose


@pytest.mark.parametrize(("count", "at_once"), [(16, 2), (1, 1)])
def test_two_batches_are_sent_at_once_where_there_are_threads(uploads, threads, count, at_once):
    threads(count)
    upload_batches("river", range(1, 8))
    assert sorted(uploads.sent) == list(range(1, 8))
    assert uploads.most_running == at_once


def test_no_batch_is_begun_after_one_has_failed(uploads, threads):
    threads(16)
    uploads.failing = {2}
    with pytest.raises(ConnectionError, match="batch 2"):
        upload_batches("river", range(1, 8))
    assert set(uploads.sent) <= {1, 2, 3}


def test_progress_counts_over_all_batches_that_are_being_sent():
    with counting("river", 100) as first:
        assert first() == 101
        with counting("river", 100) as second, counting("lake", 7) as other:
            assert (second(), first(), other()) == (102, 103, 8)
        assert first() == 104
    with counting("river", 104) as again:
        assert again() == 105
