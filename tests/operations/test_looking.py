"""What the operations page shows, to whom, and how much that costs."""

from __future__ import annotations

import re
import time

import pytest
import requests
from sqlalchemy import event

from labelwright.domain import State
from labelwright.operations.overview import PER_PAGE, Overviews, Query

from .conftest import KEY, READER, SECRET, Person
from .seeding import add, all_states, progress


def rows_of(text: str) -> list[str]:
    return re.findall(r'<a id="row-[^"]+" href="[^"]+">([^<]+)</a>', text)


PAGES = ["/", "/campaign?title=late", "/confirm?title=late&action=cancel", "/list", "/picture", "/run?action=pause"]


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_shown_without_a_login(site, ledger, home, path):
    all_states(ledger, home)
    response = Person(site).get(path)
    assert (response.status_code, response.headers["Location"]) == (303, "/operations/login")
    part = Person(site).get(path, headers={"HX-Request": "true"})
    assert part.status_code == 401
    assert "late" not in part.text


def test_wrong_keys_open_no_session_and_right_ones_do(site):
    for pair in ((KEY, "wrong"), ("wrong", SECRET), READER[::-1], ("", "")):
        visitor = Person(site)
        assert visitor.log_in(*pair).status_code == 401
        assert not visitor.session.cookies
    for pair in ((KEY, SECRET), READER):
        response = Person(site).log_in(*pair)
        cookie = response.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/operations" in cookie
        assert pair[1] not in cookie


def test_every_state_is_listed_with_what_needs_a_person_first(person, ledger, home):
    all_states(ledger, home)
    text = person().get("/").text
    titles = rows_of(text)
    assert titles[:3] == ["wrong labels", "paused", "late"]
    assert set(titles[-3:]) == {"river 2026", "orchard", "given up"}
    assert len(titles) == 13
    for state in State:
        assert f">{state.value}</span>" in text
    assert "labelwright resume &#39;wrong labels&#39;" in text
    assert "overdue" in text
    assert "number 1 in the queue for a launch run" in text
    assert "river 2026_labels" in text


def test_notes_without_an_answer_are_counted_and_need_a_person(person, ledger):
    for title, state in {"river": State.ACTIVE, "lake": State.EXPORTED, "given up": State.CANCELLED}.items():
        add(ledger, title, state, done=1, total=2)
        ledger.campaigns.record_unanswered_notes(title, 3)
    add(ledger, "quiet", State.ACTIVE, done=1, total=2)
    visitor = person()
    text = visitor.get("/?show=person").text
    assert set(rows_of(text)) == {"river", "lake"}, "nobody waits for an answer in a cancelled campaign"
    assert "3 notes of labelers have no answer: labelwright notes &#39;river&#39;" in text
    assert "3 notes of labelers" in visitor.get("/campaign", params={"title": "river"}).text
    ledger.campaigns.record_unanswered_notes("river", 1)
    assert "1 note of a labeler has no answer" in visitor.get("/").text


def test_a_filter_and_a_text_choose_campaigns(person, ledger, home):
    all_states(ledger, home)
    visitor = person()
    assert set(rows_of(visitor.get("/?show=person").text)) == {"wrong labels", "paused", "late"}
    assert set(rows_of(visitor.get("/?show=over").text)) == {"river 2026", "orchard", "given up"}
    assert rows_of(visitor.get("/?find=BERLIN").text) == ["harbour at night"]
    assert "No campaign is in this part" in visitor.get("/?find=nothing").text
    assert visitor.get("/?show=unknown").status_code == 404
    assert visitor.get("/?page=-1").status_code == 404


def test_a_campaign_shows_labelers_datasets_and_addresses(person, ledger, home):
    all_states(ledger, home)
    visitor = person()
    text = visitor.get("/campaign", params={"title": "harbour at night"}).text
    for part in ("ann@example.com", "ben@example.com", "an hour", "cvat-berlin", "created → active"):
        assert part in text
    assert "http://127.0.0.1:4200/artifacts/key/harbour-at-night-summary-" in text
    exported = visitor.get("/campaign", params={"title": "orchard"}).text
    assert "orchard_labels" in exported
    picture = re.search(r'class="sheet" src="/operations([^"]+)"', exported)
    sheet = visitor.get(picture[1].replace("&amp;", "&"))
    assert (sheet.status_code, sheet.headers["Content-Type"]) == (200, "image/png")
    assert visitor.get("/picture", params={"title": "orchard", "name": "../../ledger.db"}).status_code == 404
    assert visitor.get("/campaign", params={"title": "nobody's"}).status_code == 404


def test_texts_of_campaigns_are_escaped(person, ledger):
    title = "<script>alert(1)</script>"
    add(ledger, title, State.NEEDS_ATTENTION, reason="<img src=x onerror=alert(2)>", labeler="a&b@example.com")
    visitor = person()
    for text in (visitor.get("/").text, visitor.get("/campaign", params={"title": title}).text):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "&lt;img src=x" in text


def test_a_part_is_sent_again_only_when_it_changed(person, ledger):
    add(ledger, "river", State.COMPLETED, done=3, total=3)
    visitor = person()
    poll = re.search(r'hx-get="/operations(/list[^"]+)"', visitor.get("/").text)[1].replace("&amp;", "&")
    assert visitor.get(poll).status_code == 204
    ledger.campaigns.move("river", State.FINISHED)
    changed = visitor.get(poll)
    assert changed.status_code == 200
    assert "finished" in changed.text
    again = re.search(r'hx-get="/operations(/list[^"]+)"', changed.text)[1].replace("&amp;", "&")
    assert again != poll
    assert visitor.get(again).status_code == 204


def test_every_response_lets_no_other_site_in(person, site, ledger):
    visitor = person()
    for path in ("/", "/login", "/static/operations.js", "/nothing", "/list", "/act"):
        headers = visitor.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] in ("no-store", "no-cache")
    text = visitor.get("/").text
    assert "<style" not in text
    assert " style=" not in text
    assert re.findall(r"<script(?![^>]*src=)", text) == []
    assert re.search(r'\bon\w+="', text) is None
    assert requests.get(f"{site}/operations", allow_redirects=False, timeout=60).headers["Location"] == "/operations/"


def test_without_a_ledger_the_page_says_so_and_makes_none(person, home):
    response = person().get("/")
    assert response.status_code == 503
    assert "LABELWRIGHT_LEDGER_URL" in response.text
    assert not (home / "ledger.db").exists()


def fill(ledger, count: int, first: int = 0) -> None:
    states = (State.ACTIVE, State.COMPLETED, State.PLANNED, State.EXPORTED)
    for number in range(first, first + count):
        add(ledger, f"campaign {number:04}", states[number % 4], done=0, total=0)
    for number in range(first, first + count, 4):
        progress(ledger, f"campaign {number:04}", 500, {"a@example.com": 1.5}, hours=50)


def test_a_thousand_campaigns_take_a_fixed_number_of_queries(ledger):
    statements: list[str] = []
    event.listen(ledger._database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))

    def queries(page: int) -> int:
        statements.clear()
        overview = Overviews(ledger, [1]).read(Query(page=page))
        assert len(overview.rows) == PER_PAGE
        return len(statements)

    fill(ledger, 100)
    few = queries(1)
    fill(ledger, 300, first=100)
    assert queries(3) == few <= 20


@pytest.mark.slow
def test_a_thousand_campaigns_are_shown_within_a_second(person, ledger):
    fill(ledger, 1000)
    visitor = person()
    visitor.get("/")
    took = []
    for page in range(1, 6):
        begin = time.monotonic()
        assert len(rows_of(visitor.get(f"/?page={page}").text)) == PER_PAGE
        took.append(time.monotonic() - begin)
    assert sorted(took)[2] < 1, took
