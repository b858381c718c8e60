"""What the page of one campaign shows beside its row in the list."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError

from labelwright.campaigns.connections import Connections
from labelwright.campaigns.dataset_places import place_in_team
from labelwright.campaigns.next_steps import way_on
from labelwright.campaigns.outlook import LabelerOutlook, in_words, labelers_of, outlook_of
from labelwright.campaigns.queue import reasons_to_wait, start_step
from labelwright.campaigns.spec import BLOCK, stored_spec
from labelwright.datasets.names import file_stem
from labelwright.domain import LEFT_OUT, OPEN, WORK, Work
from labelwright.ledger import CampaignRecord, Ledger, Move, campaign_lease
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import ShowsCampaigns
from labelwright.settings import Settings, SettingsError

from .overview import Entry, Row, row_of

PICTURES = {"contact-sheet": "contact-sheet.png", "label-chart": "label-chart.png"}
"""Files in a campaign's folder that an export draws, by their name in the page's addresses."""
SHOWN_RUNS = 5
SHOWN_MOVES = 30


@dataclass(frozen=True, slots=True)
class Dataset:
    """A registered version."""

    name: str
    version: str
    newest: bool
    exported_at: datetime
    place: str


@dataclass(frozen=True, slots=True)
class Details:
    """A campaign in full."""

    row: Row
    way_on: str
    labelers: Sequence[tuple[LabelerOutlook, str]]
    """Each with the time it will still take, in words; empty for a campaign that is not with its labelers."""
    moves: Sequence[Move]
    """The newest first."""
    left_out: Sequence[tuple[str, str, int]]
    """Kind, reason and number."""
    datasets: Sequence[Dataset]
    """The newest registration first."""
    pictures: Sequence[str]
    """Of PICTURES, those that this machine has."""
    runs: Sequence[tuple[str, str, datetime]]
    """Prefect's id of runs that worked on it, what for, and since when; the newest first."""
    at_work: str
    """Who works on it now."""


def read_details(ledger: Ledger, record: CampaignRecord, settings: Settings) -> Details:
    """Reads the ledger and this machine's folder of the campaign; asks neither the platform nor Prefect."""
    title, moment = record.title, datetime.now(UTC)
    outlook = outlook_of(record, ledger.campaigns.progress(title), moment)
    moves = ledger.campaigns.moves(title)
    waiting = None
    if record.state in WORK:  # its place in the queue depends on all others
        waiting = reasons_to_wait(ledger, ledger.campaigns.all(WORK), settings.restart_minutes, moment).get(title)
    states = ledger.image_states.counts([title]).get(title, {})
    labelers = labelers_of(ledger, record, moment) if record.state in OPEN else []
    lease = ledger.leases.find(campaign_lease(title))
    at_work = lease if lease is not None and ledger.leases.alive(lease) else None
    datasets = [
        Dataset(
            dataset["name"],
            dataset["version"],
            dataset["newest"],
            datetime.fromisoformat(dataset["exported_at"]),
            place_in_team(dataset, settings),
        )
        for dataset in ledger.campaigns.datasets(title)
    ]
    folder = settings.campaign_folder(file_stem(title))
    runs = _runs(ledger, title)
    if at_work is not None and at_work.run and at_work.run not in {run for run, _, _ in runs}:
        runs.insert(0, (at_work.run, "at work now", at_work.taken_at))
    return Details(
        row=row_of(Entry(record, outlook), moves[-1] if moves else None, waiting, states),
        way_on=way_on(title, record.state, record.reason),
        labelers=[(labeler, in_words(labeler.remaining)) for labeler in labelers],
        moves=moves[: -SHOWN_MOVES - 1 : -1],
        left_out=[(LEFT_OUT[kind], reason, number) for kind, reason, number in ledger.left_out.find(title).rows()],
        datasets=sorted(datasets, key=lambda dataset: dataset.exported_at, reverse=True),
        pictures=[name for name, file in PICTURES.items() if (folder / file).is_file()],
        runs=runs[:SHOWN_RUNS],
        at_work=f"{at_work.holder}, since {at_work.taken_at:%Y-%m-%d %H:%M} UTC" if at_work else "",
    )


def _runs(ledger: Ledger, title: str) -> list[tuple[str, str, datetime]]:
    """Runs that sweeps started for the campaign, the newest first."""
    runs = []
    for effect in ledger.effects.of_steps([title], [start_step(work) for work in Work]).get(title, ()):
        with suppress(ValueError):  # it was done within another run
            runs.append((str(UUID(effect.outcome or "")), effect.step.removeprefix("start "), effect.intended_at))
    return sorted(runs, key=lambda run: run[2], reverse=True)


def outside_pages(record: CampaignRecord, settings: Settings, connections: Connections) -> list[tuple[str, str]]:
    """Link text and address of the campaign's page on its platform, or of the labeling page. Sends no request."""
    spec = stored_spec(record.spec)
    if spec.platform == "campaign_api":
        host = settings.labeling_page_host(spec.connection_name)
        return [("Labeling page, for labelers with their key", f"{host}/label")] if host else []
    if record.remote_id is None or spec.connection_name.startswith(BLOCK):  # to read a block is a request
        return []
    try:
        platform = connections.platform_for(spec)
    except (SettingsError, PlatformRefused, PlatformUnavailable, ValidationError):
        return []
    if not isinstance(platform, ShowsCampaigns):
        return []
    return [("The campaign on its platform", platform.campaign_page(record.remote_id))]


def picture_file(settings: Settings, title: str, name: str) -> Path | None:
    """The campaign's picture of that name; None when there is none on this machine."""
    if name not in PICTURES:
        return None
    file = settings.campaign_folder(file_stem(title)) / PICTURES[name]
    return file if file.is_file() else None
