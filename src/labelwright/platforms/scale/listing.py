"""Lists the tasks of a batch: page by page, or in parallel by time ranges when there are many."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any

from labelwright.network.deadlines import carry_limit
from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import PlatformRefused

from .client import MOST, Json, Page, ScaleClient
from .errors import InternalError, InvalidRequest
from .models import created_at
from .time_ranges import Window, split_time_range

NAME = "scale"
_TOKEN, _WINDOWS = "t:", "w:"


class TaskListing:
    """The tasks of one batch that match the filters. Holds one page in memory, of about `page_size` tasks.

    Up to `parallel_from` tasks are read with Scale's page tokens, the newest first; more of them by ranges of their
    creation time, the oldest first, with `threads` requests at once.
    """

    def __init__(
        self,
        client: ScaleClient,
        batch: str,
        *,
        page_size: int = 2000,
        threads: int = 16,
        parallel_from: int = 2000,
        **filters: Any,
    ) -> None:
        self._client, self._batch, self._filters = client, batch, filters
        self._page_size, self._threads, self._parallel_from = page_size, threads, parallel_from

    def __iter__(self) -> Iterator[Json]:
        cursor: str | None = None
        while True:
            docs, cursor = self.page(cursor)
            yield from docs
            if cursor is None:
                return

    def page(self, cursor: str | None) -> tuple[list[Json], str | None]:
        """Returns a page, from the start or from a cursor, and the next cursor, which is None on the last page.

        Raises NotFound when there is no such batch, PlatformRefused for an invalid cursor.
        """
        if cursor is None:
            first = self._request()
            if not first.docs:
                self._client.get_batch(self._batch)  # the list of a missing batch is empty too
            windows = self._windows(first)
            return self._by_tokens(first) if windows is None else self._by_windows(windows)
        if cursor.startswith(_TOKEN):
            return self._by_tokens(self._request(next_token=cursor.removeprefix(_TOKEN)))
        try:
            marks = [bounds.split("-") for bounds in cursor.removeprefix(_WINDOWS).split(",")]
            windows = [Window(int(start), int(end)) for start, end in marks]
        except ValueError:
            message = "the cursor is invalid"
            raise PlatformRefused(NAME, f"list the tasks of batch '{self._batch}'", message=message) from None
        return self._by_windows(windows)

    def _request(self, **more: Any) -> Page:
        return self._client.tasks(batch=self._batch, limit=min(MOST, self._page_size), **self._filters, **more)

    def _by_tokens(self, page: Page) -> tuple[list[Json], str | None]:
        docs = list(page.docs)
        while page.next is not None and len(docs) < self._page_size:
            page = self._request(next_token=page.next)
            docs += page.docs
        return docs, None if page.next is None else _TOKEN + page.next

    def _by_windows(self, windows: list[Window]) -> tuple[list[Json], str | None]:
        first, rest = windows[0], windows[1:]
        docs = [doc for part in for_each(self._read, first.parts(self._threads), self._threads) for doc in part]
        return docs, _WINDOWS + ",".join(f"{window.start}-{window.end}" for window in rest) if rest else None

    def _read(self, window: Window) -> list[Json]:
        docs: list[Json] = []
        token: str | None = None
        while True:
            page = self._request(**window.bounds, **({"next_token": token} if token else {}))
            for doc in page.docs:
                moment = created_at(doc)
                if moment is None or window.holds(moment):
                    docs.append(doc)
            token = page.next
            if token is None:
                return docs

    def _windows(self, first: Page) -> list[Window] | None:
        """The time ranges to read. None: read by tokens, as there are few tasks or creation times are missing."""
        total = first.total or 0
        if first.next is None or total <= self._parallel_from:
            return None
        begin, moments = created_at(self._client.get_batch(self._batch)), [created_at(doc) for doc in first.docs]
        creation_times = [moment for moment in moments if moment is not None]
        if begin is None or len(creation_times) < len(moments):
            return None
        whole = _around(begin, max(creation_times))
        with suppress(InvalidRequest, InternalError), ThreadPoolExecutor(self._threads) as pool:
            if self._count(whole) >= total:
                return split_time_range(whole, total, self._page_size, carry_limit(self._count), pool) or None
        return None  # tokens work without time bounds

    def _count(self, window: Window) -> int:
        page = self._client.tasks(batch=self._batch, limit=1, **self._filters, **window.bounds)
        return page.total or 0


def _around(first: datetime, last: datetime) -> Window:
    return Window(int(first.timestamp()) - 1, int(last.timestamp()) + 2)
