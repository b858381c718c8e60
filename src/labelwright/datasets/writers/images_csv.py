"""`<title>_images.csv`: the images of a campaign, where they are and what they hash to."""

from __future__ import annotations

from collections.abc import Iterator

from labelwright.datasets.spool.batch import Batch
from labelwright.domain.spreadsheets import csv_cell

from .automl import lasting_url
from .formats import FileFormat

COLUMNS = ("image_id", "file_name", "url", "sha256", "width", "height", "platform_image_id")


class ImagesCsv:
    """`platform_image_id` is the manifest's, or else the one that came with the labels."""

    def head(self) -> bytes:
        return ",".join(COLUMNS).encode() + b"\r\n"

    def body(self, batch: Batch) -> bytes:
        lines = []
        for image, delivered_id in zip(batch.images, batch.remote_ids, strict=True):
            text_cells = map(csv_cell, (image.name, lasting_url(image.url), image.sha256))
            remote_id = csv_cell(image.remote_id or delivered_id)
            fields = (image.position, *text_cells, image.size.width, image.size.height, remote_id)
            lines.append(b"%d,%b,%b,%b,%d,%d,%b\r\n" % fields)
        return b"".join(lines)

    def tail(self) -> Iterator[bytes]:
        return iter(())


IMAGES_CSV = FileFormat("_images{part}.csv", lambda _: ImagesCsv())
