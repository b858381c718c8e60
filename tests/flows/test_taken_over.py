"""A run whose campaign was taken over, as after a suspension, changes nothing more: platform, ledger, datasets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import delete, select, update

from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.campaigns.spec import CampaignSpec
from labelwright.domain import State
from labelwright.flows.finish_campaign import finish_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.ledger import LeaseLost, fences
from labelwright.ledger import tables as t
from labelwright.platforms.http.connections import HostConnections
from labelwright.settings import settings
from labelwright.tasks.context import the_ledger

from . import partner
from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")


@pytest.fixture
def river(service: str, tmp_path: Path) -> CampaignSpec:
    make_photos(tmp_path / "photos", 3)
    return make_spec("river", tmp_path / "photos", tmp_path / "datasets")


def label() -> None:
    api = settings().connection("campaign_api").url or ""
    access = LabelerKeys(settings().home).find("campaign_api", "partner@example.com")
    assert access is not None
    partner.label(api, the_ledger().campaigns.get("river").remote_id or "", access)


class Observed:
    """Everything of a run that changes something outside, and every check of its lease, in the order of each thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, datasets: Path) -> None:
        self.changes: list[str] = []
        self.unchecked: list[str] = []
        self.on_check: Callable[[fences.Fence], None] = lambda fence: None
        self._checked: dict[int, bool] = {}
        monkeypatch.setattr(fences, "CHECKED_FOR", 0)
        self._watch(monkeypatch, requests.Session, "send", lambda _, request, **__: self._request(request))
        self._watch(monkeypatch, HostConnections, "send", lambda _, method, path, *__: self._change(method, path))
        for name in ("rename", "replace"):
            self._watch(monkeypatch, os, name, lambda _, target, **__: self._file(Path(target), datasets))
        check = fences.Fence.check

        def checked(fence: fences.Fence) -> None:
            self.on_check(fence)
            check(fence)
            self._checked[threading.get_ident()] = True

        monkeypatch.setattr(fences.Fence, "check", checked)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, note: Callable[..., None]) -> None:
        real = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            note(*arguments, **options)
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, watched)

    def _request(self, request: requests.PreparedRequest) -> None:
        self._change(str(request.method), str(request.url))

    def _change(self, method: str, url: str) -> None:
        if method not in ("GET", "HEAD"):
            self._note(f"{method} {url.partition('?')[0]}")

    def _file(self, target: Path, datasets: Path) -> None:
        if datasets in target.parents:
            self._note(f"rename to {target.name}")

    def _note(self, change: str) -> None:
        self.changes.append(change)
        if not self._checked.pop(threading.get_ident(), False):
            self.unchecked.append(change)


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Observed:
    return Observed(monkeypatch, tmp_path / "datasets")


def test_the_lease_is_checked_before_every_change_of_a_launch_and_an_export(river, observed):
    launch_campaign(river)
    launched = len(observed.changes)
    requests_before = list(observed.changes)
    observed.on_check = lambda fence: None
    label()
    labeled = observed.unchecked
    observed.unchecked = []
    finish_campaign("river", export=True)
    assert [change for change in labeled if "/objects" not in change] == [], "the labeler's own request needs no lease"
    assert observed.unchecked == []
    assert launched >= 8, requests_before
    assert sum(change.startswith("rename") for change in observed.changes) >= 4, (
        "two versions, and which are the newest"
    )
    assert the_ledger().campaigns.get("river").state is State.EXPORTED


def ledger_rows() -> dict[str, list[Any]]:
    """Every row but those of leases."""
    tables = [table for table in t.metadata.sorted_tables if table is not t.leases]
    with the_ledger().leases._database.read() as connection:
        return {table.name: list(connection.execute(select(table))) for table in tables}


def files_in(folder: Path) -> dict[str, int]:
    files = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return {str(path): path.lstat().st_mtime_ns for path in files if ".incoming-" not in str(path)}  # half-written


def interrupt(work: Callable[[], object], observed: Observed, datasets: Path, allowed: int) -> bool:
    """Has the campaign taken over at the check after this number. Returns whether it came so far."""
    checks, before = 0, dict[str, Any]()

    def state() -> dict[str, Any]:
        return {"ledger": ledger_rows(), "changes": list(observed.changes), "files": files_in(datasets)}

    def take_over(fence: fences.Fence) -> None:
        nonlocal checks
        checks += fence.name == "campaign river"
        if checks == allowed + 1 and not before:
            with the_ledger().leases._database.write(fenced=False) as connection:
                ours = t.leases.c.name == fence.name
                connection.execute(update(t.leases).where(ours).values(token="another", pid=0, process_start="0"))
            before.update(state())

    observed.on_check = take_over
    try:
        work()
    except LeaseLost:
        assert state() == before, "it went on after another process had taken the campaign over"
    else:
        assert not before, "it ended as if nothing had happened"
    with the_ledger().leases._database.write(fenced=False) as connection:
        connection.execute(delete(t.leases))
    return bool(before)


def test_a_run_that_lost_its_campaign_changes_nothing_more(river, observed, tmp_path):
    """It is taken over at one moment after the other; each time the work is repeated, and goes a little further."""
    moments = {"launch": lambda: launch_campaign(river), "finish": lambda: finish_campaign("river", export=True)}
    for name, work in moments.items():
        allowed = 0
        while interrupt(work, observed, tmp_path / "datasets", allowed):
            allowed += 3
        assert allowed >= 9, name
        if name == "launch":
            assert the_ledger().campaigns.get("river").state is State.ACTIVE
            observed.on_check = lambda fence: None
            label()
    assert the_ledger().campaigns.get("river").state is State.EXPORTED
    assert [row["version"] for row in the_ledger().campaigns.datasets("river")] == ["1", "1"]
