"""The order by which a campaign's platform creates or changes it."""

from __future__ import annotations

from labelwright.platforms.protocol import CampaignOrder

from .spec import CampaignSpec


def order_of(spec: CampaignSpec) -> CampaignOrder:
    return CampaignOrder(
        spec.title,
        spec.schema_of_labels(),
        spec.labeler,
        spec.instructions,
        dict(spec.metadata),
        ignore_unsupported=spec.on_unsupported == "ignore",
    )
