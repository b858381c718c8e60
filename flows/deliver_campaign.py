"""Delivers what a campaign has now as a version of its datasets, also while labelers are at work."""

from typing import Any

from prefect import flow

from labelwright.tasks.campaign.platform_labels import check_platform_labels
from labelwright.tasks.campaign.progress import read_progress
from labelwright.tasks.campaign.summary import show_campaign
from labelwright.tasks.export.checks import check_labels, count_labeled
from labelwright.tasks.export.comparison import show_changes
from labelwright.tasks.export.datasets import register_datasets
from labelwright.tasks.export.delivering import (
    begin_delivery,
    conclude_delivery,
    record_delivery,
    refuse_undeliverable,
)
from labelwright.tasks.export.labels import read_all_labels
from labelwright.tasks.leases import campaign_lock
from labelwright.tasks.sweep.slots import start_next_runs


@flow(
    name="deliver-campaign",
    flow_run_name="deliver {title}",
    on_completion=[start_next_runs],
    on_failure=[start_next_runs],
)
def deliver_campaign(title: str, accept_partial: bool = False) -> list[dict[str, Any]]:
    """Reads the labels, registers those images that are labeled and valid, and lists every other image with its reason.

    accept_partial: leave out images that are not labeled or not valid. Without it, and without `export.partial` or
    `export.when` in the campaign file, every image has to be ready, or skipped, rejected or deleted on the platform.
    A campaign whose labelers are at work stays with them. Run again, it does only what is missing.
    Returns name, version and location of each dataset; an unchanged dataset keeps its version.
    """
    with campaign_lock(title, "deliver"):
        refuse_undeliverable(title)
        read_progress(title)
        check_platform_labels(title)
        earlier_done = count_labeled(title)
        read_all_labels(title)
        check_labels(title, accept_partial, earlier_done)
        begin_delivery(title)
        datasets = register_datasets(title)
        record_delivery(title, datasets)
        show_changes(title, datasets)
        conclude_delivery(title)
        show_campaign(title)
    return datasets
