"""Reads the labels of tasks, and the states of images that are not labeled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from labelwright.domain import (
    Annotation,
    ExcludedImage,
    ImageState,
    LabeledImage,
    Opinion,
    Provenance,
    Size,
)
from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import LabelsPage, UnlabeledImage
from labelwright.platforms.shape_notices import ShapeNotices

from .annotations import Reader, size_in
from .images import remote_image
from .label_config import LabelConfig
from .server import Server

_STATES = "id,data,is_labeled,overlap,total_annotations,cancelled_annotations,draft_exists"


def read_page(server: Server, project: int, operation: str, config: LabelConfig, after: int) -> LabelsPage:
    """Reads the labels of the tasks after an id. `next` is the id of the last one."""
    page_size = server.options.labels_page
    page = server.client.task_page(operation, project, everything=True, page_size=page_size, after=after)
    tasks = list(page.each("tasks"))
    people = _people(server, operation, tasks)
    images: list[LabeledImage] = []
    excluded: list[ExcludedImage] = []
    notices = ShapeNotices()
    for task in tasks:
        if task.json.get("is_labeled") is not True:
            continue
        answers = [entry for entry in task.each("annotations") if entry.json.get("was_cancelled") is not True]
        if answers:
            images.append(_labeled(task, answers, config, people, notices))
        else:
            excluded.append(_skipped(task, people))
    following = tasks[-1].id("id") if len(tasks) == page_size else None
    return LabelsPage(tuple(images), following, notices.checked(), tuple(excluded))


def _people(server: Server, operation: str, tasks: Sequence[Fields]) -> Mapping[int, str]:
    """Returns the e-mail addresses of the people who annotated these tasks, by their ids."""
    ids = {entry.json.get("completed_by") for task in tasks for entry in task.each("annotations")}
    return server.people({id for id in ids if isinstance(id, int)}, operation)


def _labeled(
    task: Fields, answers: Sequence[Fields], config: LabelConfig, people: Mapping[int, str], notices: ShapeNotices
) -> LabeledImage:
    """The image with the answer that datasets take: ground truth before others, then the one changed last.

    Its size is what a browser displayed, else what was sent; None when somebody changed the task's data.
    """
    image = remote_image(task)
    answers = sorted(answers, key=_rank)
    size = size_in([region for answer in reversed(answers) for region in answer.list("result")])
    if size is None and image.width and image.height:
        size = Size(image.width, image.height)
    annotations = _annotations(answers[-1], config, people, image.name, size, notices)
    opinions: tuple[Opinion, ...] = ()
    if len(answers) > 1:
        opinions = tuple(_opinion(answer, config, people, image.name, size) for answer in answers)
    return LabeledImage(image.name, size, annotations, image.id, opinions=opinions)


def _rank(answer: Fields) -> tuple[bool, str, int]:
    updated = answer.json.get("updated_at")
    return answer.json.get("ground_truth") is True, updated if isinstance(updated, str) else "", answer.whole("id")


def _annotations(
    answer: Fields, config: LabelConfig, people: Mapping[int, str], image: str, size: Size | None, notices: ShapeNotices
) -> tuple[Annotation, ...]:
    regions = [
        Fields(answer.platform, answer.operation, region, f"annotation {answer.id('id')}, region {number}")
        for number, region in enumerate(answer.list("result"), 1)
    ]
    return Reader(config, image, size, notices).read(regions, _provenance(answer, people))


def _provenance(answer: Fields, people: Mapping[int, str]) -> Provenance:
    return Provenance(
        labeler=_labeler(answer, people),
        created_at=answer.moment("created_at"),
        changed_at=answer.moment("updated_at"),
        seconds=_seconds(answer),
    )


def _labeler(answer: Fields, people: Mapping[int, str]) -> str | None:
    """Who labeled, as the server believes it: everybody may write in anybody's name."""
    person = answer.json.get("completed_by")
    number = person.get("id") if isinstance(person, dict) else person
    return people.get(number, f"user {number}") if isinstance(number, int) else None


def _seconds(answer: Fields) -> float | None:
    seconds = answer.json.get("lead_time")
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < float("inf") else None


def _opinion(answer: Fields, config: LabelConfig, people: Mapping[int, str], image: str, size: Size | None) -> Opinion:
    annotations = _annotations(answer, config, people, image, size, ShapeNotices())
    return Opinion(_labeler(answer, people), annotations, answer.moment("updated_at"), _seconds(answer))


def _skipped(task: Fields, people: Mapping[int, str]) -> ExcludedImage:
    image = remote_image(task)
    labelers = sorted({_labeler(entry, people) or "somebody" for entry in task.each("annotations")})
    regions = sum(len(entry.list("result")) for entry in task.each("annotations"))
    detail = f"skipped by {', '.join(labelers)}" if labelers else "labeled there, without any annotation"
    detail += f", with {regions} region{'' if regions == 1 else 's'} on it" if regions else ""
    return ExcludedImage(image.name, ImageState.SKIPPED, detail, image.id)


def unlabeled_images(server: Server, project: int, operation: str) -> Iterator[UnlabeledImage]:
    """Yields the images that are not done, with their state."""
    options = server.options
    tasks = server.client.tasks(operation, project, include=_STATES, everything=True, page_size=options.page_size)
    for task in tasks:
        if task.json.get("is_labeled") is not True:
            state, detail = _state(task)
            image = remote_image(task)
            yield UnlabeledImage(image.id, image.name, state, detail)


def _state(task: Fields) -> tuple[ImageState, str]:
    count, cancelled = (int(task.json.get(name) or 0) for name in ("total_annotations", "cancelled_annotations"))
    overlap = int(task.json.get("overlap") or 1)
    if count:
        return ImageState.DRAFT, f"labeled {count} of {overlap} times by different people"
    if task.json.get("draft_exists"):
        return ImageState.DRAFT, f"task {task.id('id')} has a draft that was not submitted"
    if cancelled:
        return ImageState.NOT_LABELED, f"task {task.id('id')} was skipped, and the project offers it again"
    return ImageState.NOT_LABELED, ""


def deleted_among(server: Server, project: int, operation: str, images: Sequence[str]) -> Mapping[str, str]:
    """Returns those images whose task the server says it does not have."""
    if not images:
        return {}
    options = server.options
    existing = {
        task.id("id") for task in server.client.tasks(operation, project, include="id", page_size=options.page_size)
    }
    deleted: dict[str, str] = {}
    for image in images:
        if image not in existing and _is_gone(server, operation, image):
            deleted[image] = f"task {image} was deleted in Label Studio"
    return deleted


def _is_gone(server: Server, operation: str, image: str) -> bool:
    try:
        server.client.get(operation, f"/api/tasks/{image}")
    except NotFound:
        return True
    return False


def refuse_labeled(server: Server, operation: str, images: Sequence[str]) -> list[str]:
    """Returns those images that still have a task. Raises PlatformRefused when labeling has begun on one of them."""
    existing = []
    for image in images:
        try:
            task = server.client.get(operation, f"/api/tasks/{image}")
        except NotFound:
            continue
        if any(task.json.get(name) for name in ("annotations", "drafts", "draft_exists")):
            message = f"labeling has begun on task {image}"
            raise PlatformRefused(task.platform, operation, message=message, advice="Leave it in the campaign.")
        existing.append(image)
    return existing
