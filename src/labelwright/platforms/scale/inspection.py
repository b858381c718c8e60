"""Checks a campaign at Scale: which images are gone, and which labels its tasks offer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from labelwright.network.concurrency import bounded_map
from labelwright.platforms.errors import NotFound
from labelwright.platforms.protocol import PlatformLabels

from .client import MOST, ScaleClient
from .order import order_in


def deleted_images(client: ScaleClient, campaign: str, tasks: Sequence[str], threads: int) -> dict[str, str]:
    """Returns which of the tasks are gone from the batch, and why. Sends one request per task."""

    def reason(task: str) -> str:
        try:
            batch = client.fetch_task(task).get("batch")
        except NotFound:
            return f"task {task} is no longer at Scale"
        return f"task {task} is in batch '{batch}' now" if batch not in (None, campaign) else ""

    reasons = bounded_map(reason, tasks, threads=threads, name="scale")
    return {task: detail for task, detail in zip(tasks, reasons, strict=True) if detail}


def offered_labels(client: ScaleClient, campaign: str) -> PlatformLabels | None:
    """Returns the labels that all tasks of the first page offer, or those of the order when tasks do not list them."""
    order = order_in(client.get_batch(campaign).get("metadata"))
    names = labels_in(order.body) if order is not None else ()
    offers = [labels_in(task.get("params")) for task in client.tasks(batch=campaign, limit=MOST).docs]
    non_empty = [offer for offer in offers if offer]
    if non_empty:
        names = tuple(name for name in non_empty[0] if all(name in offer for offer in non_empty[1:]))
    return PlatformLabels(names) if names else None


def labels_in(params: object) -> tuple[str, ...]:
    """Returns every label in the parameters of a task: categories and objects of all geometries, with subchoices."""
    if not isinstance(params, Mapping):
        return ()
    geometries = params.get("geometries")
    kinds = geometries.values() if isinstance(geometries, Mapping) else ()
    lists = [params.get("categories"), params.get("objects_to_annotate")]
    lists += [kind.get("objects_to_annotate") for kind in kinds if isinstance(kind, Mapping)]
    return tuple(dict.fromkeys(name for choices in lists if isinstance(choices, list) for name in _choices(choices)))


def _choices(choices: Iterable[object]) -> Iterator[str]:
    for item in choices:
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            if isinstance(item.get("choice"), str):
                yield item["choice"]
            children = item.get("subchoices")
            yield from _choices(children) if isinstance(children, list) else ()
