"""Registered versions by their names: receipts, and comparison with what was registered."""

from __future__ import annotations

from typing import Any

from labelwright.campaigns.dataset_places import place_elsewhere, refuse_elsewhere
from labelwright.campaigns.lineage import find_dataset, list_datasets
from labelwright.platforms import PlatformError
from labelwright.settings import SettingsError, settings
from labelwright.tasks.context import CampaignContext, the_ledger

from . import registration
from .verification import Findings, Verifier


def receipt_of(name: str, version: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the ledger's record of a version, and its receipt.

    Raises CannotRun, DatasetElsewhere, DatasetGone, PlatformError.
    """
    dataset = find_dataset(the_ledger(), name, version)
    context = CampaignContext(dataset["campaign"])
    refuse_elsewhere(dataset, context.settings, f"labelwright datasets show {name} --version {dataset['version']}")
    return dataset, registration.receipt_of(context, dataset["name"], dataset["version"])


def verify_registered(name: str | None, version: str | None, *, deep: bool = False) -> list[dict[str, Any]]:
    """Compares one version, or every registered one, with its receipt.

    Returns the ledger's record of each, with what is `wrong`, what was `unchecked`, how to `repair` it, and where it is
    if it is `elsewhere` and was not compared. `deep` reads every byte.

    Raises as `receipt_of` when a single version cannot be compared. Of several, one whose store cannot be reached is
    reported as wrong.
    """
    ledger, verifier = the_ledger(), Verifier(deep=deep)
    records = list_datasets(ledger) if name is None else [find_dataset(ledger, name, version)]
    results = []
    for record in records:
        place = place_elsewhere(record, settings())
        try:
            checked = Findings() if place else verifier.verify(CampaignContext(record["campaign"]), record)
        except (PlatformError, SettingsError) as error:
            if len(records) == 1:
                raise
            checked = Findings(wrong=[f"could not be compared: {error}"])
        found = {"wrong": checked.wrong, "unchecked": checked.unchecked, "repair": checked.repair, "elsewhere": place}
        results.append(record | found)
    return results
