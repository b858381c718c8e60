"""Ways on at Remo, Scale and Geti: reasons for attention that every platform can give, and the commands they name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from labelwright.campaigns.spec import load_spec
from labelwright.domain import Annotation, Box, State
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms.http.logins import forget_logins
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.security.private_files import private_folder
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from tests.platforms.geti.harness import GetiHarness
from tests.platforms.geti.server import TOKEN, geti_server
from tests.platforms.proxy import FaultProxy
from tests.platforms.remo.harness import RemoHarness
from tests.platforms.remo.server import EMAIL, PASSWORD, RemoServer
from tests.platforms.scale.harness import HASTE, ScaleHarness
from tests.platforms.scale.server import ScaleServer

from .test_ways_on import ADOPT, CANCEL, COMMAND, RESUME, Walk, ledger_lost, nothing
from .without_prefect import run_as_functions

BOAT = Annotation("boat", Box(1, 1, 9, 8))


@dataclass
class Place:
    """A platform's stand-in: how to connect, label and break it."""

    harness: Any
    connection: dict[str, str]
    fields: dict[str, Any]
    secret: str
    """The setting of the connection that is changed to a wrong credential."""
    lose_campaign: Callable[[Walk], None]


def delete_on_platform(walk: Walk) -> None:
    CONNECTIONS.platform_for(load_spec(walk.file)).delete_campaign(walk.record.remote_id)


def remo(servers: ExitStack) -> Place:
    server = servers.enter_context(RemoServer(modern=True))
    server.world.looks_until_done = 1
    proxy = servers.enter_context(FaultProxy(("127.0.0.1", int(server.url.rsplit(":", 1)[1]))))
    connection = {"URL": server.url, "KEY": EMAIL, "SECRET": PASSWORD}
    return Place(RemoHarness(proxy, server.url), connection, {"labels": ["boat"]}, "SECRET", delete_on_platform)


def scale(servers: ExitStack) -> Place:
    server = servers.enter_context(ScaleServer())
    proxy = servers.enter_context(FaultProxy(("127.0.0.1", int(server.url.rsplit(":", 1)[1].split("/")[0]))))

    def lose(_: Walk) -> None:
        server.live.batches.clear()
        server.live.tasks.clear()

    connection = {"URL": server.url, "KEY": "live_key_of_this_test"}
    return Place(ScaleHarness(server, proxy), connection, {"options": {"kind": "rapid", **HASTE}}, "KEY", lose)


def geti(servers: ExitStack) -> Place:
    server = servers.enter_context(geti_server("2.12.1"))
    proxy = servers.enter_context(FaultProxy(("127.0.0.1", server.port)))
    fields = {"labels": [{"name": "boat", "geometry": "box"}], "options": {"kind": "detection"}}
    connection = {"URL": server.url, "KEY": TOKEN}
    return Place(GetiHarness(proxy, server), connection, fields, "KEY", delete_on_platform)


PLACES = {"remo": remo, "scale": scale, "geti": geti}


@pytest.fixture(params=PLACES)
def walk(request, tmp_path, monkeypatch) -> Iterator[tuple[Walk, Place]]:
    run_as_functions(monkeypatch)
    with ExitStack() as servers:
        forget_logins()
        walk, home = Walk(tmp_path, request.param, monkeypatch), private_folder(tmp_path / "home")
        walk.set("HOME", str(home))
        place = PLACES[request.param](servers)
        for name, value in place.connection.items():
            walk.set(f"CONNECTIONS__{request.param.upper()}__{name}", value)
        walk.write(**place.fields)
        for number, name in enumerate(("a.png", "b.png", "c.png")):
            Image.new("RGB", (48, 40), (number, 0, 0)).save(walk.photos / name)  # Geti takes none of under 32 pixels
        yield walk, place
    forget_settings()
    forget_logins()


def label(walk: Walk, place: Place) -> None:
    campaign = CONNECTIONS.platform_for(load_spec(walk.file)).find_campaign("river")
    ids = [entry.remote_id or "" for entry in the_ledger().manifests.entries("river")]
    place.harness.label(campaign, None, {image: [BOAT] for image in ids})


def go_on(walk: Walk, *commands: str, after: Callable[[Walk], None] = nothing) -> None:
    """The reason names these commands; run in this order they lead on."""
    named = COMMAND.findall(walk.reason)
    assert [command for command in commands if command in named] == list(commands), walk.reason
    after(walk)
    for command in commands:
        walk.run(command)


def test_a_campaign_that_was_deleted_on_the_platform_is_cancelled(walk):
    walk, place = walk
    walk.launch()
    place.lose_campaign(walk)
    walk.sweep()
    go_on(walk, CANCEL)
    assert walk.record.state is State.CANCELLED


def test_a_campaign_whose_ledger_was_lost_is_taken_over(walk):
    walk, place = walk
    ledger_lost(walk)
    go_on(walk, ADOPT)
    label(walk, place)
    walk.sweep()
    assert walk.record.state is State.EXPORTED, walk.record


def test_a_credential_that_was_changed_is_corrected_and_the_campaign_resumed(walk):
    walk, place = walk
    walk.launch()
    label(walk, place)
    sweep_campaigns(go_on="no")
    name = f"CONNECTIONS__{walk.platform.upper()}__{place.secret}"
    walk.set(name, "the-old-secret-of-the-walk")
    forget_logins()
    walk.sweep()
    if walk.record.state is not State.COMPLETED:  # a login that was made before is still good on some platforms
        go_on(walk, RESUME, after=lambda walk: walk.set(name, place.connection[place.secret]))
    walk.set(name, place.connection[place.secret])
    forget_logins()
    walk.sweep()
    assert walk.record.state is State.EXPORTED, walk.record
