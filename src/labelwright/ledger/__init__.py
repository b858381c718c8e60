"""The ledger: campaigns, their manifests, and the effects that flows had on platforms and stores.

SQLite in one file on one machine, PostgreSQL for a team. Before a call that changes something outside, its intent is
recorded under a natural key; afterwards its outcome.
"""

from __future__ import annotations

from threading import Lock

from .campaigns import CampaignRecord, Campaigns, Move
from .database import Database, identity_of
from .effects import AlreadyThere, Effect, EffectItem, Effects
from .errors import LedgerError, UnknownCampaign
from .fences import LeaseLost
from .image_states import ImageStates
from .inbox import DROPS, Inbox, Letter, drop_key
from .labeler_keys import KeyRecord, LabelerKeyRecords
from .leases import CampaignBusy, Lease, Leases, Process
from .left_out import LeftOut
from .manifest import ImageRow, ManifestEntry, Manifests, stretches
from .outbox import Event, Outbox
from .registered import DatasetVersion, NewDataset
from .runs import RecordedRun, Runs
from .waits import Wait, Waits

__all__ = [
    "DROPS",
    "AlreadyThere",
    "CampaignBusy",
    "CampaignRecord",
    "DatasetVersion",
    "Effect",
    "EffectItem",
    "Event",
    "ImageRow",
    "ImageStates",
    "KeyRecord",
    "LabelerKeyRecords",
    "Lease",
    "LeaseLost",
    "Ledger",
    "LedgerError",
    "LeftOut",
    "Letter",
    "ManifestEntry",
    "Move",
    "NewDataset",
    "Process",
    "RecordedRun",
    "UnknownCampaign",
    "Wait",
    "campaign_lease",
    "drop_key",
    "open_ledger",
    "opened_ledgers",
    "stretches",
]


class Ledger:
    """The ledger at an SQLAlchemy URL. Safe to use from several threads and processes."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self.campaigns = Campaigns(self._database)
        self.manifests = Manifests(self._database)
        self.image_states = ImageStates(self._database)
        self.leases = Leases(self._database)
        self.effects = Effects(self._database)
        self.outbox = Outbox(self._database)
        self.inbox = Inbox(self._database)
        self.left_out = LeftOut(self._database)
        self.waits = Waits(self._database)
        self.runs = Runs(self._database)
        self.labeler_keys = LabelerKeyRecords(self._database)

    def identity(self) -> str:
        """Tells this ledger's database from others. Holds no secret."""
        with self._database.read() as connection:
            return identity_of(connection)

    def close(self) -> None:
        self._database.close()


def campaign_lease(title: str) -> str:
    """The name of the lease that a run holds while it works on a campaign."""
    return f"campaign {title}"


def opened_ledgers() -> list[Ledger]:
    """The ledgers that this process has opened."""
    with _opening:
        return list(_open.values())


_open: dict[str, Ledger] = {}
_opening = Lock()


def open_ledger(url: str) -> Ledger:
    """Returns the ledger at the URL, opened once in this process."""
    with _opening:
        if url not in _open:
            _open[url] = Ledger(url)
        return _open[url]
