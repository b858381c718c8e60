"""Titles as names of data assets, workspaces in the settings, and what a program that answers badly is made of."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from labelwright.platforms import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable
from labelwright.settings import SettingsError, WorkspaceSettings
from labelwright.stores.azure_ml.blobs import account_of
from labelwright.stores.azure_ml.names import asset_name, blob_path, sdk_path
from labelwright.stores.azure_ml.sdk_process import Calls, workspace_id

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}")
KEY = "c2VjcmV0"


def title_of(name: str) -> str:
    """The title an asset name was made of: names that decode to different titles cannot collide."""
    return re.sub(r"_x([0-9A-F]{4,6})_", lambda match: chr(int(match[1], 16)), name.removeprefix("x_x0000_"))


@given(some.text(some.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=22))
def test_every_title_is_a_name_and_comes_back(title):
    assert NAME.fullmatch(asset_name(title, "_labels"))
    assert title_of(asset_name(title)) == title


@pytest.mark.parametrize("title", ["river-2026", "a_b", "_x0020_", "x_x0000_", "-a", "_", "a_x0020__x0041_b", "1 2"])
def test_titles_that_look_like_escapes_come_back_too(title):
    assert title_of(asset_name(title)) == title


def test_plain_titles_stay_and_long_ones_are_cut_apart():
    assert asset_name("river-2026", "_images") == "river-2026_images"
    first, second = asset_name("я" * 120, "_labels"), asset_name("я" * 119 + "ю", "_labels")
    assert first != second
    assert NAME.fullmatch(first)
    assert first.endswith("_labels")


def test_a_file_has_a_path_that_no_url_has_to_encode():
    assert blob_path("a b_mltable/MLTable") == "a_x0020_b_mltable/MLTable"


def test_account_from_connection_string():
    plain = account_of(
        WorkspaceSettings.model_validate(
            {"connection_string": f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={KEY}"}
        )
    )
    assert (plain.container_url, plain.endpoint) == (
        "https://acc.blob.core.windows.net/extra-images",
        "core.windows.net",
    )
    local = f"AccountName=dev;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:10000/dev;"
    account = account_of(WorkspaceSettings.model_validate({"connection_string": local}))
    assert (account.name, account.container_url) == ("dev", "http://127.0.0.1:10000/dev/extra-images")
    assert (account.endpoint, account.protocol) == ("127.0.0.1:10000", "http")
    assert KEY not in repr(account)


def test_account_from_url_with_or_without_sas():
    url = "https://acc.blob.core.chinacloudapi.cn/"
    account = account_of(WorkspaceSettings.model_validate({"account_url": url, "sas": "?sv=1&sig=s3cret"}))
    assert (account.name, account.endpoint, account.sas) == ("acc", "core.chinacloudapi.cn", "sv=1&sig=s3cret")
    assert "s3cret" not in repr(account)
    assert account_of(WorkspaceSettings.model_validate({"account_url": url})).sas is None


@pytest.mark.parametrize(
    ("workspace", "message"),
    [
        ({}, "needs its storage account"),
        ({"connection_string": "AccountName=a"}, "neither AccountName and AccountKey nor a SAS"),
        ({"account_url": "https://a", "connection_string": f"AccountName=a;AccountKey={KEY}"}, "either"),
    ],
)
def test_incomplete_account_settings_name_what_to_set(workspace, message):
    with pytest.raises(SettingsError, match=message):
        account_of(WorkspaceSettings.model_validate(workspace))


def test_settings_win_over_config_json(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}))
    place = workspace_id(WorkspaceSettings.model_validate({"config": config, "workspace_name": "other"}))
    assert (place.subscription_id, place.resource_group, place.workspace_name) == ("s", "g", "other")
    assert place.uri("d") == "azureml://subscriptions/s/resourcegroups/g/workspaces/other/datastores/d/paths/"
    with pytest.raises(SettingsError, match="subscription_id"):
        workspace_id(WorkspaceSettings())
    with pytest.raises(SettingsError, match="cannot be read"):
        workspace_id(WorkspaceSettings.model_validate({"config": tmp_path / "none.json"}))


# --- the program that asks


def calls(tmp_path: Path, script: str, deadline: float = 20) -> Calls:
    """Calls to a Python that, whatever it is asked to run, runs this."""
    python = tmp_path / "python"
    (tmp_path / "script.py").write_text(script)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "script.py"}" "$@"\n')
    python.chmod(0o755)
    workspace = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w", "python_v2": python}
    return Calls("sdk_v2", WorkspaceSettings.model_validate(workspace | {"deadline": deadline}), 5)


def failing(status: int | None, wait: str | None = None) -> str:
    response = {"failure": {"status": status, "message": "said so", "retry_after": wait}}
    return f"import json, sys; sys.stdin.read(); print(json.dumps({response!r}))"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, PlatformRefused),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, NotFound),
        (408, PlatformUnavailable),
        (429, PlatformUnavailable),
        (503, PlatformUnavailable),
        (None, PlatformUnavailable),
    ],
)
def test_every_status_is_one_of_our_errors(tmp_path, status, kind):
    with pytest.raises(kind) as caught:
        calls(tmp_path, failing(status)).ask("look", [])
    assert type(caught.value) is kind
    assert caught.value.message == "said so"


def test_a_long_retry_after_is_left_to_the_caller(tmp_path, monkeypatch):
    monkeypatch.setattr("labelwright.stores.azure_ml.sdk_process.sleep", lambda _: pytest.fail("waited"))
    with pytest.raises(PlatformUnavailable) as caught:
        calls(tmp_path, failing(429, "3600")).ask("look", [])
    assert caught.value.retry_after == 3600
    assert "answered 429 when asked to look: said so. The server asks to wait 3600 seconds (until " in str(caught.value)


def test_a_short_retry_after_is_waited_out_once(tmp_path, monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr("labelwright.stores.azure_ml.sdk_process.sleep", waited.append)
    with pytest.raises(PlatformUnavailable) as caught:
        calls(tmp_path, failing(503, "7")).ask("look", [])
    assert waited == [7.0]
    assert caught.value.seconds_to_wait() <= 7, "the time counts from the answer, so a task waits no second time"


def test_stopped_program_reports_the_last_http_status(tmp_path):
    program = (
        "import sys, time; print('labelwright: the server answered 503', file=sys.stderr, flush=True); time.sleep(60)"
    )
    with pytest.raises(PlatformUnavailable, match=r"answered 503 when asked to look: it took more than"):
        calls(tmp_path, program, deadline=5).ask("look", [])


@pytest.mark.parametrize("status", [400, 409, 422])
def test_refusal_of_the_sdk_itself_is_not_retried(tmp_path, status):
    response = json.dumps({"failure": {"status": status, "refused": True, "message": "said so"}})
    with pytest.raises(PlatformRefused, match=f"answered {status}"):
        calls(tmp_path, f"import sys; sys.stdin.read(); print({response!r})").ask("look", [])


def test_a_program_that_takes_too_long_is_stopped(tmp_path):
    with pytest.raises(PlatformUnavailable, match=r"it took more than 0\.5 seconds"):
        calls(tmp_path, "import time; time.sleep(60)", deadline=0.5).ask("look", [])


def test_a_program_that_breaks_is_told_by_its_last_line(tmp_path):
    with pytest.raises(PlatformRefused, match="ended with 1: ValueError: odd"):
        calls(tmp_path, "raise ValueError('odd')").ask("look", [])


def test_an_sdk_that_is_not_there_is_told_with_how_to_get_it(tmp_path):
    with pytest.raises(SettingsError, match="azureml-v2"):
        calls(tmp_path, 'import sys; sys.stdin.read(); print(\'{"missing": "azure.ai.ml"}\')').ask("look", [])
    workspace = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w", "python_v1": tmp_path / "none"}
    with pytest.raises(SettingsError, match="cannot be run"):
        Calls("sdk_v1", WorkspaceSettings.model_validate(workspace), 5).ask("look", [])


def test_secrets_go_to_the_program_on_its_standard_input_alone(tmp_path):
    script = "import json, os, sys; print(json.dumps({'answers': [sys.argv, dict(os.environ), sys.stdin.read()]}))"
    arguments, environment, request = calls(tmp_path, script).ask("look", [{"account_key": KEY}])
    assert KEY in request
    assert KEY not in json.dumps([arguments, environment])


@pytest.mark.parametrize("broken", [False, True], ids=["told", "broken"])
def test_no_secret_comes_back_in_what_a_program_says(tmp_path, broken):
    """SDKs quote addresses, and libraries below them what they were given."""
    message = f"no answer from https://a.blob.example/c?sp=r&sig=CANARY%2F1 with {KEY}"
    response = {"failure": {"status": None, "message": message}}
    script = f"raise ValueError({message!r})" if broken else f"import json; print(json.dumps({response!r}))"
    with pytest.raises((PlatformRefused, PlatformUnavailable)) as caught:
        calls(tmp_path, script).ask("look", [{"account_key": KEY, "sas": None}])
    assert "no answer from https://a.blob.example/c" in str(caught.value)
    assert not [secret for secret in (KEY, "CANARY") if secret in str(caught.value) + repr(caught.value.message)]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("plain.jpg", "/plain.jpg"),
        ("дно/a b#1+2.jpg", "/дно/a b#1+2.jpg"),
        ("100 %/a&b.jpg", "/100 %25/a%26b.jpg"),
        ("%25.jpg", "/%2525.jpg"),
        ('a:b?c*d"e|f<g>h.jpg', "/a%3Ab%3Fc%2Ad%22e%7Cf%3Cg%3Eh.jpg"),
        ("=cmd.jpg", "/=cmd.jpg"),
    ],
)
def test_the_path_of_an_image_is_that_of_the_sdk(name, path):
    assert sdk_path(name) == path
