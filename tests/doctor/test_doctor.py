"""`labelwright doctor`: what it checks, what it advises, and that it never shows a secret."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from labelwright.cli.main import app
from labelwright.cli.output.console import show_finding
from labelwright.doctor import report as doctor
from labelwright.doctor.findings import CLOCK, Finding, Level
from labelwright.doctor.report import examine
from labelwright.domain.error_table import ERRORS
from labelwright.ledger import Ledger
from labelwright.ledger.tables import SCHEMA_VERSION
from labelwright.settings import forget_settings, settings

CANARY = "canary-4711-secret"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr("labelwright.prefect_integration.client.use_prefect_of_up", lambda home: None)
    forget_settings()
    # Other tests of the same session may have a server of Prefect's.
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield
    forget_settings()


class Answering(ThreadingHTTPServer):
    """A server that answers every request alike."""

    def __init__(self, status: int, body: object, date: str | None = None) -> None:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.send_response_only(status)
                self.send_header("Date", date or self.date_time_string())
                data = json.dumps(body).encode()
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_POST = do_HEAD = answer

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def answering() -> Iterator[Callable[..., Answering]]:
    servers: list[Answering] = []

    def start(*arguments: object) -> Answering:
        servers.append(Answering(*arguments))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def connect(monkeypatch, url: str, name: str = "campaign_api") -> None:
    for part, value in (("URL", url), ("KEY", "key-of-ours"), ("SECRET", CANARY)):
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{name.upper()}__{part}", value)
    forget_settings()


def of(area: str, findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.area == area]


def test_an_empty_machine_is_well_and_gets_advice(tmp_path):
    findings = examine()
    assert doctor.is_well(findings)
    assert {finding.area for finding in findings} == {
        "versions",
        "settings",
        "disk",
        "ledger",
        "prefect",
        "connections",
        "stores",
    }
    assert "labelwright serve" in of("connections", findings)[0].advice
    assert not (tmp_path / "home").exists(), "looking makes nothing"


def test_every_warning_and_error_has_advice(monkeypatch, answering):
    connect(monkeypatch, answering(401, {"error": "no"}).url)
    connect(monkeypatch, "http://127.0.0.1:1", "nowhere")
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", "sqlite:////nowhere/at/all.db")
    findings = examine()
    bad = [finding for finding in findings if finding.level is not Level.OK]
    assert len(bad) >= 4
    assert [finding for finding in bad if not finding.advice] == []


def test_bad_settings_are_the_only_finding(monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "many")
    forget_settings()
    last = examine()[-1]
    assert (last.area, last.level) == ("settings", Level.ERROR)
    assert "batch_size" in last.message


def test_a_refused_credential_is_reported_without_it(monkeypatch, answering):
    connect(monkeypatch, answering(401, {"error": f"your secret {CANARY} is not known"}).url)
    findings = examine()
    refused, clock = of("connection campaign_api", findings)
    assert (refused.level, clock.level) == (Level.ERROR, Level.OK)
    assert "401" in refused.message
    assert "__KEY and __SECRET" in refused.advice
    assert CANARY not in repr(findings)
    assert CANARY not in json.dumps(doctor.as_json(findings))


def test_an_unreachable_platform_has_its_own_advice(monkeypatch):
    connect(monkeypatch, "http://127.0.0.1:1/api/v1")
    (away,) = of("connection campaign_api", examine())
    assert away.level is Level.ERROR
    assert "whether the server runs" in away.advice


def test_an_unknown_platform_is_answered_with_the_known_ones(monkeypatch):
    connect(monkeypatch, "http://127.0.0.1:1", "nobody")
    (unknown,) = of("connection nobody", examine())
    assert "campaign_api" in unknown.advice


def test_every_platform_can_be_checked(monkeypatch, answering):
    from labelwright.platforms.registry import PLATFORMS

    url = answering(500, {"error": "ill"}).url
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for platform in PLATFORMS:
        connect(monkeypatch, url, platform)
    report = examine()
    for platform in PLATFORMS:
        findings = of(f"connection {platform}", report)
        assert findings[0].level is Level.ERROR
        assert findings[0].advice, platform


@pytest.mark.parametrize(
    ("date", "message"), [("Mon, 01 Jan 2024 00:00:00 GMT", "ahead of"), ("Fri, 01 Jan 2100 00:00:00 GMT", "behind")]
)
def test_clock_skew_is_reported(monkeypatch, answering, date, message):
    connect(monkeypatch, answering(401, {}, date).url)
    clock = of("connection campaign_api", examine())[-1]
    assert clock.level is Level.ERROR
    assert message in clock.message
    assert "NTP" in clock.advice


def test_a_nearly_full_disk_is_reported(monkeypatch):
    for free, level in ((100 << 20, Level.WARNING), (1000, Level.ERROR)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr("shutil.disk_usage", lambda place, usage=usage: usage)
        (finding,) = of("disk", examine())
        assert finding.level is level
        assert "Make room" in finding.advice


@pytest.mark.parametrize(("schema", "level"), [(SCHEMA_VERSION, Level.OK), ("1", Level.WARNING), ("99", Level.ERROR)])
def test_the_ledger_version_is_read_and_not_changed(tmp_path, schema, level):
    path = tmp_path / "home" / "ledger.db"
    path.parent.mkdir()
    Ledger(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE facts SET value = ?", [schema])
    (finding,) = of("ledger", examine())
    assert (finding.level, f"version {schema}" in finding.message) == (level, True)
    assert bool(finding.advice) is (level is not Level.OK)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT value FROM facts").fetchall() == [(schema,)]


def test_a_campaign_file_that_waits_for_a_setting_is_reported(tmp_path):
    from labelwright.doctor.ledger import check_ledger

    path = tmp_path / "home" / "ledger.db"
    path.parent.mkdir()
    ledger = Ledger(f"sqlite:///{path}")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    ledger.waits.put("drop 1234 receiver.drop_container", tomorrow, "river/campaign.yaml: this worker has no container")
    ledger.waits.put("campaign river", tomorrow, "it asks to wait")
    ledger.close()
    _, waiting = check_ledger(settings())
    assert waiting.level is Level.WARNING
    assert waiting.message == "a dropped campaign file waits: river/campaign.yaml: this worker has no container"


def test_an_unreachable_ledger_is_reported_without_password(monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", f"postgresql://me:{CANARY}@127.0.0.1:1/ledger")
    forget_settings()
    (finding,) = of("ledger", examine())
    assert finding.level is Level.ERROR
    assert CANARY not in repr(finding)


def test_an_unreachable_prefect_server_is_reported(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        (finding,) = of("prefect", examine())
    assert finding.level is Level.ERROR
    assert "does not answer" in finding.message


@pytest.mark.parametrize(
    ("api", "advice"),
    [
        ("http://127.0.0.1:1/api", "Nothing listens there"),
        ("http://no-such-host.invalid/api", "host's name is unknown"),
        ("401", "PREFECT_API_AUTH_STRING"),
        ("https", "https or http"),
    ],
)
def test_each_reason_why_prefect_does_not_answer_has_its_advice(monkeypatch, answering, api, advice):
    from labelwright.doctor.prefect import check_prefect

    if api in ("401", "https"):
        url = answering(401, {"detail": "no"}).url
        api = f"{url.replace('http:', 'https:') if api == 'https' else url}/api"
    monkeypatch.setenv("PREFECT_API_URL", api)
    with temporary_settings({PREFECT_API_URL: api}):
        *_, finding = check_prefect(settings())
    assert finding.level is Level.ERROR
    assert advice in finding.advice, finding


def test_unmet_requirements_are_reported(monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ["orjson>=999", "not-there-at-all", "nor-this; extra == 'x'"])
    findings = of("versions", examine())
    assert [finding.advice for finding in findings] == ["pip install 'orjson>=999'", "pip install 'not-there-at-all'"]


@pytest.mark.parametrize("well", [True, False])
def test_the_exit_code_is_1_when_something_is_wrong(monkeypatch, capsys, well):
    if not well:
        connect(monkeypatch, "http://127.0.0.1:1", "nobody")
    code = app(["doctor", "--json"], standalone_mode=False)
    report = json.loads(capsys.readouterr().out)
    assert report["well"] is well
    assert (code or 0) == (0 if well else 1)
    assert {"area", "level", "says", "do", "code"} == report["findings"][0].keys()
    for finding in report["findings"]:
        assert (finding["code"] in ERRORS) is (finding["level"] != "ok"), finding


@pytest.mark.parametrize(
    ("finding", "code"),
    [
        (Finding("disk", Level.OK, "1 GiB are free"), ""),
        (Finding("disk", Level.WARNING, "the disk is full"), "LW9002"),
        (Finding("connection agency", Level.ERROR, "there is no platform 'x'"), "LW9011"),
        (Finding("connection agency", Level.ERROR, "cvat answered 401", "", "LW4012"), "LW4012"),
        (Finding("connection agency", Level.ERROR, "the clock is 40 seconds behind", "", CLOCK), "LW9012"),
    ],
)
def test_a_finding_has_an_entry_in_the_reference_of_errors(finding, code, capsys):
    assert finding.error_code == code
    show_finding(finding)
    line = capsys.readouterr().out.splitlines()[0]
    assert line.endswith(f"[{code}]" if code else finding.message)


def test_every_area_of_findings_has_a_code():
    findings = [Finding(area, Level.ERROR, "wrong") for area in {finding.area for finding in examine()}]
    assert all(finding.error_code in ERRORS for finding in findings if finding.area not in {"settings", "stores"})


def test_a_workspace_is_asked_for_a_missing_dataset(monkeypatch, answering):
    from labelwright.stores.azure_ml.sdk_process import Calls

    operations = []
    monkeypatch.setattr(
        Calls, "ask", lambda self, operation, questions: operations.append(questions[0]["operation"]) or [[]]
    )
    for part, value in (("SUBSCRIPTION_ID", "s"), ("RESOURCE_GROUP", "g"), ("WORKSPACE_NAME", "w"), ("SAS", CANARY)):
        monkeypatch.setenv(f"LABELWRIGHT_WORKSPACES__OURS__{part}", value)
    monkeypatch.setenv("LABELWRIGHT_WORKSPACES__OURS__ACCOUNT_URL", f"{answering(403, {}).url}/account")
    forget_settings()
    container, datasets = of("workspace ours", examine())
    assert (container.level, datasets.level) == (Level.ERROR, Level.OK)
    assert "docs/azure.md" in container.advice
    assert operations == ["versions"]
    assert CANARY not in repr((container, datasets))


def test_an_incomplete_workspace_is_reported(monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_WORKSPACES__OURS__SUBSCRIPTION_ID", "s")
    forget_settings()
    assert {finding.level for finding in of("workspace ours", examine())} == {Level.ERROR}


def results_at(monkeypatch, url: str) -> None:
    connection_string = (
        f"DefaultEndpointsProtocol=http;AccountName=team;AccountKey={CANARY}aa==;BlobEndpoint={url}/team;"
    )
    monkeypatch.setenv("LABELWRIGHT_RESULTS__CONNECTION_STRING", connection_string)
    forget_settings()


@pytest.mark.parametrize(
    ("status", "level", "message", "do"),
    [
        (200, Level.OK, "can be read", ""),
        (404, Level.ERROR, "is not there", "labelwright deploy"),
        (403, Level.ERROR, "HTTP 403", "LABELWRIGHT_RESULTS__"),
    ],
)
def test_the_results_container_is_checked(monkeypatch, answering, status, level, message, do):
    results_at(monkeypatch, answering(status, {}).url)
    findings = of("results", examine())
    assert findings[0].level is level
    assert message in findings[0].message
    assert do in findings[0].advice
    assert CANARY not in repr(findings)
    if level is Level.OK:
        assert findings[1].level is Level.WARNING
        assert (
            "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK=azure-blob-storage-container/labelwright-results"
            in findings[1].advice
        )


@pytest.mark.parametrize("setting", ["CONNECTION_STRING", "CONTAINER"])
def test_unusable_results_settings_are_reported(monkeypatch, setting):
    monkeypatch.setenv(f"LABELWRIGHT_RESULTS__{setting}", CANARY)
    forget_settings()
    (finding,) = of("results", examine())
    assert finding.level is Level.ERROR
    assert "LABELWRIGHT_RESULTS__CONNECTION_STRING" in finding.message
    assert CANARY not in repr(finding)


@pytest.mark.parametrize(
    ("status", "level", "message"),
    [(404, Level.ERROR, "every run would fail"), (500, Level.ERROR, "could not be read")],
)
def test_a_missing_results_block_is_reported(monkeypatch, answering, status, level, message):
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, PREFECT_DEFAULT_RESULT_STORAGE_BLOCK

    url = f"{answering(status, {'detail': 'no'}).url}/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    block = "azure-blob-storage-container/labelwright-results"
    changed = {PREFECT_API_URL: url, PREFECT_DEFAULT_RESULT_STORAGE_BLOCK: block, PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(changed):
        (finding,) = of("results", examine())
    assert finding.level is level
    assert message in finding.message
    assert "labelwright deploy" in finding.advice


def test_the_dask_scheduler_is_contacted(monkeypatch, answering):
    open_port = answering(200, {}).server_port
    for port, level, do in ((open_port, Level.OK, ""), (1, Level.ERROR, "dask scheduler")):
        monkeypatch.setenv("LABELWRIGHT_DASK_SCHEDULER", f"tcp://127.0.0.1:{port}")
        forget_settings()
        (finding,) = of("dask", examine())
        assert finding.level is level
        assert do in finding.advice


@pytest.mark.parametrize(("package", "area"), [("prefect-dask", "dask"), ("prefect-azure", "results")])
def test_a_package_missing_for_a_setting_is_reported(monkeypatch, package, area):
    from prefect.settings import PREFECT_DEFAULT_RESULT_STORAGE_BLOCK

    from labelwright.doctor import results_and_dask as doctor_team

    def version(name: str) -> str:
        if name == package:
            raise doctor_team.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(doctor_team, "version", version)
    monkeypatch.setenv("LABELWRIGHT_DASK_SCHEDULER", "tcp://127.0.0.1:1")
    monkeypatch.setattr(doctor_team, "_is_saved", lambda kind, name: True)
    block = "azure-blob-storage-container/labelwright-results"
    with temporary_settings({PREFECT_DEFAULT_RESULT_STORAGE_BLOCK: block}):
        (finding,) = of(area, examine())
    assert finding.level is Level.ERROR
    assert package in finding.message
    assert "pip install" in finding.advice


def test_secrets_may_be_given_as_files(monkeypatch, tmp_path):
    (tmp_path / "url").write_text(f"postgresql://me:{CANARY}@db/ledger\n")
    (tmp_path / "key").write_text("k")
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL", "http://service:8080/api/v1")
    forget_settings()
    assert settings().ledger_address() == f"postgresql://me:{CANARY}@db/ledger"
    connection = settings().connection("campaign_api")
    assert (connection.url, connection.key.get_secret_value()) == ("http://service:8080/api/v1", "k")


def test_a_missing_secret_file_is_named_by_its_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL_FILE", str(tmp_path / "gone"))
    forget_settings()
    last = examine()[-1]
    assert last.level is Level.ERROR
    assert "LABELWRIGHT_LEDGER_URL_FILE" in last.message
    assert sys.exc_info() == (None, None, None)


# Checks that hang


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def hanging(monkeypatch, silent: str) -> None:
    """Everything that is asked over the network hangs, an identity endpoint included; one connection is well."""
    connect(monkeypatch, f"{silent}/api/v1")
    monkeypatch.setenv("PREFECT_API_URL", f"{silent}/api")
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", f"postgresql://a:b@{silent.removeprefix('http://')}/ledger")
    monkeypatch.setenv("LABELWRIGHT_WORKSPACES__TEAM__ACCOUNT_URL", "https://127.0.0.1:1")
    for name in ("SUBSCRIPTION_ID", "RESOURCE_GROUP", "WORKSPACE_NAME"):
        monkeypatch.setenv(f"LABELWRIGHT_WORKSPACES__TEAM__{name}", "x")
    monkeypatch.setenv("IDENTITY_ENDPOINT", silent)
    monkeypatch.setenv("IDENTITY_HEADER", "x")
    forget_settings()


def test_hanging_checks_are_reported_and_others_go_on(monkeypatch, silent):
    hanging(monkeypatch, silent)
    # The servers of tests answer at once; only what hangs takes this long.
    with temporary_settings({PREFECT_API_URL: f"{silent}/api"}):
        findings = examine(deadline=2)
    late = {finding.area for finding in findings if finding.message == "did not answer within 2 seconds"}
    assert late >= {"ledger", "prefect", "connection campaign_api", "workspace team"}
    assert all(finding.advice and finding.level is Level.ERROR for finding in findings if finding.area in late)
    assert of("stores", findings)[0].level is Level.OK, "the checks after the first that hangs were not done"


def test_a_finding_is_shown_before_the_next_check_begins(monkeypatch):
    shown: list[Finding] = []
    before: list[list[str]] = []

    def second() -> Iterator[Finding]:
        before.append([finding.message for finding in shown])
        yield Finding("second", Level.OK, "two")

    first = Finding("first", Level.OK, "one")
    monkeypatch.setattr(doctor, "_checks", lambda _settings: [("first", lambda: iter([first])), ("second", second)])
    findings = examine(show=shown.append)
    assert before[0][-1] == "one"
    assert shown == findings


def run_doctor(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "labelwright", "doctor", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def test_findings_are_printed_while_later_checks_hang(monkeypatch, silent):
    hanging(monkeypatch, silent)
    # It would hang for an hour: what is read here was printed before that.
    process = run_doctor("--deadline", "3600")
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        assert [line.split()[1] for line in lines] == ["versions:", "settings:", "disk:"]
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "Ended by SIGTERM" in errors


def test_hanging_checks_do_not_keep_the_command_running(monkeypatch, silent):
    hanging(monkeypatch, silent)
    out, errors = run_doctor("--deadline", "2", "--json").communicate(timeout=120)
    assert errors == ""
    report = json.loads(out)
    assert report["well"] is False
    assert {finding["area"] for finding in report["findings"] if "within 2 seconds" in finding["says"]} >= {
        "ledger",
        "prefect",
    }
    assert report["findings"][-1]["area"].startswith(("workspace", "stores"))
