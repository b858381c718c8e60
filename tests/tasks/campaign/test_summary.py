"""The page of a campaign in the Prefect UI."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from labelwright.campaigns.outlook import LabelerOutlook, in_words, outlook_of
from labelwright.campaigns.spec import CampaignSpec
from labelwright.cli.output.campaigns import show_campaign
from labelwright.cli.output.sweeps import Report, rows_of, show_rows
from labelwright.domain import LeftOutCounts, Progress, State
from labelwright.ledger import CampaignRecord
from labelwright.settings import forget_settings
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.campaign import summary as summary_module
from labelwright.tasks.campaign.summary import newest, publish_summary, summary
from labelwright.tasks.context import the_ledger

START = datetime(2026, 11, 2, 8, tzinfo=UTC)


def record(state=State.ACTIVE, **more):
    spec = {"platform": "cvat", "labeler": "a@b.c", "deadline": "2026-11-20T12:00:00Z"}
    return CampaignRecord("river | *2026*", state, spec, START, done=25, total=100, **more)


def page(record, history=(), **more):
    outlook = outlook_of(record, history, START + timedelta(hours=10))
    sections = {"labelers": [], "pages": {}, "datasets": [], "pictures": []} | more
    return summary(record, outlook, **sections)


HISTORY = [Progress(START, 0, 100), Progress(START + timedelta(hours=10), 25, 100)]


def test_a_campaign_half_way_shows_its_bar_its_pace_and_its_end():
    text = page(
        record(),
        HISTORY,
        labelers=[LabelerOutlook("ann", 20, 50, timedelta(hours=15)), LabelerOutlook("bo", 5, 50, None)],
        pages={"the labeling page": "http://127.0.0.1:8080/"},
    )
    assert "# river \\| \\*2026\\*" in text
    assert "`███████░░░░░░░░░░░░░░░░░░░░░░░` 25 of 100 images labeled" in text
    assert "- pace: 2.5 images an hour" in text
    assert "- expected end: 2026-11-04 00:00 UTC" in text
    assert "| ann | 20 of 50 | 15 h |" in text
    assert "| bo | 5 of 50 |  |" in text
    assert "[the labeling page](http://127.0.0.1:8080/)" in text


def test_a_campaign_that_needs_attention_says_why_and_what_to_do():
    text = page(record(State.NEEDS_ATTENTION, reason="the gate: <b>2 images</b>"))
    assert "> the gate: \\<b\\>2 images\\</b\\>" in text
    assert "labelwright resume" in text
    assert "expected end" not in text


def test_failed_images_are_counted_with_the_command_to_resend():
    text = page(record(), image_states={"failed on the platform": 2, "skipped": 1})
    assert "| failed on the platform | 2 |" in text
    assert "labelwright failed 'river | *2026*' --resend" in text
    text = page(record(), image_states={"skipped": 1})
    assert "| skipped | 1 |" in text
    assert "labelwright failed" not in text


def test_a_finished_campaign_shows_its_datasets_and_pictures():
    text = page(
        record(State.EXPORTED),
        datasets=[("river_labels", "3", "/data/river_labels/v3")],
        pictures=["data:image/jpeg;base64,AAAA"],
    )
    assert "| river\\_labels | 3 | `/data/river_labels/v3` |" in text
    assert "![](data:image/jpeg;base64,AAAA)" in text


def test_of_each_dataset_the_newest_is_shown():
    versions = [{"name": "a", "version": "1"}, {"name": "b", "version": "1"}, {"name": "a", "version": "2"}]
    assert newest(versions) == [{"name": "a", "version": "2"}, {"name": "b", "version": "1"}]


def test_spans_are_told_as_people_say_them():
    spans = [timedelta(minutes=5), timedelta(hours=30), timedelta(days=9), None]
    assert [in_words(span) for span in spans] == ["5 min", "30 h", "9 days", ""]


def test_shapes_and_images_left_out_are_counted_by_reason():
    counts = LeftOutCounts({"polyline": 1500, "crosses|itself": 1}, {"cut to its image": 2})
    text = page(record(State.EXPORTED), left_out=counts)
    assert "| shapes left out | polyline | 1,500 |" in text
    assert "| shapes left out | crosses\\|itself | 1 |" in text
    assert "| shapes changed | cut to its image | 2 |" in text
    assert "left out" not in page(record(State.EXPORTED), left_out=LeftOutCounts())


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with a running service's files and a campaign that is active."""
    service = tmp_path / "service"
    service.mkdir()
    (service / "admin.json").write_text(json.dumps({"key": "an-admins-key", "secret": "an-admins-word"}))
    (service / "service.json").write_text(json.dumps({"url": "http://127.0.0.1:8080"}))
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    document = {"title": "river", "images": {"folder": "/photos"}, "labels": ["boat"], "labeler": "a@b.c"}
    campaigns = the_ledger().campaigns
    campaigns.add("river", CampaignSpec.model_validate(document).model_dump(mode="json"))
    for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
        campaigns.move("river", state)
    campaigns.record_remote_campaign("river", "7")
    yield tmp_path
    forget_settings()


@pytest.fixture
def published(monkeypatch):
    artifacts = []
    monkeypatch.setattr(summary_module, "publishes", lambda: True)
    monkeypatch.setattr(summary_module, "publish", lambda _create, **artifact: artifacts.append(artifact))
    return artifacts


def test_the_page_shows_at_once_that_the_campaign_needs_attention(home, published):
    ask_for_attention.fn("river", "label 'boat' was deleted on the platform", "LW4016")
    (artifact,) = published
    assert artifact["description"] == "river: needs attention"
    assert "**needs attention**" in artifact["markdown"]
    assert "> label 'boat' was deleted on the platform" in artifact["markdown"]
    assert "labelwright resume 'river'" in artifact["markdown"]


def test_the_page_of_a_campaign_without_credentials_is_published_too(home, published):
    (home / "service" / "admin.json").unlink()
    ask_for_attention.fn("river", "the credentials are gone", "LW4012")
    assert "> the credentials are gone" in published[0]["markdown"]
    assert "http://" not in published[0]["markdown"]


def test_the_pages_links_are_named_what_they_open(home, published):
    publish_summary("river")
    text = published[0]["markdown"]
    assert "- [the labeling page, for labelers with their key](http://127.0.0.1:8080/label)" in text
    assert "- [the page of the service's admin](http://127.0.0.1:8080/)" in text


def test_the_page_names_the_command_that_lists_notes_to_answer(home, published):
    the_ledger().campaigns.record_unanswered_notes("river", 2)
    publish_summary("river")
    assert "> 2 notes of labelers have no answer: labelwright notes 'river'" in published[0]["markdown"]


BY_HAND = "completed by hand: labelwright reopen 'river'. Or: labelwright deliver 'river' --accept-partial"


@pytest.mark.parametrize(
    ("state", "reason", "way"),
    [
        (State.NEEDS_ATTENTION, "the gate", "When that is fixed: labelwright resume 'river'"),
        (State.NEEDS_ATTENTION, BY_HAND, ""),
        (State.PAUSED, "its run 'launch river' was cancelled in Prefect", "To go on: labelwright resume 'river'"),
    ],
)
def test_page_status_and_sweep_name_the_same_way_on(home, published, capsys, state, reason, way):
    ledger = the_ledger()
    ledger.campaigns.move("river", State.COMPLETED)
    ledger.campaigns.move("river", state, reason)
    publish_summary("river")
    show_campaign(ledger, "river", as_json=False)
    status = capsys.readouterr().out
    show_rows(rows_of(Report({}, {}, ()), ledger), as_json=False)
    texts = [published[0]["markdown"].replace("`", "").replace("\\", ""), status, capsys.readouterr().out]
    texts = [" ".join(text.replace("> ", "").split()) for text in texts]
    for text in texts:
        assert state.value in text
        assert reason in text
        assert ("labelwright resume" in text) is bool(way)
        assert way in text
    since = f"since {ledger.campaigns.moves('river')[-1].at:%Y-%m-%d %H:%M} UTC"
    assert since in texts[0]
    assert since in texts[1]


def test_page_and_status_say_by_what_and_when_a_campaign_came_into_its_state(home, published, capsys):
    ledger = the_ledger()
    ledger.campaigns.move("river", State.CANCELLED, "by a person")
    publish_summary("river")
    show_campaign(ledger, "river", as_json=False)
    since = f"since {ledger.campaigns.moves('river')[-1].at:%Y-%m-%d %H:%M} UTC: by a person"
    assert since in published[0]["markdown"]
    assert since in capsys.readouterr().out
