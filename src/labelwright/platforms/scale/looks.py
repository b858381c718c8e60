"""What is asked of Scale about a campaign as it is now: which images are gone, and which labels its tasks offer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from labelwright.network.deadlines import carry_limit
from labelwright.platforms.errors import NotFound
from labelwright.platforms.protocol import PlatformLabels

from .client import MOST, ScaleClient
from .order import order_in


def gone_from(client: ScaleClient, campaign: str, tasks: Sequence[str], threads: int) -> dict[str, str]:
    """Those of these tasks that are gone from the batch, and how. Each is asked for by its id."""

    def gone(task: str) -> str:
        try:
            batch = client.fetch_task(task).get("batch")
        except NotFound:
            return f"task {task} is no longer at Scale"
        return f"task {task} is in batch '{batch}' now" if batch not in (None, campaign) else ""

    with ThreadPoolExecutor(threads, thread_name_prefix="scale") as pool:
        found = zip(tasks, pool.map(carry_limit(gone), tasks), strict=True)
        return {task: detail for task, detail in found if detail}


def labels_of(client: ScaleClient, campaign: str) -> PlatformLabels | None:
    """The labels that every task of the first page offers; of tasks that do not tell, those that were ordered."""
    order = order_in(client.get_batch(campaign).get("metadata"))
    names = labels_in(order.body) if order is not None else ()
    offers = [labels_in(task.get("params")) for task in client.tasks(batch=campaign, limit=MOST).docs]
    told = [offer for offer in offers if offer]
    if told:
        names = tuple(name for name in told[0] if all(name in offer for offer in told[1:]))
    return PlatformLabels(names) if names else None


def labels_in(params: object) -> tuple[str, ...]:
    """Every label that the parameters of a task name: categories, objects of all geometries, with what they lead to."""
    if not isinstance(params, Mapping):
        return ()
    geometries = params.get("geometries")
    kinds = geometries.values() if isinstance(geometries, Mapping) else ()
    lists = [params.get("categories"), params.get("objects_to_annotate")]
    lists += [kind.get("objects_to_annotate") for kind in kinds if isinstance(kind, Mapping)]
    return tuple(dict.fromkeys(name for one in lists if isinstance(one, list) for name in _choices(one)))


def _choices(choices: Iterable[object]) -> Iterator[str]:
    for one in choices:
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            if isinstance(one.get("choice"), str):
                yield one["choice"]
            below = one.get("subchoices")
            yield from _choices(below) if isinstance(below, list) else ()
