"""`deploy`, `up` and `notify` at a Prefect server that is busy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from prefect.settings import PREFECT_API_ENABLE_HTTP2, PREFECT_API_URL, temporary_settings

from labelwright.cli.exit_codes import exit_code
from labelwright.local.servers import NotStarted, free_port
from labelwright.prefect_integration import busy_server
from labelwright.prefect_integration.automations import register_notifications
from labelwright.prefect_integration.busy_server import StillBusy, busy_in, patience
from labelwright.prefect_integration.client import require_prefect_client
from labelwright.prefect_integration.deployments import POOL, _create_work_pool, _run_prefect, _run_prefect_once, deploy
from labelwright.settings import forget_settings

from .prefect_stand_in import PrefectStandIn, prefect_stand_in


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_PREFECT_BUSY_SECONDS", "20")
    monkeypatch.setattr(busy_server, "_PAUSES", (0.01,))
    forget_settings()
    yield
    forget_settings()


def using(api: PrefectStandIn, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PREFECT_API_URL", api.url)
    return temporary_settings({PREFECT_API_URL: api.url, PREFECT_API_ENABLE_HTTP2: False})


def create_pool() -> None:
    with require_prefect_client() as client, patience() as limit:
        limit.run(lambda: _create_work_pool(client, "process"))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_request_to_a_busy_server_is_repeated(monkeypatch, status):
    with prefect_stand_in({"*": 3}, status) as api, using(api, monkeypatch):
        create_pool()
    assert list(api.pools) == [POOL]
    assert api.requests["POST /work_pools/"] == 4


def test_a_work_pool_that_was_created_before_the_503_is_no_error(monkeypatch):
    with prefect_stand_in({"POST /work_pools/": 2}, after_it=True) as api, using(api, monkeypatch):
        create_pool()
    assert list(api.pools) == [POOL]


@pytest.mark.parametrize("after_it", [False, True])
def test_notify_registers_each_automation_once(monkeypatch, after_it):
    with prefect_stand_in({"*": 2, "POST /automations/": 3}, after_it=after_it) as api, using(api, monkeypatch):
        names = register_notifications("slack-webhook/team")
    assert Counter(entry["name"] for entry in api.automations) == Counter(names)


def test_a_server_that_stays_busy_ends_with_4_within_the_time(monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_PREFECT_BUSY_SECONDS", "0.3")
    forget_settings()
    with (
        prefect_stand_in({"*": 10_000}) as api,
        using(api, monkeypatch),
        pytest.raises(StillBusy, match=r"for 0\.3 seconds .*HTTP 503 Service Unavailable.* same command") as busy,
    ):
        deploy()
    assert exit_code(busy.value) == 4
    assert api.requests["GET /work_pools/labelwright"] > 1


@pytest.mark.parametrize(("status", "message"), [(401, "HTTP 401 Unauthorized"), (403, "HTTP 403 Forbidden")])
def test_a_refusal_is_not_repeated(monkeypatch, status, message):
    with (
        prefect_stand_in({"*": 10_000}, status) as api,
        using(api, monkeypatch),
        pytest.raises(NotStarted, match=message),
    ):
        register_notifications("slack-webhook/team")
    assert sum(api.requests.values()) == 1


def test_an_address_where_nothing_listens_is_not_tried_again(monkeypatch):
    api = PrefectStandIn({}, 503)
    api.url = f"http://127.0.0.1:{free_port(0)}/api"
    with using(api, monkeypatch), pytest.raises(NotStarted, match="ConnectError"):
        create_pool()


def test_prefects_command_line_reports_a_busy_server_as_expected(monkeypatch):
    """One run of the real command."""
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")
    monkeypatch.setenv("LABELWRIGHT_PREFECT_BUSY_SECONDS", "120")
    forget_settings()
    with prefect_stand_in({"*": 100}) as api, using(api, monkeypatch), patience() as limit:
        assert _run_prefect_once(limit, "work-pool", "create", POOL, "--type", "process") == "HTTP 503"


@pytest.mark.parametrize("failures", [0, 2])
def test_prefects_command_is_run_again_after_a_503(tmp_path, monkeypatch, failures):
    script = tmp_path / "prefect"
    script.write_text(
        f"""#!/bin/sh
echo run >> {tmp_path}/runs
[ $(wc -l < {tmp_path}/runs) -gt {failures} ] || {{ echo "Server error '503 Service Unavailable' for url"; exit 1; }}
"""
    )
    script.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(script))
    with patience() as limit:
        _run_prefect(limit, "deploy")
    assert (tmp_path / "runs").read_text().count("run") == failures + 1


@pytest.mark.parametrize(
    ("output", "failure"),
    [
        ("PrefectHTTPStatusError: Server error '503 Service Unavailable' for url", "HTTP 503"),
        ("Server error\n'500 Internal Server Error' for url", "HTTP 500"),
        ("httpx.ReadTimeout", "ReadTimeout"),
        ("Client error '404 Not Found' for url", None),
        ("ValueError: 503 is no name", None),
    ],
)
def test_the_output_of_prefects_command_tells_a_busy_server(output, failure):
    assert busy_in(output) == failure
