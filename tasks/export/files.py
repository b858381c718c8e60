"""Writes the files of a delivery on this machine, before they are registered."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from labelwright.datasets.croissant import write_croissant
from labelwright.datasets.delivery import REJECTED_CSV, write_rejected
from labelwright.datasets.splits import Split
from labelwright.datasets.spool.batch import StockedImage
from labelwright.datasets.writers.errors import ImageChanged
from labelwright.datasets.writers.image_files import ImageAccess, ImageFiles
from labelwright.datasets.writers.registry import DESCRIPTION, output_names
from labelwright.datasets.writers.writing import write_many
from labelwright.ingest import CannotRead, SourceError
from labelwright.ingest.video.source import VideoSource
from labelwright.platforms.registry import PLATFORMS
from labelwright.tasks.campaign.excluded_images import delivery_of
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.export.images import path_column
from labelwright.tasks.export.labels import delivered
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

IMAGES, LABELS = "images", "labels"
"""The two datasets of a campaign."""
IMAGES_FORMAT = "images"
"""The format of the only file of IMAGES; all others are files of LABELS."""


def delivery_folder(context: CampaignContext, dataset: str) -> Path:
    return context.folder / "delivery" / dataset


@task(task_run_name="write the files of {title}", **RETRY_POLICY)
def write_files(title: str) -> list[str]:
    """Write the files and folders of both datasets in one pass over the labels. Returns the paths of what was written.

    Removes the files of an earlier export. Formats that the labels have nothing for are left out.
    """
    context = CampaignContext(title)
    shutil.rmtree(context.folder / "delivery", ignore_errors=True)
    schema, split, folder = context.spec.schema_of_labels(), _split(context), delivery_folder(context, LABELS)
    formats = [IMAGES_FORMAT, *output_names(context.spec.export.formats, schema, split)]
    written = write_many(
        formats,
        delivered(context),
        schema,
        title=title,
        folder=folder,
        elsewhere={IMAGES_FORMAT: delivery_folder(context, IMAGES)},
        split=split,
        path_column=path_column(context),
        images=_image_access(context),
        videos=bool(context.spec.images.video),
        platform=context.spec.platform,
    )
    paths = [str(path) for path in written.values()]
    delivery = delivery_of(context)
    if delivery is not None and delivery.listed:
        source_names = context.ledger.manifests.source_names(title)
        listed = (replace(image, name=source_names.get(image.name, image.name)) for image in delivery.listed)
        write_rejected(folder / REJECTED_CSV, listed)
        paths.append(str(folder / REJECTED_CSV))
    if DESCRIPTION in context.spec.export.formats:  # last: it has the hashes of the others
        platform, created = PLATFORMS[context.spec.platform].shown_name, context.record.created_at
        metadata = context.spec.metadata
        paths.append(str(write_croissant(folder, title, published=created, platform=platform, metadata=metadata)))
    empty = [name for name in formats if name not in written]
    log().info("%s: wrote %s%s", title, ", ".join(paths), f"; nothing to write for {', '.join(empty)}" if empty else "")
    return paths


def _image_access(context: CampaignContext) -> ImageAccess:
    """Opens the images where the campaign took them from."""
    source = context.source

    def open_image(image: StockedImage) -> BinaryIO:
        try:
            return source.open(image.location)
        except (CannotRead, SourceError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ImageChanged(
                f"{image.file_name} cannot be read ({reason}). Put the original image back, then export again"
            ) from None

    def path_of(image: StockedImage) -> Path | None:
        if isinstance(source, VideoSource):  # else a list would depend on whether frames were deleted
            with open_image(image):
                return source.file(image.location)
        path = Path(image.location)
        return path if path.is_absolute() and path.is_file() else None

    return ImageAccess(open_image, path_of, ImageFiles(context.spec.export.image_files))


def _split(context: CampaignContext) -> Split | None:
    split = context.spec.export.split
    return split.as_split() if split is not None else None
