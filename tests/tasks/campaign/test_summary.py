"""The page of a campaign in the Prefect UI."""

from datetime import UTC, datetime, timedelta

from labelwright.campaigns.outlook import LabelerOutlook, in_words, outlook_of
from labelwright.domain import LeftOutCounts, Progress, State
from labelwright.ledger import CampaignRecord
from labelwright.tasks.campaign.summary import newest, summary

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
