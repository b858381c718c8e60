"""Pictures and statistics of the labels that were exported last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import BinaryIO

from labelwright.datasets.preview.contact_sheet import draw_contact_sheet
from labelwright.datasets.preview.label_chart import draw_label_chart
from labelwright.datasets.statistics import count
from labelwright.domain import Annotation
from labelwright.tasks.campaign.excluded_images import delivery_of
from labelwright.tasks.campaign.summary import CHART, CONTACT_SHEET
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext, open_image_of
from labelwright.tasks.retries import UNCACHED

from .labels import delivered, spool_of
from .statistics import publish_statistics

SHOWN = 60
"""Images on a contact sheet."""


@task(task_run_name="draw the labels of {title}", **UNCACHED)
def draw_labels(title: str) -> str:
    """Draw a contact sheet of the first images with their labels, and a bar chart of the labels; write the statistics.

    Returns the path of the contact sheet.
    """
    context = CampaignContext(title)
    target, schema = context.folder / CONTACT_SHEET, context.spec.schema_of_labels()
    draw_contact_sheet(_pictures(context), schema, target, most=SHOWN)
    counted = count(delivered(context), schema)
    draw_label_chart(counted.labels, schema, counted.images_without_objects, context.folder / CHART)
    publish_statistics(title)
    return str(target)


def _pictures(context: CampaignContext) -> Iterator[tuple[str, Callable[[], BinaryIO], Sequence[Annotation]]]:
    delivery = delivery_of(context)
    listed = delivery.names if delivery is not None else frozenset()
    images = (image for image in spool_of(context).images() if image.name not in listed)
    for image in islice(images, SHOWN + 1):
        entry = context.ledger.manifests.find(context.title, image.name)
        if entry is not None:
            yield image.name, partial(open_image_of, context, entry.location), image.annotations
