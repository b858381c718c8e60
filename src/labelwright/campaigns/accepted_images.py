"""Leaves out images that the campaign's platform does not accept, for `plan` and `launch` alike: before the upload."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pydantic import ValidationError

from labelwright.domain import Image, Reject
from labelwright.ingest import InventoryItem, Source
from labelwright.ingest.sources.local import SharesUrls
from labelwright.network.deadlines import OutOfTime, time_limit
from labelwright.platforms import PlatformError
from labelwright.platforms.image_limits import ImageLimits
from labelwright.platforms.protocol import Platform, TellsImageLimits
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import SettingsError

from .spec import CampaignSpec

_SECONDS = 30.0
_SHOWN = 5


class AcceptedImages:
    """The limits of a campaign's platform, and which of its images are beyond them.

    `faults`: a sentence for each image that stops the launch, on platforms where it does not just leave them out.
    """

    def __init__(self, spec: CampaignSpec, limits: ImageLimits, source: Source) -> None:
        entry = PLATFORMS[spec.platform]
        self._limits, self._name, self._stops = limits, entry.shown_name, entry.images.stops_launch
        self._source = source
        self.faults: list[str] = []

    def check(self, items: Iterable[InventoryItem | Reject]) -> Iterator[InventoryItem | Reject]:
        """Yields the items; images that the platform would leave out as rejects."""
        for item in items:
            fault = self._fault(item) if isinstance(item, InventoryItem) else ""
            if not fault or isinstance(item, Reject):
                yield item
            elif self._stops:
                self.faults.append(f"{item.source_name or item.image.name} {fault}")
                yield item
            else:
                yield Reject(item.source_name or item.image.name, f"{self._name} does not accept it: {fault}")

    def must_open(self, image: Image) -> bool:
        """Whether an image that was checked earlier may be beyond the limits by what the ledger does not keep."""
        return self._limits.must_open(image)

    def refusal(self) -> str:
        """Why the campaign cannot be launched with these images; empty when it can."""
        if not self.faults:
            return ""
        more = f" and {len(self.faults) - _SHOWN:,} more" if len(self.faults) > _SHOWN else ""
        listed = "; ".join(self.faults[:_SHOWN])
        return (
            f"{self._name} does not accept {len(self.faults):,} of the images: {listed}{more}. Leave them out "
            "(images.exclude), or convert them"
        )

    def _fault(self, item: InventoryItem) -> str:
        fault = self._limits.fault(item.image)
        if not fault or not self._limits.fetches_urls or not isinstance(self._source, SharesUrls):
            return fault
        has_url = self._source.url_for(item.location, 60) is not None
        return self._limits.fault(item.image, has_url=has_url)


def documented_limits(spec: CampaignSpec) -> ImageLimits:
    """The limits of the registry, with what the campaign's options for the platform change. Sends no request."""
    entry = PLATFORMS[spec.platform]
    return entry.load().image_limits(entry.images, spec.options)


def limits_of_platform(spec: CampaignSpec, connect: Callable[[], Platform]) -> ImageLimits:
    """The limits that the platform's server tells; those of the registry when it tells none or does not respond.

    One request at most. What is wrong with the platform's address or credentials is for the checks of its access to
    report.
    """
    documented = documented_limits(spec)
    if not issubclass(PLATFORMS[spec.platform].adapter(), TellsImageLimits):
        return documented
    try:
        platform = connect()
        with time_limit(_SECONDS):
            return platform.image_limits() if isinstance(platform, TellsImageLimits) else documented
    except (SettingsError, PlatformError, ValidationError, OutOfTime):
        return documented
