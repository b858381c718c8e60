"""Checks a campaign at Scale: which images are gone, and which labels its tasks offer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from labelwright.domain import ImageState
from labelwright.network.concurrency import bounded_map
from labelwright.platforms.errors import NotFound
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import PlatformLabels, UnlabeledImage

from .client import MOST, Json, ScaleClient
from .models import COMPLETED, DEAD, NAME, failed_from, has_image_id, image_name, status_of
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


def unlabeled_images(tasks: Iterable[Json], campaign: str) -> Iterator[UnlabeledImage]:
    """Yields the images of tasks that are not completed. A task that a review sent back is rejected."""
    operation = f"list the unlabeled images of campaign '{campaign}'"
    for document in tasks:
        task = Fields(NAME, operation, document, f"task {document.get('task_id')}")
        status, name = status_of(task), image_name(task, campaign)
        if status == COMPLETED or name is None or (status in DEAD and not has_image_id(task, campaign)):
            continue
        if status in DEAD:
            failed = failed_from(task, name)
            state, detail = ImageState.CANCELLED if failed.cancelled else ImageState.FAILED, failed.reason
        elif task.json.get("customer_review_status") == "rejected":
            state, detail = ImageState.REJECTED, "rejected in the customer's review"
        else:
            state, detail = ImageState.NOT_LABELED, ""
        yield UnlabeledImage(task.id("task_id"), name, state, detail)


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
