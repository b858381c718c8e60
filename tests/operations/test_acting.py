"""What can be done on the operations page, by whom, and what is checked before."""

from __future__ import annotations

import re

import pytest
import requests
import yaml
from cryptography.fernet import Fernet

from labelwright.domain import State
from labelwright.ledger import Ledger
from labelwright.operations import access
from labelwright.operations.actions import ACTIONS
from labelwright.prefect_integration.deployments import prefect_file
from labelwright.settings import forget_settings

from .conftest import KEY, READER, SECRET, Person
from .seeding import add

ALLOWED: dict[str, tuple[State, State, str]] = {
    "resume": (State.PAUSED, State.EXPORTED, "there is nothing to retry"),
    "pause": (State.COMPLETED, State.ACTIVE, "its labelers work on it"),
    "deliver": (State.ACTIVE, State.PLANNED, "nothing is labeled yet"),
    "reopen": (State.EXPORTED, State.PLANNED, "not launched completely"),
    "cancel": (State.ACTIVE, State.EXPORTED, "too late to cancel"),
    "rotate": (State.ACTIVE, State.ACTIVE, "makes no new keys"),
}
"""For each action a state in which it can be done, one in which it cannot, and a part of the reason."""


def campaigns_for(ledger: Ledger, action: str) -> str:
    """Adds a campaign with which the action can be done, and one with which it cannot. Returns the reason."""
    good, bad, reason = ALLOWED[action]
    add(ledger, "good", good, done=3, total=3)
    add(ledger, "bad", bad, platform="cvat" if action == "rotate" else "campaign_api")
    return reason


def test_every_action_is_tested():
    assert ALLOWED.keys() == ACTIONS.keys()


def test_every_action_is_a_deployment_that_takes_its_parameters():
    from importlib import import_module

    deployments = yaml.safe_load(prefect_file().read_text(encoding="utf-8"))["deployments"]
    entrypoints = {deployment["name"]: deployment["entrypoint"] for deployment in deployments}
    for action in ACTIONS.values():
        module, _, name = entrypoints[action.deployment.partition("/")[2]].rpartition(".")
        flow = getattr(import_module(module), name)
        assert action.deployment.partition("/")[0] == flow.name
        assert {"title", *(choice.name for choice in action.choices)} == set(flow.parameters.properties)


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_is_started_once_after_confirmation(person, ledger, runs, name):
    campaigns_for(ledger, name)
    visitor = person()
    assert not runs.started
    assert f'id="action-{name}"' in visitor.get("/campaign", params={"title": "good"}).text
    form = visitor.form("good", name)
    assert not runs.started
    response = visitor.post("/act", title="good", action=name, form=form)
    assert response.status_code == 303
    assert response.headers["Location"] == f"/operations/campaign?title=good&run=run-1&action={name}"
    again = visitor.post("/act", title="good", action=name, form=form)
    assert again.headers["Location"] == response.headers["Location"]
    assert len(runs.started) == 1
    ((key, (deployment, parameters)),) = runs.started.items()
    assert key.startswith(f"{name} ")
    assert deployment == ACTIONS[name].deployment
    unticked = {choice.name: "" if choice.longest else False for choice in ACTIONS[name].choices}
    assert parameters == {"title": "good", **unticked}


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_that_the_state_forbids_is_refused_before_and_after_the_form(person, ledger, runs, name):
    reason = campaigns_for(ledger, name)
    visitor = person()
    page = visitor.get("/confirm", params={"title": "bad", "action": name})
    assert reason in page.text
    assert "<form class=" not in page.text
    form = visitor.form("good", name)
    refused = visitor.post("/act", title="bad", action=name, form=form)
    assert refused.status_code == 409
    assert reason in refused.text
    assert not runs.started


def test_what_is_ticked_and_written_reaches_the_run(person, ledger, runs):
    add(ledger, "river", State.EXPORTED)
    visitor = person()
    form = visitor.form("river", "reopen")
    visitor.post("/act", title="river", action="reopen", form=form, wrong="yes", reason="  too loose  ")
    assert next(iter(runs.started.values()))[1] == {"title": "river", "wrong": True, "reason": "too loose"}
    long = visitor.post("/act", title="river", action="reopen", form=visitor.form("river", "reopen"), reason="x" * 2001)
    assert long.status_code == 400
    assert "2,001 characters" in long.text


def test_a_platform_that_cannot_delete_refuses_only_that(person, ledger, runs):
    add(ledger, "river", State.ACTIVE)
    visitor = person()
    form = visitor.form("river", "cancel")
    refused = visitor.post("/act", title="river", action="cancel", form=form, delete="yes")
    assert (refused.status_code, "cannot delete campaigns" in refused.text) == (409, True)
    assert visitor.post("/act", title="river", action="cancel", form=form).status_code == 303


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_a_reader_looks_and_changes_nothing(person, ledger, runs, name):
    campaigns_for(ledger, name)
    reader = person(*READER)
    assert 'id="action-' not in reader.get("/campaign", params={"title": "good"}).text
    page = reader.get("/confirm", params={"title": "good", "action": name})
    assert "You may look" in page.text
    assert "<form class=" not in page.text
    admins_form = person().form("good", name)
    assert reader.post("/act", title="good", action=name, form=admins_form).status_code == 403
    assert not runs.started


def test_a_reader_with_a_form_of_its_own_is_refused(person, ledger, runs, monkeypatch):
    add(ledger, "river", State.ACTIVE)
    reader = person(*READER)
    monkeypatch.setattr("labelwright.operations.access.Door.form_id", lambda *_: "a form")
    refused = reader.post("/act", title="river", action="cancel", form="x")
    assert (refused.status_code, "You may look" in refused.text) == (403, True)
    assert not runs.started


def test_nothing_is_done_by_get(person, ledger, runs):
    add(ledger, "river", State.ACTIVE)
    visitor = person()
    form = visitor.form("river", "cancel")
    for path in ("/act", "/logout"):
        response = visitor.get(path, params={"title": "river", "action": "cancel", "form": form})
        assert response.status_code == 405
    assert not runs.started
    assert visitor.get("/").status_code == 200


FOREIGN = Fernet(b"A" * 43 + b"=").encrypt_at_time(b"{}", 0).decode()


@pytest.mark.parametrize(
    "form", ["", "x", "gAAAAABmadeup", FOREIGN], ids=["empty", "one letter", "made up", "of another service"]
)
def test_a_form_without_a_token_of_this_service_does_nothing(person, ledger, runs, form):
    add(ledger, "river", State.ACTIVE)
    assert person().post("/act", title="river", action="cancel", form=form).status_code == 403
    assert not runs.started


def test_a_form_grows_old(person, ledger, runs, monkeypatch):
    add(ledger, "river", State.ACTIVE)
    visitor = person()
    form = visitor.form("river", "cancel")
    monkeypatch.setattr(access, "FORM_SECONDS", -1)
    assert visitor.post("/act", title="river", action="cancel", form=form).status_code == 403
    assert not runs.started


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
)
def test_forms_of_other_sites_are_refused(person, site, ledger, runs, headers):
    add(ledger, "river", State.ACTIVE)
    visitor = person()
    form = visitor.form("river", "cancel")
    assert visitor.post("/act", headers, title="river", action="cancel", form=form).status_code == 403
    assert Person(site).post("/login", headers, key=KEY, secret=SECRET).status_code == 403
    assert not runs.started
    own = {"Origin": site, "Sec-Fetch-Site": "same-origin"}
    assert visitor.post("/act", own, title="river", action="cancel", form=form).status_code == 303


def test_without_a_session_nothing_is_started(site, person, ledger, runs):
    add(ledger, "river", State.ACTIVE)
    form = person().form("river", "cancel")
    assert Person(site).post("/act", title="river", action="cancel", form=form).status_code == 401
    assert not runs.started


def test_a_session_ends_at_the_logout_and_when_the_key_is_replaced(person, site):
    visitor = person()
    cookie = dict(visitor.session.cookies)
    assert visitor.post("/logout").headers["Location"] == "/operations/login"
    assert visitor.get("/").headers["Location"] == "/operations/login"
    visitor.session.cookies.update(cookie)
    assert visitor.get("/").status_code == 503  # no ledger yet, and the session holds
    headers = {"Authentication-Key": KEY, "Authentication-Secret": SECRET}
    rotation = f"{site}/api/v1/users/admin@localhost/keys"
    assert requests.post(rotation, headers=headers, timeout=60).status_code == 200
    assert visitor.get("/").headers["Location"] == "/operations/login"
    forged = Person(site)
    forged.session.cookies.set("labelwright_operations", "gAAAAABmadeup", path="/operations")
    assert forged.get("/").headers["Location"] == "/operations/login"


def test_a_form_that_is_too_large_or_no_form_is_refused(person, ledger):
    visitor = person()
    assert visitor.post("/act", title="x" * 70_000).status_code == 413
    response = visitor.session.post(f"{visitor.url}/act", json={"title": "x"}, timeout=60)
    assert response.status_code == 415


def test_prefect_that_is_away_is_reported_with_the_command(person, ledger, runs):
    add(ledger, "river", State.ACTIVE)
    runs.refusal = "The Prefect server did not respond (OutOfTime)"
    visitor = person()
    response = visitor.post("/act", title="river", action="cancel", form=visitor.form("river", "cancel"))
    assert response.status_code == 503
    assert "did not respond (OutOfTime) [LW6008]" in response.text
    assert "labelwright cancel &#39;river&#39;" in response.text


def test_refusals_end_with_their_codes(person, ledger):
    add(ledger, "river", State.EXPORTED)
    visitor = person()
    assert "[LW1301]" in visitor.get("/confirm?title=river&action=cancel").text
    assert "[LW2002]" in visitor.get("/campaign?title=nothing").text
    assert "[LW7001]" in visitor.get("/picture?title=river&name=contact-sheet").text


def test_a_run_is_shown_until_it_is_over(person, ledger, runs):
    add(ledger, "river", State.ACTIVE)
    visitor, htmx = person(), {"HX-Request": "true"}
    running = visitor.get("/run?id=run-1&action=cancel", headers=htmx).text
    assert "Cancel: Running." in running
    assert 'hx-trigger="every 2s"' in running
    runs.end("'river' is cancelled; it still exists on the platform (id 17)")
    over = visitor.get("/run?id=run-1&action=cancel", headers=htmx).text
    assert "it still exists on the platform" in over
    assert "hx-trigger" not in over
    assert "<!doctype html>" in visitor.get("/run?id=run-1&action=cancel").text


@pytest.fixture
def proxied(monkeypatch, home):
    """The page behind a proxy that names its users."""
    monkeypatch.setenv("LABELWRIGHT_OPERATIONS__USER_HEADER", "X-Forwarded-User")
    monkeypatch.setenv("LABELWRIGHT_OPERATIONS__ADMINS", '["ann@example.com"]')
    forget_settings()


def test_a_users_header_is_trusted_only_when_it_is_switched_on(site, ledger):
    visitor = Person(site)
    visitor.session.headers["X-Forwarded-User"] = "ann@example.com"
    assert visitor.get("/").status_code == 303


def test_a_proxy_names_who_may_act_and_who_may_look(proxied, site, ledger, runs):
    add(ledger, "river", State.ACTIVE)
    ann, ben = Person(site), Person(site)
    ann.session.headers["X-Forwarded-User"] = "ann@example.com"
    ben.session.headers["X-Forwarded-User"] = "ben@example.com"
    form = ann.form("river", "cancel")
    assert "ben@example.com" in ben.get("/").text
    assert ben.post("/act", title="river", action="cancel", form=form).status_code == 403
    assert not runs.started
    assert ann.post("/act", title="river", action="cancel", form=form).status_code == 303
    assert re.search("Log out", ann.get("/").text) is None
    assert Person(site).get("/").status_code == 303
