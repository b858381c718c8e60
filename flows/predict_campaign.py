"""Puts a model's predictions into a campaign, for labelers to correct."""

from prefect import flow

from labelwright.tasks.campaign.predictions import put_predictions
from labelwright.tasks.leases import with_run_lease


@flow(name="predict-campaign", flow_run_name="predictions for {title}")
@with_run_lease
def predict_campaign(title: str, coco: str) -> int:
    """Put the objects of a COCO file into the campaign, in place of earlier predictions.

    coco: path of the file. Returns how many images have predictions.
    """
    return put_predictions(title, coco)
