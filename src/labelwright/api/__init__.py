"""The Python API: campaigns and datasets as objects, for scripts, notebooks and flows of other people.

    from labelwright.api import Campaign, campaigns, datasets

`Campaign` and `Dataset` are in `labelwright`, too; `labelwright.datasets` and `labelwright.campaigns` are packages.
Settings, ledger and credentials are those of the commands. `docs/python-api.md` shows how it is used.
"""

from .campaign import Campaign, Campaigns, Status, campaigns
from .dataset import Dataset, DatasetImage, Datasets, Verification, datasets

__all__ = [
    "Campaign",
    "Campaigns",
    "Dataset",
    "DatasetImage",
    "Datasets",
    "Status",
    "Verification",
    "campaigns",
    "datasets",
]
