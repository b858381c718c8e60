"""A deadline is a moment in the campaign's time zone, and is shown with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zoneinfo
from datetime import UTC, datetime

import pytest

from labelwright.campaigns.outlook import outlook_of
from labelwright.campaigns.spec import CampaignSpec, parse_spec, stored_spec
from labelwright.campaigns.time_zones import show_moment
from labelwright.campaigns.yaml_loader import SpecError
from labelwright.domain import State
from labelwright.ledger import CampaignRecord

HEAD = "title: a\nimages: {folder: x}\nlabels: [b]\nlabeler: a@b.c\n"


@pytest.fixture
def in_tokyo(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def deadline(text: str, timezone: str = "") -> datetime:
    zone = f"timezone: {timezone}\n" if timezone else ""
    moment = parse_spec(f"{HEAD}deadline: {text}\n{zone}").deadline
    assert moment is not None
    return moment.astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "timezone", "moment"),
    [
        ("2026-12-18", "Europe/Amsterdam", "2026-12-18T22:59:59Z"),
        ("'2026-12-18'", "Europe/Amsterdam", "2026-12-18T22:59:59Z"),
        ("2026-07-18", "Europe/Amsterdam", "2026-07-18T21:59:59Z"),
        ("2026-12-18", "America/Los_Angeles", "2026-12-19T07:59:59Z"),
        ("2026-12-18", "UTC", "2026-12-18T23:59:59Z"),
        ("2026-12-18 17:00", "Europe/Amsterdam", "2026-12-18T16:00:00Z"),
        ("2026-12-18T17:00:00", "Asia/Kathmandu", "2026-12-18T11:15:00Z"),
        ("2026-12-18T17:00:00-05:00", "Europe/Amsterdam", "2026-12-18T22:00:00Z"),
        ("2026-12-18T17:00:00Z", "Europe/Amsterdam", "2026-12-18T17:00:00Z"),
        # clocks go forward on 29 March and back on 25 October
        ("2026-03-29", "Europe/Amsterdam", "2026-03-29T21:59:59Z"),
        ("2026-03-29 02:30", "Europe/Amsterdam", "2026-03-29T01:30:00Z"),
        ("2026-10-25", "Europe/Amsterdam", "2026-10-25T22:59:59Z"),
        ("2026-10-25 02:30", "Europe/Amsterdam", "2026-10-25T01:30:00Z"),
        ("2026-12-18", "", "2026-12-18T14:59:59Z"),
        ("2026-12-18 17:00", "", "2026-12-18T08:00:00Z"),
    ],
)
def test_a_deadline_is_in_the_campaigns_zone_or_the_machines(in_tokyo, text, timezone, moment):
    assert deadline(text, timezone) == datetime.fromisoformat(moment)


def test_the_order_of_timezone_and_deadline_does_not_matter():
    first = parse_spec(HEAD + "timezone: Asia/Tokyo\ndeadline: 2026-12-18\n")
    assert first == parse_spec(HEAD + "deadline: 2026-12-18\ntimezone: Asia/Tokyo\n")


def test_a_deadline_from_the_form_keeps_its_moment(in_tokyo):
    form = {"title": "a", "images": {"folder": "x"}, "labels": [{"name": "b"}], "labeler": "a@b.c"}
    for sent in ("2026-12-18T16:00:00.000Z", "2026-12-18T17:00:00+01:00"):
        for zone in (None, "America/Los_Angeles"):
            spec = CampaignSpec.model_validate({**form, "deadline": sent, "timezone": zone})
            assert spec.deadline == datetime(2026, 12, 18, 16, tzinfo=UTC)
    assert CampaignSpec.model_json_schema()["properties"]["deadline"]["anyOf"][0]["format"] == "date-time"


def test_a_stored_deadline_keeps_its_moment_on_a_machine_of_another_zone(in_tokyo):
    document = parse_spec(HEAD + "deadline: 2026-12-18\ntimezone: Europe/Amsterdam\n").model_dump(mode="json")
    assert document["deadline"] == "2026-12-18T23:59:59+01:00"
    assert stored_spec(document).deadline == datetime(2026, 12, 18, 22, 59, 59, tzinfo=UTC)
    older = {**document, "deadline": "2026-12-18T00:00:00Z", "timezone": None}
    assert stored_spec(older).deadline == datetime(2026, 12, 18, tzinfo=UTC)
    assert stored_spec({**document, "timezone": "Mars/Olympus"}).timezone == "Mars/Olympus"


@pytest.mark.parametrize(
    ("timezone", "message"),
    [
        ("Europe/Amsterdm", "unknown time zone 'Europe/Amsterdm'; did you mean 'Europe/Amsterdam'?"),
        ("Europe", "unknown time zone 'Europe'"),
        ("../etc/passwd", "unknown time zone '../etc/passwd'"),
        ("'+01:00'", "(an IANA name, such as Europe/Amsterdam)"),
    ],
)
def test_an_unknown_time_zone_is_refused_with_its_line(timezone, message):
    with pytest.raises(SpecError) as refused:
        parse_spec(f"{HEAD}timezone: {timezone}\ndeadline: 2026-12-18\n")
    assert "line 5: timezone: " in str(refused.value)
    assert message in str(refused.value)


def test_a_machine_without_time_zone_data_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['tzdata'] = None\n"
        "from labelwright.campaigns.spec import parse_spec\n"
        f"parse_spec({HEAD!r} + 'timezone: Europe/Amsterdam\\n')"
    )
    environment = {**os.environ, "PYTHONTZPATH": ""}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "this machine has no data of time zones: install them (pip install tzdata)" in process.stderr


def test_a_deadline_beyond_every_calendar_is_refused():
    with pytest.raises(SpecError, match="9999-12-31 is out of range"):
        deadline("9999-12-31", "America/Los_Angeles")


@pytest.mark.parametrize(
    ("moment", "zone", "shown"),
    [
        ("2026-12-18T23:59:59+01:00", "Europe/Amsterdam", "2026-12-18 23:59 Europe/Amsterdam (UTC+01:00)"),
        ("2026-07-18T10:00:00Z", "Europe/Amsterdam", "2026-07-18 12:00 Europe/Amsterdam (UTC+02:00)"),
        ("2026-12-18T23:59:59+09:00", None, "2026-12-18 23:59 UTC+09:00"),
        ("2026-12-18T00:00:00Z", None, "2026-12-18 00:00 UTC"),
        ("2026-12-18T00:00:00Z", "UTC", "2026-12-18 00:00 UTC"),
        ("2026-12-18T00:00:00-03:30", "Mars/Olympus", "2026-12-18 00:00 UTC-03:30"),
    ],
)
def test_a_moment_is_shown_with_its_zone(moment, zone, shown):
    assert show_moment(datetime.fromisoformat(moment), zone) == shown


def test_the_outlook_shows_the_deadline_in_the_campaigns_zone():
    spec = {"deadline": "2026-12-18T22:59:59Z", "timezone": "Europe/Amsterdam"}
    record = CampaignRecord("a", State.ACTIVE, spec, datetime(2026, 11, 2, tzinfo=UTC))
    assert outlook_of(record, []).shown_deadline == "2026-12-18 23:59 Europe/Amsterdam (UTC+01:00)"
    assert json.dumps(outlook_of(record, []).as_facts()["deadline"]) == '"2026-12-18T22:59:59+00:00"'


def test_time_zone_data_is_there_to_test_with():
    assert "Europe/Amsterdam" in zoneinfo.available_timezones()
