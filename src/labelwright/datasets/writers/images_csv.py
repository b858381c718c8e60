"""`<title>_images.csv`: the images of a campaign, where they are and what they hash to."""

from __future__ import annotations

from collections.abc import Iterator

from labelwright.datasets.spool.batch import Batch
from labelwright.domain.spreadsheets import csv_cells

from .automl import lasting_urls
from .formats import FileFormat
from .store_paths import LineEnds

COLUMNS = ("image_id", "file_name", "url", "sha256", "width", "height", "platform_image_id")


class ImagesCsv:
    """`platform_image_id` is the manifest's, or else the one that came with the labels."""

    def __init__(self, path_column: str = "", *, videos: bool = False) -> None:
        self._ends = LineEnds(path_column, videos=videos)

    def head(self) -> bytes:
        return ",".join(COLUMNS).encode() + self._ends.head

    def body(self, batch: Batch) -> bytes:
        images = batch.images
        names = csv_cells([image.file_name for image in images])
        urls, hashes = csv_cells(batch.shared(lasting_urls)), csv_cells([image.sha256 for image in images])
        remote_ids = [
            image.remote_id or delivered_id for image, delivered_id in zip(images, batch.remote_ids, strict=True)
        ]
        cells = zip(images, names, urls, hashes, csv_cells(remote_ids), map(self._ends.of, images), strict=True)
        return b"".join(
            b"%d,%b,%b,%b,%d,%d,%b%b"
            % (image.position, name, url, sha256, image.size.width, image.size.height, remote_id, end)
            for image, name, url, sha256, remote_id, end in cells
        )

    def tail(self) -> Iterator[bytes]:
        return iter(())


IMAGES_CSV = FileFormat("_images{part}.csv", lambda export: ImagesCsv(export.path_column, videos=export.videos))
