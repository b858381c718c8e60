"""The labeling-campaign REST API."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry


def load() -> Adapter:
    from .adapter import CampaignApi, Options, connect

    return Adapter(CampaignApi, Options, connect)


ENTRY = PlatformEntry(
    name="campaign_api",
    description="the labeling-campaign REST API, which `labelwright serve` speaks",
    load=load,
    needs=(Credential.URL, Credential.KEY, Credential.SECRET),
)
