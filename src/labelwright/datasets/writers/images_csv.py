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
            name, url, sha256 = csv_cell(image.name), csv_cell(lasting_url(image.url)), csv_cell(image.sha256)
            start = b"%d,%b,%b,%b" % (image.position, name, url, sha256)
            size = b"%d,%d" % (image.size.width, image.size.height)
            lines.append(b"%b,%b,%b\r\n" % (start, size, csv_cell(image.remote_id or delivered_id)))
        return b"".join(lines)

    def tail(self) -> Iterator[bytes]:
        return iter(())


IMAGES_CSV = FileFormat("_images{part}.csv", lambda _: ImagesCsv())
