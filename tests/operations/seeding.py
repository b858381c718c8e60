"""A ledger with campaigns in all states, as sweeps would have left it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import insert, update

from labelwright.datasets.names import file_stem
from labelwright.domain import State
from labelwright.ledger import DatasetVersion, Ledger
from labelwright.ledger import tables as t

_S = State
WAYS: dict[State, tuple[State, ...]] = {
    _S.PLANNED: (),
    _S.UPLOADING: (_S.UPLOADING,),
    _S.CREATED: (_S.UPLOADING, _S.CREATED),
    _S.ACTIVE: (_S.UPLOADING, _S.CREATED, _S.ACTIVE),
    _S.COMPLETED: (_S.UPLOADING, _S.CREATED, _S.ACTIVE, _S.COMPLETED),
    _S.REOPENED: (_S.UPLOADING, _S.CREATED, _S.ACTIVE, _S.COMPLETED, _S.REOPENED),
    _S.FINISHED: (_S.UPLOADING, _S.CREATED, _S.ACTIVE, _S.COMPLETED, _S.FINISHED),
    _S.EXPORTED: (_S.UPLOADING, _S.CREATED, _S.ACTIVE, _S.COMPLETED, _S.FINISHED, _S.EXPORTED),
    _S.CANCELLED: (_S.UPLOADING, _S.CREATED, _S.ACTIVE, _S.CANCELLED),
    _S.NEEDS_ATTENTION: (_S.UPLOADING, _S.CREATED, _S.ACTIVE, _S.COMPLETED, _S.NEEDS_ATTENTION),
    _S.PAUSED: (_S.UPLOADING, _S.PAUSED),
}
"""The moves that lead to each state."""

REASONS = {
    _S.NEEDS_ATTENTION: "2 of 240 images have labels that the file does not allow: 'bouy' in harbour-0017.jpg. Correct "
    "them on the platform. When that is done: labelwright resume 'wrong labels'",
    _S.PAUSED: "its run 'launch paused' was cancelled in Prefect on 2026-11-28 at 16:04 UTC",
}


def document(title: str, **fields: Any) -> dict[str, Any]:
    """A campaign's specification, as the ledger keeps it."""
    platform = fields.pop("platform", "campaign_api")
    return {
        "title": title,
        "platform": platform,
        "labels": [{"name": "boat"}, {"name": "buoy"}],
        "labeler": "partner@example.com",
        "images": {"folder": "/photos"},
        "export": {"folder": "/datasets"},
        **fields,
    }


def add(
    ledger: Ledger, title: str, state: State, *, done: int = 0, total: int = 0, reason: str | None = None, **fields: Any
) -> None:
    """Records a campaign and moves it to the state."""
    ledger.campaigns.add(title, document(title, **fields))
    for step in WAYS[state]:
        why = (reason or REASONS.get(step)) if step is state else None
        ledger.campaigns.move(title, step, why)
    if state is not State.PLANNED:
        ledger.campaigns.record_remote_campaign(title, "17")
    if total:
        ledger.campaigns.record_look(title, done, total)


def progress(ledger: Ledger, title: str, total: int, rates: dict[str, float], hours: float, ended: float = 0) -> None:
    """Records hourly progress of labelers, from so many hours ago on: `rates` are their images an hour.

    ended: how many hours ago the last of it was.
    """
    now, rows = datetime.now(UTC), []
    done = dict.fromkeys(rates, 0.0)
    for hour in range(int(hours - ended) + 1):
        at = now - timedelta(hours=hours - hour)
        rows += [_row(title, labeler, at, count, total / len(rates)) for labeler, count in done.items()]
        rows.append(_row(title, "", at, sum(map(int, done.values())), total))
        done = {labeler: count + rates[labeler] for labeler, count in done.items()}
    with ledger._database.write() as connection:
        connection.execute(insert(t.progress), rows)
        last = {"done": rows[-1]["done"], "total": total, "looked_at": now - timedelta(minutes=4)}
        connection.execute(update(t.campaigns).where(t.campaigns.c.title == title).values(last))


def _row(title: str, labeler: str, at: datetime, done: float, total: float) -> dict[str, Any]:
    return {"campaign": title, "labeler": labeler, "at": at, "done": int(done), "total": int(total)}


def dataset(ledger: Ledger, title: str, version: str = "1", folder: str = "/datasets") -> None:
    name = f"{title}_labels"
    version_of = DatasetVersion(name, version, f"{folder}/{name}/v{version}", f"{hash((name, version)):064x}"[-64:])
    ledger.campaigns.record_dataset(title, version_of)


def contact_sheet(home: Path, title: str, photos: Iterable[Path] = ()) -> None:
    """Pictures of a campaign as an export draws them."""
    folder = home / "campaigns" / file_stem(title)
    folder.mkdir(parents=True, exist_ok=True)
    sheet = Image.new("RGB", (640, 420), (40, 60, 80))
    for number, photo in enumerate(photos):
        with Image.open(photo) as opened:
            tile = opened.convert("RGB").resize((200, 200))
        sheet.paste(tile, (10 + number % 3 * 210, 10 + number // 3 * 210))
    sheet.save(folder / "contact-sheet.png")


def all_states(ledger: Ledger, home: Path, photos: Iterable[Path] = ()) -> None:
    """A dozen campaigns, at least one in each state."""
    photos, deadline = list(photos), datetime.now(UTC) + timedelta(days=9)
    add(ledger, "planned", State.PLANNED)
    add(ledger, "uploading", State.UPLOADING)
    add(ledger, "created", State.CREATED)
    add(
        ledger,
        "harbour at night",
        State.ACTIVE,
        deadline=deadline.isoformat(),
        platform="cvat",
        connection="cvat-berlin",
    )
    progress(ledger, "harbour at night", 1200, {"ann@example.com": 6.3, "ben@example.com": 3.1}, hours=80)
    add(ledger, "late", State.ACTIVE, deadline=(deadline - timedelta(days=12)).isoformat())
    progress(ledger, "late", 400, {"partner@example.com": 2.0}, hours=150, ended=100)
    add(ledger, "reopened", State.REOPENED)
    progress(ledger, "reopened", 90, {"partner@example.com": 1.0}, hours=70)
    add(ledger, "completed", State.COMPLETED, done=60, total=60)
    add(ledger, "finished", State.FINISHED, done=75, total=75)
    for version, title in enumerate(("river 2026", "orchard"), 3):
        add(ledger, title, State.EXPORTED, done=500, total=500)
        dataset(ledger, title, str(version))
        contact_sheet(home, title, photos[version % 2 * 3 :][:6])
    add(ledger, "given up", State.CANCELLED, done=3, total=80)
    add(ledger, "wrong labels", State.NEEDS_ATTENTION, done=240, total=240)
    add(ledger, "paused", State.PAUSED)
