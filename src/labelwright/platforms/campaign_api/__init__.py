"""The labeling-campaign REST API."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry
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
)
