"""The embedded service while it is stopped or being restarted: an outage, and no reason to start a second one."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelwright.campaigns.spec import validate_spec
from labelwright.cli.local_servers import needs_embedded_service
from labelwright.platforms import PlatformUnavailable
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from labelwright.settings import SettingsError, forget_settings
from labelwright.tasks.context import connect_platform


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in [name for name in os.environ if name.startswith("LABELWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    yield tmp_path
    forget_settings()


@pytest.mark.parametrize("known", [True, False], ids=["address set by up", "address unknown"])
def test_service_without_an_address_is_an_outage(home: Path, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    with serving(ServiceConfig(home / "service")) as url:
        if known:
            monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL", f"{url}/api/v1")
            forget_settings()
        connect_platform("campaign_api")[1].check()
    (home / "service" / "service.json").unlink()  # as `up` does before it starts it again
    with pytest.raises(PlatformUnavailable, match="being restarted") as caught:
        connect_platform("campaign_api")
    assert "labelwright serve" not in str(caught.value)


def test_home_without_a_service_is_a_missing_setting(home: Path) -> None:
    with pytest.raises(SettingsError, match="labelwright serve") as caught:
        connect_platform("campaign_api")
    assert "being restarted" not in str(caught.value)


def test_service_that_up_is_restarting_is_not_started_twice(home: Path) -> None:
    document = {"title": "river", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "a@b.c"}
    spec = validate_spec(document, "test")
    (home / "up.lock").write_text(json.dumps({"process": 1, "labeling service": "http://127.0.0.1:9"}))
    with (home / "up.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not needs_embedded_service(spec)
    assert needs_embedded_service(spec), "of an `up` that has ended"


def test_a_service_that_does_not_run_is_named_with_its_command(home: Path) -> None:
    with serving(ServiceConfig(home / "service")):
        _, platform = connect_platform("campaign_api")
        platform.check()
    with pytest.raises(PlatformUnavailable, match=r"labelwright serve\. A running labelwright up restarts it"):
        platform.find_campaign("river")


def test_401_of_the_proven_service_is_an_outage(home: Path) -> None:
    with serving(ServiceConfig(home / "service")):
        path = home / "service" / "admin.json"
        right = path.read_text()
        path.write_text(json.dumps(json.loads(right) | {"secret": "one-of-an-earlier-start"}))
        with pytest.raises(PlatformUnavailable, match=r"its own admin\.json") as caught:
            connect_platform("campaign_api")[1].check()
        assert caught.value.status == 401
        path.write_text(right)
        connect_platform("campaign_api")[1].check()
