"""Exports a finished campaign's labels as versioned datasets."""

from typing import Any

from prefect import flow

from labelwright.tasks.campaign.lifecycle import close_campaign, is_completed, mark_exported
from labelwright.tasks.campaign.platform_labels import check_platform_labels
from labelwright.tasks.campaign.progress import require_labeled
from labelwright.tasks.campaign.summary import show_campaign
from labelwright.tasks.export.files import files_to_write, write_file
from labelwright.tasks.export.images import keep_all_images
from labelwright.tasks.export.labels import check_labels, read_all_labels
from labelwright.tasks.export.registration import (
    draw_labels,
    register_dataset,
    repair_dataset,
    send_all_files,
    verify_dataset,
)
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
        check_labels(title)
        if is_completed(title):
            close_campaign(title)
        keep_all_images(title)
        for dataset, file in files_to_write(title):
            write_file(title, dataset, file)
        for dataset in ("images", "labels"):
            repair_dataset(title, dataset)
        send_all_files(title)
        datasets = [register_dataset(title, dataset) for dataset in ("images", "labels")]
        for registered in datasets:
            verify_dataset(title, registered["name"], registered["version"])
        draw_labels(title)
        mark_exported(title)
        show_campaign(title)
    return datasets
