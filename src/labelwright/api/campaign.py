"""A labeling campaign as an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelwright.campaigns.notebook_tables import facts_as_html, rows_as_html

from .running import run_flow

if TYPE_CHECKING:
    from labelwright.campaigns.plan import Plan
    from labelwright.campaigns.spec import CampaignSpec
    from labelwright.ledger import Ledger

    from .dataset import Dataset


@dataclass(frozen=True, slots=True)
class Status:
    """What the ledger has of a campaign. Sweeps and `Campaign.wait` read it from the platform."""

    title: str
    state: str
    """planned, uploading, ..., exported; or needs_attention, paused, cancelled (see "How it works")."""
    done: int
    """Labeled images, also those that were found empty."""
    total: int
    reason: str
    """Why it needs attention or is paused, or that it stalled or is overdue; else empty."""
    next_step: str
    """The command that leads on; empty where nothing has to be done."""
    images_per_hour: float | None
    expected_end: datetime | None
    deadline: datetime | None
    looked_at: datetime | None
    """When the platform was asked last."""
    unanswered_notes: int = 0
    """Notes of labelers that nobody has answered; `labelwright notes TITLE` lists them."""

    @property
    def share(self) -> float:
        """Share of the images that are labeled, 0 to 1."""
        return self.done / self.total if self.total else 0.0

    def _repr_html_(self) -> str:
        share = f"{self.done:,} of {self.total:,} ({100 * self.share:.0f} %)" if self.total else ""
        moments = {"expected end": self.expected_end, "deadline": self.deadline, "looked at": self.looked_at}
        return facts_as_html(
            self.title,
            {"state": self.state, "labeled": share, "reason": self.reason, "next step": self.next_step}
            | {name: f"{moment:%Y-%m-%d %H:%M %Z}" for name, moment in moments.items() if moment},
        )


class Campaign:
    """A campaign: its images, labels and labeler, and where it goes.

        campaign = Campaign(
            title="river",
            images={"folder": "photos"},
            labels=["boat", "buoy"],
            labeler="partner@example.com",
            export={"folder": "datasets"},
        )
        campaign.launch()
        for dataset in campaign.wait():
            print(dataset.name, dataset.version)

    The keywords are the fields of a campaign file (docs/campaign-file.md). Relative paths are relative to the working
    directory. A script that is run again goes on where it was: what is done is not repeated.

    Raises SpecError, which lists every fault of the keywords.
    """

    def __init__(self, **fields: Any) -> None:
        from labelwright.campaigns.spec import validate_spec

        self._spec = validate_spec(_plain(fields), "the campaign").with_paths_from(Path.cwd())

    @classmethod
    def from_yaml(cls, path: Path | str) -> Campaign:
        """The campaign of a file; its relative paths are relative to the file's folder. Raises SpecError."""
        from labelwright.campaigns.spec import load_spec

        return cls._of(load_spec(Path(path)))

    @classmethod
    def open(cls, title: str) -> Campaign:
        """A campaign that was launched before, also by a command or a flow. Raises UnknownCampaign."""
        from labelwright.campaigns.spec import stored_spec

        return cls._of(stored_spec(_ledger().campaigns.get(title).spec))

    @classmethod
    def _of(cls, spec: CampaignSpec) -> Campaign:
        campaign = cls.__new__(cls)
        campaign._spec = spec
        return campaign

    @property
    def title(self) -> str:
        return self._spec.title

    @property
    def spec(self) -> CampaignSpec:
        """The campaign's fields, validated: a model of pydantic, and what flows take as `campaign`."""
        return self._spec

    def plan(self) -> Plan:
        """Checks every image and asks the platform; sends nothing and writes nothing. Raises SourceError.

        `refusal` of the result says why launching would be refused, `rejects` which files are left out.
        """
        from labelwright.campaigns.plan import add_access, make_plan
        from labelwright.cli.output import console
        from labelwright.prefect_integration.connections import CONNECTIONS
        from labelwright.settings import settings

        with console.counting("checking images") as count:
            plan = make_plan(self._spec, settings(), CONNECTIONS, count)
        add_access(plan, self._spec, settings(), CONNECTIONS)
        return plan

    def launch(self) -> Campaign:
        """Checks and uploads the images, creates the campaign and activates it. Repeated, it does what is missing.

        Returns this campaign. Raises CannotRun, SettingsError, PlatformError.
        """
        from labelwright.cli.preflight import check_campaign

        check_campaign(self._spec)
        run_flow("launch_campaign", self._spec)
        return self

    def status(self) -> Status:
        """What the ledger has of the campaign. Asks no platform. Raises UnknownCampaign before it was launched."""
        from labelwright.campaigns.next_steps import way_on
        from labelwright.campaigns.outlook import outlook_of

        ledger = _ledger()
        record = ledger.campaigns.get(self.title)
        outlook = outlook_of(record, ledger.campaigns.progress(self.title))
        return Status(
            title=record.title,
            state=record.state.value,
            done=record.done,
            total=record.total or record.images or 0,
            reason=record.reason or outlook.trouble,
            next_step=way_on(record.title, record.state, record.reason or ""),
            images_per_hour=outlook.pace.per_hour,
            expected_end=outlook.pace.expected_end,
            deadline=outlook.deadline,
            looked_at=record.looked_at,
            unanswered_notes=record.unanswered_notes,
        )

    def wait(self, *, hours: float = 24, look_every: float = 30) -> list[Dataset]:
        """Waits until every image is labeled, closes the campaign and exports it. Returns its datasets.

        hours: how long to wait. look_every: seconds between two looks at the platform.
        Raises LabelsLate when labels are missing after that time: call it again to wait on. Raises PlatformRefused when
        the campaign needs attention or was cancelled.
        """
        run_flow("run_campaign", self._spec, wait_hours=hours, look_every=look_every)
        return self.datasets()

    def deliver(self, *, accept_partial: bool = False) -> list[Dataset]:
        """Registers what is labeled and valid now. Labelers who are at work go on.

        accept_partial: leave out images that are not labeled or not valid; they are listed with their reasons.
        Returns the newest datasets. Raises NotReady, CannotRun, PlatformError.
        """
        from labelwright.cli.preflight import check_launched

        check_launched(self.title)
        run_flow("deliver_campaign", self.title, accept_partial=accept_partial)
        return self.datasets()

    def reopen(self, images: Iterable[str] | None = None, *, wrong: bool = False, reason: str = "") -> str:
        """Returns the campaign, or some of its images, to the labelers. Returns what was done, as a sentence.

        images: names of the only images to return. wrong: only those with shapes that a dataset must not have.
        reason: what labelers are to correct; they see it. Raises NothingDone, CannotRun, PlatformError.
        """
        from labelwright.campaigns import interventions
        from labelwright.campaigns.reopening import Selection
        from labelwright.prefect_integration.connections import CONNECTIONS

        names = None if images is None else tuple(images)
        return interventions.reopen(self.title, CONNECTIONS, Selection(names, wrong, reason.strip()))

    def resume(self) -> Campaign:
        """Goes on with a campaign that needs attention or is paused. Returns this campaign.

        Raises NothingDone for a campaign that its labelers have anyway, CannotRun for one that is over.
        """
        from labelwright.campaigns.interventions import retry_blocked
        from labelwright.domain import Work

        _, work = retry_blocked(self.title)
        if work is Work.LAUNCH:
            run_flow("launch_campaign", self._spec)
        elif work is Work.FINISH:
            run_flow("finish_campaign", self.title, export=True)
        return self

    def cancel(self, *, delete: bool = False) -> str:
        """Ends the campaign. Returns a sentence on what remains on the platform. Raises CannotRun, PlatformError.

        delete: also delete it on its platform.
        """
        from labelwright.campaigns import interventions
        from labelwright.prefect_integration.connections import CONNECTIONS

        return interventions.cancel(self.title, CONNECTIONS, delete=delete)

    def datasets(self) -> list[Dataset]:
        """The newest version of each dataset of this campaign."""
        from .dataset import datasets

        return [dataset for dataset in datasets(self.title) if dataset.newest]

    def __repr__(self) -> str:
        return f"Campaign({self.title!r} on {self._spec.platform})"

    def _repr_html_(self) -> str:
        record = _ledger().campaigns.find(self.title)
        labels = ", ".join(label.name for label in self._spec.labels)
        facts = {"platform": self._spec.platform, "labeler": self._spec.labeler, "labels": labels}
        return facts_as_html(self.title, {"state": record.state.value if record else "not launched"} | facts)


class Campaigns(Sequence[Campaign]):
    """Campaigns of the ledger. Notebooks show them as a table."""

    def __init__(self, titles: Iterable[str]) -> None:
        self._titles = list(titles)

    def __len__(self) -> int:
        return len(self._titles)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Campaigns(self._titles[place])
        return Campaign.open(self._titles[place])

    def __iter__(self) -> Iterator[Campaign]:
        return (Campaign.open(title) for title in self._titles)

    def __repr__(self) -> str:
        return f"Campaigns({self._titles})"

    def _repr_html_(self) -> str:
        titles = set(self._titles)
        records = [record for record in _ledger().campaigns.all() if record.title in titles]
        rows = [
            (
                record.title,
                record.state.value,
                f"{record.done:,} of {record.total or record.images or 0:,}",
                record.reason or "",
            )
            for record in records
        ]
        return rows_as_html(("campaign", "state", "labeled", "reason"), rows)


def campaigns() -> Campaigns:
    """Every campaign of the ledger, the newest first."""
    return Campaigns(record.title for record in _ledger().campaigns.all())


def _ledger() -> Ledger:
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    return open_ledger(settings().ledger_address())


def _plain(value: Any) -> Any:
    """The value as a YAML file would have it: paths as texts, tuples as lists."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
