"""Image folders of the Azure ML store: copies or uploads images, compares them with the manifest, repairs them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from labelwright.domain import Image
from labelwright.ingest.checks.inventory import InventoryItem
from labelwright.ingest.sources.local import CannotRead
from labelwright.ingest.upload.dropbox import CHANGED, Dropbox, UploadReport
from labelwright.ingest.upload.verify import Difference, Finding, differences
from labelwright.network.concurrency import bounded_map
from labelwright.stores.protocol import ContentMismatch, ImageSource

from .blobs import Blobs


@dataclass(frozen=True)
class ImageFolders:
    """Image folders in the container. `uploads`: the folder where the platform may have the same images."""

    blobs: Blobs
    uploads: str
    threads: int

    def marked(self, folder: str) -> bool:
        """Whether the folder was complete and compared with the manifest once."""
        return self.blobs.look(f"{folder}.json") is not None

    def keep(
        self, folder: str, items: Sequence[InventoryItem], source: ImageSource, *, replace_wrong: bool
    ) -> UploadReport:
        """Stores a batch: copied on the server if possible, else uploaded. See KeepsImages."""
        if replace_wrong:
            return self._repair(folder, items, source)
        remaining, copied = list(items), 0
        if source.signed_url is not None:
            copied, remaining = self._copied(remaining, partial(self._copy_in, folder, source.signed_url, source))
        elif source.platform_folder and remaining and self._copy_over(folder, source, remaining[0]):
            # The first was there, so the platform keeps this image set in our container.
            copied, remaining = self._copied(remaining[1:], partial(self._copy_over, folder, source))
            copied += 1
        report = self._sent(folder, remaining, source)
        return UploadReport(report.sent + copied, report.present, report.failed)

    def compare(self, folder: str, images: Iterable[Image], *, deep: bool = False) -> Iterator[Difference]:
        """Yields the differences between the folder and the manifest; names without the folder."""
        start = f"{folder}/"
        wrong: set[str] = set()
        for difference in differences(self._as_blobs(folder, images), self.blobs.listed(start)):
            wrong.add(difference.name)
            yield Difference(difference.finding, difference.name.removeprefix(start), difference.reason)
        if deep:
            yield from self._read_all(
                folder, (difference for difference in images if f"{start}{difference.name}" not in wrong)
            )

    def seal(self, folder: str, images: Iterable[Image]) -> list[str]:
        totals = {"images": 0, "bytes": 0}

        def counting() -> Iterator[Image]:
            for image in images:
                totals["images"] += 1
                totals["bytes"] += image.bytes
                yield image

        wrong = [f"{folder}/{difference.name} {difference.reason}" for difference in self.compare(folder, counting())]
        if not wrong:
            self.blobs.put_text(f"{folder}.json", json.dumps(totals) + "\n")
        return wrong

    @staticmethod
    def _as_blobs(folder: str, images: Iterable[Image]) -> Iterator[Image]:
        return (replace(image, name=f"{folder}/{image.name}") for image in images)

    def _read_all(self, folder: str, images: Iterable[Image]) -> Iterator[Difference]:
        def digest_of(image: Image) -> tuple[Image, str]:
            return image, self.blobs.sha256_of(f"{folder}/{image.name}")

        for image, digest in bounded_map(digest_of, images, threads=self.threads, name="read"):
            if digest != image.sha256:
                reason = "has other bytes than the manifest says, although its size and stored MD5 agree"
                yield Difference(Finding.WRONG, image.name, reason)

    def _repair(self, folder: str, items: Sequence[InventoryItem], source: ImageSource) -> UploadReport:
        """Compares each image first; copies or uploads those that are missing or wrong."""

        def repair(item: InventoryItem) -> tuple[str, str]:
            stored = self.blobs.look(f"{folder}/{item.image.name}")
            if stored is not None and (stored.bytes, stored.md5_hex) == (item.image.bytes, item.image.md5):
                return "present", ""
            try:
                if source.signed_url is not None:
                    self._copy_in(folder, source.signed_url, source, item, replace_wrong=True)
                elif not (source.platform_folder and self._copy_over(folder, source, item, replace_wrong=True)):
                    self._send_over(folder, item, source)
            except (ContentMismatch, CannotRead, OSError) as error:
                return "failed", f"cannot be repaired: {error}"
            return "sent", ""

        outcomes = list(bounded_map(repair, items, threads=self.threads, name="repair"))
        failed = [(item.image.name, why) for item, (how, why) in zip(items, outcomes, strict=True) if how == "failed"]
        counts = [how for how, _ in outcomes]
        return UploadReport(counts.count("sent"), counts.count("present"), tuple(failed))

    def _send_over(self, folder: str, item: InventoryItem, source: ImageSource) -> None:
        image = item.image
        with source.open(item.location) as stream:
            data = stream.read(image.bytes + 1)
        if len(data) != image.bytes or hashlib.sha256(data).hexdigest() != image.sha256:
            raise ContentMismatch(CHANGED)
        self.blobs.overwrite(f"{folder}/{image.name}", data, image.bytes, bytes.fromhex(image.md5))

    def _sent(self, folder: str, items: Sequence[InventoryItem], source: ImageSource) -> UploadReport:
        if not items:
            return UploadReport(sent=0, present=0)
        prefixed = [
            InventoryItem(replace(item.image, name=f"{folder}/{item.image.name}"), item.location) for item in items
        ]
        report = Dropbox(self.blobs.engine(), threads=self.threads).upload(prefixed, source.open)
        failed = tuple((name.removeprefix(f"{folder}/"), reason) for name, reason in report.failed)
        return UploadReport(report.sent, report.present, failed)

    def _copied(
        self, items: Sequence[InventoryItem], copy: Callable[[InventoryItem], bool]
    ) -> tuple[int, list[InventoryItem]]:
        done = list(bounded_map(copy, items, threads=self.threads, name="copy"))
        return sum(done), [item for item, is_copied in zip(items, done, strict=True) if not is_copied]

    def _copy_in(
        self,
        folder: str,
        url: Callable[[str], str],
        source: ImageSource,
        item: InventoryItem,
        *,
        replace_wrong: bool = False,
    ) -> bool:
        self.blobs.copy_from_url(
            url(item.location),
            f"{folder}/{item.image.name}",
            etag=source.etag(item.location) if source.etag is not None else None,
            md5_hex=item.image.md5,
            size=item.image.bytes,
            replace=replace_wrong,
        )
        return True

    def _copy_over(self, folder: str, source: ImageSource, item: InventoryItem, *, replace_wrong: bool = False) -> bool:
        image = item.image
        return self.blobs.copy_within(
            f"{self.uploads}/{source.platform_folder}/{image.name}",
            f"{folder}/{image.name}",
            md5_hex=image.md5,
            size=image.bytes,
            replace=replace_wrong,
        )
