"""Chooses the credentials of a campaign. The campaign keeps their name only."""

from __future__ import annotations

from labelwright.campaigns.spec import CampaignSpec
from labelwright.prefect_integration.blocks import Credentials, PlatformCredentials, name_of
from labelwright.settings import SettingsError

__all__ = ["Credentials", "with_credentials"]


def with_credentials(campaign: CampaignSpec, credentials: PlatformCredentials | None) -> CampaignSpec:
    """The campaign with the block's name as its connection. Raises SettingsError for another platform's block."""
    if credentials is None:
        return campaign
    if credentials.platform_name != campaign.platform:
        raise SettingsError(
            f"the chosen credentials are for {credentials.platform_name}, the campaign is for {campaign.platform}"
        )
    return campaign.model_copy(update={"connection": name_of(credentials)})
