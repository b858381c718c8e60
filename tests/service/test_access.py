"""Who may do what."""

from __future__ import annotations

import errno
import json
import os
import re
import sqlite3
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from labelwright.service import ServiceConfig
from labelwright.service.app import prepare
from labelwright.service.run import RefusesToListen
from labelwright.service.run import serve as serve_for_ever

OPEN = {("GET", "/health")}
LABELING = "/api/v1/labeling/campaigns"
FOR_LABELERS = {
    ("GET", "/api/v1/images/{image}"),
    ("GET", "/api/v1/campaigns/{campaign}/images"),
    ("PUT", "/api/v1/campaigns/{campaign}/objects"),
    ("GET", "/api/v1/campaigns/{campaign}/notes"),
    # For the labeling page; tests/service/api/test_labeling.py tries them on another's campaign.
    ("GET", LABELING),
    ("GET", LABELING + "/{campaign}"),
    ("GET", LABELING + "/{campaign}/images"),
    ("GET", LABELING + "/{campaign}/images/{image}"),
    ("GET", LABELING + "/{campaign}/images/{image}/picture"),
    ("GET", LABELING + "/{campaign}/images/{image}/overview"),
    ("GET", LABELING + "/{campaign}/images/{image}/thumbnail"),
    ("GET", LABELING + "/{campaign}/images/{image}/tiles/{level}/{column}/{row}"),
    ("PUT", LABELING + "/{campaign}/images/{image}/skip"),
    ("POST", LABELING + "/{campaign}/images/{image}/notes"),
    ("PUT", LABELING + "/{campaign}/images/{image}"),
    ("PUT", LABELING + "/{campaign}/images"),
}


def all_routes(service):
    paths = requests.get(f"{service.url}/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def body_for(method, path):
    if path.endswith("/objects"):
        return [{"image_id": 1, "objects": []}]
    if path.endswith("/images"):
        return [{"id": 1}]
    return {"new_status": "finished"} if method == "PUT" else {"title": "not-theirs", "labeler_email": "a@b.c"}


def call(service, headers, method, path, number):
    url = service.url + re.sub(r"\{email\}", "nobody@example.com", re.sub(r"\{(?!email)\w+\}", str(number), path))
    body = body_for(method, path) if method != "GET" else None
    return requests.request(method, url, json=body, headers=headers, allow_redirects=False)


def with_another_number(text: str, number: int) -> str:
    """The text with 987654 for the number, which is no part of an error code."""
    return re.sub(rf"\b{number}\b", "987654", text)


def test_every_route_but_health_needs_a_key(service):
    routes = all_routes(service)
    assert len(routes) == 36
    for method, path in routes - OPEN:
        for headers in ({}, {"Authentication-Key": "admin-key"}):
            response = call(service, headers, method, path, 1)
            assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthenticated"), (method, path)
    assert requests.get(f"{service.url}/health").json()["status"] == "ok"


def test_a_wrong_secret_and_an_unknown_key_get_the_same_answer(service):
    pairs = [("admin-key", "wrong"), ("nobody", "wrong"), ("admin-key", ""), ("ä", "ö")]
    answers = [
        requests.get(
            f"{service.api}/images",
            headers={"Authentication-Key": key.encode(), "Authentication-Secret": secret.encode()},
        )
        for key, secret in pairs
    ]
    assert {response.status_code for response in answers} == {401}
    assert len({response.text for response in answers}) == 1


def test_a_labeler_may_do_few_things_and_only_to_the_own_campaign(service):
    mine, my_images, labeler = service.campaign()
    other, other_images, _ = service.campaign()
    for method, path in all_routes(service) - OPEN:
        if (method, path) not in FOR_LABELERS:
            for number in (mine["campaign_id"], 10**9):
                response = call(service, labeler.headers, method, path, number)
                assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden"), (method, path)
    number = mine["campaign_id"]
    assert len(labeler.get(f"/campaigns/{number}/images")["images"]) == 2
    assert labeler("GET", f"/images/{my_images[0]}").status_code == 200
    assert labeler.ok("PUT", f"/campaigns/{number}/objects", [{"image_id": my_images[0], "objects": []}]) == "ok"

    # Another's reads exactly like none.
    bodies = {"skip": {"reason": "blurred"}, "notes": {"text": "blurred"}, "images": {"images": []}}
    for method, path in FOR_LABELERS:
        if not path.startswith(f"{LABELING}/") and not path.endswith("/notes"):
            continue
        values = {"campaign": other["campaign_id"], "image": other_images[0], "level": 0, "column": 0, "row": 0}
        body = None if method == "GET" else bodies.get(path.rpartition("/")[2], {"objects": []})
        headers = labeler.headers | {"If-Match": '"none"'}
        response = requests.request(method, service.url + path.format(**values), json=body, headers=headers)
        assert response.status_code == 404, (method, path, response.text)
    for path, theirs in (
        ("/campaigns/{}/images", other["campaign_id"]),
        ("/images/{}", other_images[0]),
    ):
        existing, nowhere = labeler("GET", path.format(theirs)), labeler("GET", path.format(987_654))
        assert existing.status_code == nowhere.status_code == 404
        assert with_another_number(existing.text, theirs) == nowhere.text
    put = [{"image_id": other_images[0], "objects": []}]
    existing = labeler("PUT", f"/campaigns/{other['campaign_id']}/objects", put)
    nowhere = labeler("PUT", "/campaigns/987654/objects", put)
    assert existing.status_code == nowhere.status_code == 404
    assert with_another_number(existing.text, other["campaign_id"]) == nowhere.text
    # Nor does a broken body tell that there is one.
    assert labeler("PUT", f"/campaigns/{other['campaign_id']}/objects", "nonsense").status_code == 404


def test_an_image_of_another_campaign_cannot_be_labeled_in_the_own_one(service):
    mine, _, labeler = service.campaign()
    _, other_images, _ = service.campaign()
    path = f"/campaigns/{mine['campaign_id']}/objects"
    existing = labeler("PUT", path, [{"image_id": other_images[0], "objects": []}])
    nowhere = labeler("PUT", path, [{"image_id": 987_654, "objects": []}])
    assert existing.status_code == nowhere.status_code == 422
    assert with_another_number(existing.text, other_images[0]) == nowhere.text


def test_known_labeler_gets_key_without_secret_and_both_campaigns(service):
    mail = "Twice@Example.com"
    first, _, labeler = service.campaign(labeler_email=mail)
    second, _, _ = service.campaign(labeler_email=mail.lower())
    assert second["access_token"] == {"apikey": first["access_token"]["apikey"], "apisecret": None}
    for access in (first, second):
        assert len(labeler.get(f"/campaigns/{access['campaign_id']}/images")["images"]) == 2


def test_a_rotated_key_is_dead_and_the_new_one_lives(service, make):
    campaign, _, old = service.campaign(labeler_email="rotates@example.com")
    path = f"/campaigns/{campaign['campaign_id']}/images"
    assert old("GET", path).status_code == 200
    pair = service.ok("POST", "/users/rotates@example.com/keys")
    assert old("GET", path).status_code == 401
    assert make.caller(service.url, pair["apikey"], pair["apisecret"])("GET", path).status_code == 200
    assert service("POST", "/users/nobody@example.com/keys").status_code == 404


def test_secrets_are_nowhere_on_disk_but_in_the_admins_own_file(serve, tmp_path, make):
    data = tmp_path / "data"
    with serve() as service:
        headers = {"Idempotency-Key": "once"}
        body = {"title": "c", "metadata": None, "labeler_email": "a@example.com"}
        campaign = service("POST", "/campaigns", body, headers=headers).json()
        secret = campaign["access_token"]["apisecret"].encode()
    for path in data.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path
            assert path.name == "admin.json" or make.secret.encode() not in path.read_bytes(), path
    assert json.loads((data / "admin.json").read_text()) == {"key": make.key, "secret": make.secret}
    for name in ("admin.json", "signing.key", "labelwright.sqlite3"):
        assert (data / name).stat().st_mode & 0o077 == 0, name
    rows = sqlite3.connect(data / "labelwright.sqlite3").execute("select secret_hash from users").fetchall()
    assert all(row[0].startswith("scrypt:") for row in rows)


def test_the_admins_secret_is_made_once_told_once_and_kept_over_a_restart(serve, tmp_path):
    data = tmp_path / "data"
    created = prepare(ServiceConfig(data))
    assert created.secret
    assert created.secret not in repr(created)
    assert prepare(ServiceConfig(data)).secret is None
    assert json.loads((data / "admin.json").read_text()) == {"key": created.key, "secret": created.secret}
    with serve(admin_key=None, admin_secret=None) as service:
        service.headers = {"Authentication-Key": created.key, "Authentication-Secret": created.secret}
        assert service.get("/images")["images"] == []
        pair = service.ok("POST", "/users/admin@localhost/keys")
        assert json.loads((data / "admin.json").read_text()) == {"key": pair["apikey"], "secret": pair["apisecret"]}


@pytest.mark.parametrize("settings", [{}, {"admin_key": "k"}, {"admin_key": "k", "admin_secret": "short"}])
def test_service_refuses_other_hosts_with_the_default_secret(tmp_path, settings):
    with pytest.raises(RefusesToListen, match="or listen on 127"):
        serve_for_ever(ServiceConfig(tmp_path / "data", host="0.0.0.0", **settings))


def test_with_a_chosen_secret_it_listens_where_it_is_told(serve):
    with serve(host="0.0.0.0") as service:
        port = service.url.rsplit(":", 1)[1]
        assert requests.get(f"http://127.0.0.1:{port}/health").status_code == 200


def test_those_who_guess_slow_down_nobody_else(service):
    service.get("/image_sets")
    stop, refused = threading.Event(), []

    def guess():
        while not stop.is_set():
            wrong = {"Authentication-Key": "admin-key", "Authentication-Secret": "wrong"}
            assert requests.get(f"{service.api}/image_sets", headers=wrong).status_code == 401
            refused.append(1)

    guessers = [threading.Thread(target=guess) for _ in range(60)]
    for guesser in guessers:
        guesser.start()
    try:
        while len(refused) < 60:
            time.sleep(0.05)
        before = len(refused)
        service.get("/image_sets")
        assert len(refused) - before < 45, "who stood in line with sixty guesses saw sixty of them refused"
    finally:
        stop.set()
        for guesser in guessers:
            guesser.join()


class Killed(BaseException):
    """The process ends here: nothing that comes after it is done."""


def admin_of(data):
    return json.loads((data / "admin.json").read_text())


def works(url, pair):
    headers = {"Authentication-Key": pair["key"], "Authentication-Secret": pair["secret"]}
    return requests.get(f"{url}/api/v1/image_sets", headers=headers, timeout=30).status_code == 200


STEPS = ["prepare", "commit", "switch"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_whenever_a_rotation_is_killed_the_file_has_the_pair_that_counts(tmp_path, monkeypatch, step, when):
    from labelwright.service.access import Access
    from labelwright.service.admin_file import AdminFile
    from labelwright.service.database import Database
    from labelwright.service.run import serving

    data = tmp_path / "data"
    prepare(ServiceConfig(data))
    database = Database(data)
    access = Access(database)
    if step == "commit":
        real = database.write

        @contextmanager
        def write(**options):
            with real(**options) as connection:
                yield connection
                if when == "before":
                    raise Killed
            raise Killed

        monkeypatch.setattr(database, "write", write)
    else:
        method = getattr(AdminFile, step)

        def dies(self, *arguments):
            if when == "after":
                method(self, *arguments)
            raise Killed

        monkeypatch.setattr(AdminFile, step, dies)
    with pytest.raises(Killed):
        access.rotate("admin@localhost", AdminFile(data))
    database.close()
    monkeypatch.undo()
    with serving(ServiceConfig(data)) as url:
        assert works(url, admin_of(data))
        assert not (data / "admin.json.next").exists()


@pytest.mark.parametrize("step", STEPS)
def test_a_first_start_that_was_killed_does_not_lock_the_admin_out(tmp_path, monkeypatch, step):
    from labelwright.service.access import Access
    from labelwright.service.admin_file import AdminFile
    from labelwright.service.run import serving

    owner, name = (Access, "_set_admin") if step == "commit" else (AdminFile, step)
    method = getattr(owner, name)

    def dies(self, *arguments):
        method(self, *arguments)
        raise Killed

    monkeypatch.setattr(owner, name, dies)
    data = tmp_path / "data"
    with pytest.raises(Killed):
        prepare(ServiceConfig(data))
    monkeypatch.undo()
    with serving(ServiceConfig(data)) as url:
        assert works(url, admin_of(data))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("call", ["open", "fsync"])
def test_where_the_new_pair_cannot_be_written_the_old_one_still_holds(serve, tmp_path, monkeypatch, call, code):
    from labelwright.service import admin_file

    with serve() as service:
        before = admin_of(tmp_path / "data")

        def fails(*_):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(admin_file.os, call, fails)
        response = service("POST", "/users/admin@localhost/keys")
        monkeypatch.undo()
        assert response.status_code == 503
        assert "the old one still holds" in response.json()["error"]["message"]
        assert admin_of(tmp_path / "data") == before
        assert works(service.url, before)
        assert not list((tmp_path / "data").glob("admin.json.*"))


def test_key_pair_that_cannot_be_moved_is_moved_at_next_start(serve, tmp_path, monkeypatch):
    from labelwright.service.admin_file import AdminFile

    data = tmp_path / "data"
    with serve() as service:
        real = Path.replace

        def replace(self, target):
            if Path(target).name == "admin.json":
                raise OSError(errno.EROFS, "Read-only file system")
            return real(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        pair = service.ok("POST", "/users/admin@localhost/keys")
        monkeypatch.undo()
        fresh = {"key": pair["apikey"], "secret": pair["apisecret"]}
        assert works(service.url, fresh)
        assert admin_of(data) != fresh
    assert AdminFile(data).prepared().key == fresh["key"]
    with serve(admin_key=None, admin_secret=None) as service:
        assert admin_of(data) == fresh
        assert works(service.url, fresh)


def test_a_pair_that_counts_and_is_not_in_its_place_is_not_written_over(serve, tmp_path, monkeypatch):
    from labelwright.service.admin_file import AdminFile

    real = Path.replace

    def replace(self, target):
        if Path(target).name == "admin.json":
            raise OSError(errno.EBUSY, "Device or resource busy")
        return real(self, target)

    with serve() as service:
        monkeypatch.setattr(Path, "replace", replace)
        pair = service.ok("POST", "/users/admin@localhost/keys")
        fresh = {"Authentication-Key": pair["apikey"], "Authentication-Secret": pair["apisecret"]}
        url = f"{service.url}/api/v1/users/admin@localhost/keys"
        again = requests.post(url, headers=fresh, timeout=30)
        assert again.status_code == 503
        waiting = AdminFile(tmp_path / "data").prepared()
        assert (waiting.key, waiting.secret) == (pair["apikey"], pair["apisecret"])
        monkeypatch.undo()
        assert requests.post(url, headers=fresh, timeout=30).status_code < 300
        assert works(service.url, admin_of(tmp_path / "data"))


def test_two_rotations_at_once_do_not_mix_their_pairs(tmp_path, monkeypatch):
    from labelwright.service.access import Access
    from labelwright.service.admin_file import AdminFile
    from labelwright.service.database import Database
    from labelwright.service.run import serving

    data = tmp_path / "data"
    prepare(ServiceConfig(data))
    database = Database(data)
    access = Access(database)
    real_switch, real_write, second = AdminFile.switch, database.write, []

    def fails() -> None:
        with pytest.raises(OSError, match="disk"):
            access.rotate("admin@localhost", AdminFile(data))

    @contextmanager
    def write(**options):
        with real_write(**options) as connection:
            yield connection
            if second and threading.current_thread() is second[0]:
                raise OSError(errno.ENOSPC, "disk")

    def switch(self):
        if not second:
            second.append(threading.Thread(target=fails))
            second[0].start()
            second[0].join(1)  # it waits for the first one, which is here
        real_switch(self)

    monkeypatch.setattr(database, "write", write)
    monkeypatch.setattr(AdminFile, "switch", switch)
    pair = access.rotate("admin@localhost", AdminFile(data))
    assert admin_of(data) == {"key": pair.key, "secret": pair.secret}
    second[0].join(60)
    database.close()
    monkeypatch.undo()
    with serving(ServiceConfig(data)) as url:
        assert admin_of(data) == {"key": pair.key, "secret": pair.secret}
        assert works(url, admin_of(data))


def test_an_error_of_the_database_does_not_repeat_keys_in_the_log(tmp_path):
    from labelwright.service.database import Database

    prepare(ServiceConfig(tmp_path / "data"))
    database = Database(tmp_path / "data")
    with pytest.raises(DBAPIError) as refused, database.write() as connection:
        connection.execute(text("insert into no_such_table values (:key)"), {"key": "canary-key"})
    database.close()
    assert "no_such_table" in str(refused.value)
    assert "canary-key" not in str(refused.value)
