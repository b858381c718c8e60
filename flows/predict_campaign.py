"""Puts a model's predictions into a campaign, for labelers to correct."""

from prefect import flow

from labelwright.tasks.campaign.predictions import put_predictions
from labelwright.tasks.leases import with_run_lease


@flow(name="predict-campaign", flow_run_name="predictions for {title}")
@with_run_lease
def predict_campaign(title: str, coco: str, model_version: str = "") -> int:
    """Puts the objects of a COCO file into the campaign. They replace earlier predictions.

    coco: path of the file. model_version: of the model that made it, kept with each object by the embedded service.
    Returns the number of images with predictions.
    """
    return put_predictions(title, coco, model_version)
