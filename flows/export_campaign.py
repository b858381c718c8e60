"""Exports a finished campaign's labels as versioned datasets."""

from typing import Any

from prefect import flow

from labelwright.tasks.campaign.lifecycle import close_campaign, is_completed, mark_exported
from labelwright.tasks.campaign.platform_labels import check_platform_labels
from labelwright.tasks.campaign.progress import require_labeled
from labelwright.tasks.campaign.summary import show_campaign
from labelwright.tasks.export.checks import check_labels
from labelwright.tasks.export.comparison import show_changes
from labelwright.tasks.export.datasets import register_datasets
from labelwright.tasks.export.delivering import begin_delivery, record_delivery
from labelwright.tasks.export.labels import read_all_labels
from labelwright.tasks.leases import campaign_lock


@flow(name="export-campaign", flow_run_name="export {title}")
def export_campaign(title: str) -> list[dict[str, Any]]:
    """Reads the labels, checks them, writes the files, registers the datasets and verifies them.

    A campaign that is labeled and not closed yet is closed first. Raises NotLabeledYet before anything is read.

    Missing or damaged files of a registered version with the same content are restored.
    Returns name, version and location of each dataset; an unchanged dataset keeps its version.
    """
    with campaign_lock(title, "export"):
        require_labeled(title)
        check_platform_labels(title)
        read_all_labels(title)
        complete = check_labels(title)
        if complete and is_completed(title):
            close_campaign(title)
        begin_delivery(title)
        datasets = register_datasets(title)
        record_delivery(title, datasets)
        show_changes(title, datasets)
        mark_exported(title)
        show_campaign(title)
    return datasets
