"""The labeling-campaign REST API."""

from labelwright.domain.image_limits import MOST_PIXELS
from labelwright.imaging.memory_limits import MOST_DECODING_BYTES
from labelwright.platforms.entry import Adapter, Credential, PlatformEntry
from labelwright.platforms.image_limits import ImageLimits
from labelwright.platforms.label_names import LabelNames
from labelwright.platforms.label_support import FULL


def load() -> Adapter:
    from .adapter import CampaignApi, Options, connect

    return Adapter(CampaignApi, Options, connect)


ENTRY = PlatformEntry(
    name="campaign_api",
    title="the campaign API",
    description="the labeling-campaign REST API, which `labelwright serve` speaks",
    load=load,
    needs=(Credential.URL, Credential.KEY, Credential.SECRET),
    labels=FULL,
    # Of an embedded service that is not asked, or does not respond.
    images=ImageLimits(most_pixels=MOST_PIXELS, most_decoding_bytes=MOST_DECODING_BYTES),
    names=LabelNames(longest=200, longest_attribute=200, longest_value=200, longest_default=2_000, printable=True),
)
