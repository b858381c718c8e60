"""How commands end when output, disk or home folder fail, or a signal comes: a sentence, an exit code, nothing left."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.cli import exit_codes as failures
from labelwright.local import processes, streams
from labelwright.local.servers import NotStarted, _begin

PRINTING = [
    ["--help"],
    ["--version"],
    ["plan", "campaign.yaml"],
    ["status", "--json"],
    ["datasets", "list"],
    ["doctor"],
]
"""Commands that print by each of the ways that there are: Typer, print, tables, JSON, line by line."""

WRITING = [
    ["status"],
    ["datasets", "list"],
    ["cancel", "river"],
    ["labeler-key", "river"],
    ["sweep"],
    ["finish", "river"],
    ["export", "river"],
    ["serve", "--port", "0"],
    ["receive", "--port", "0"],
    ["up"],
    ["run", "campaign.yaml"],
    ["demo", "--folder", "home/demo"],
]
"""Commands that write into the home folder before they start Prefect."""

IN_PREFECT = [
    ["backup", "project", "saved"],
    ["restore", "."],
]
"""Commands that start Prefect before they write anything."""

GETI = {"LABELWRIGHT_CONNECTIONS__GETI__URL": "http://127.0.0.1:9", "LABELWRIGHT_CONNECTIONS__GETI__KEY": "key"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A campaign, its image, and an empty folder for temporary files."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "temporary").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "photos" / "a.png")
    text = "title: river\nimages: {folder: photos}\nlabels: [boat]\nlabeler: a@b.c\n"
    (tmp_path / "campaign.yaml").write_text(text)
    return tmp_path


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LABELWRIGHT_"))}
    own = {"LABELWRIGHT_HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary"), "HOME": str(folder)}
    return {**kept, **own, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", **more}


def start(folder: Path, *arguments: str, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "labelwright", *arguments]
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment(folder), "cwd": folder}
    return subprocess.Popen(command, text=True, **{**settings, **more})


def end_of(process: subprocess.Popen[str], folder: Path) -> tuple[int, str]:
    """Its exit code and what it wrote on standard error: no traceback, and no temporary file was left."""
    try:
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert "Traceback" not in errors, errors
    assert "Exception ignored" not in errors, errors
    assert list((folder / "temporary").iterdir()) == []
    return process.returncode, errors


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


# Output


@pytest.mark.parametrize("arguments", PRINTING, ids=lambda message: message[0])
def test_a_full_output_is_a_sentence_and_exit_code_1(folder, arguments):
    with Path("/dev/full").open("w") as full:
        code, errors = end_of(start(folder, *arguments, stdout=full), folder)
    assert (code, errors.count("\n")) == (1, 1)
    assert "the output could not be written: No space left on device" in errors


@pytest.mark.parametrize("arguments", PRINTING, ids=lambda message: message[0])
def test_a_reader_that_leaves_is_no_fault(folder, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    process = start(folder, *arguments, stdout=writing)
    os.close(writing)
    assert end_of(process, folder) == (141, "")


@pytest.mark.parametrize("stream", ["stdout", "stderr", "stdin"])
def test_a_closed_stream_changes_nothing_else(folder, stream):
    number = ["stdin", "stdout", "stderr"].index(stream)
    process = start(folder, "status", "--json", preexec_fn=lambda: os.close(number))
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert out == ("" if stream == "stdout" else "[]\n")


def test_without_standard_error_a_failure_has_an_exit_code(folder):
    process = start(folder, "plan", "nothing.yaml", preexec_fn=lambda: os.close(2))
    assert (process.communicate(timeout=120)[0], process.returncode) == ("", 2)
    with Path("/dev/full").open("w") as full:
        process = start(folder, "plan", "nothing.yaml", stderr=full)
    assert (process.communicate(timeout=120)[0], process.returncode) == ("", 2)


def test_names_outside_the_terminal_encoding_are_escaped(folder):
    (folder / "photos" / "caf\udce9.png").write_bytes(b"no picture")
    process = start(folder, "plan", "campaign.yaml", env=environment(folder, PYTHONIOENCODING="ascii:strict"))
    assert end_of(process, folder)[0] == 0


def test_lost_output_is_not_taken_for_a_fault_of_a_file():
    assert not issubclass(streams.OutputLost, OSError)


# Disks


def no_room() -> None:
    """As on a full disk, no file gets longer than this."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))


@pytest.mark.parametrize("arguments", WRITING, ids=lambda message: message[0])
def test_a_full_disk_is_reported_in_one_sentence(folder, arguments):
    prefect = environment(folder, PREFECT_API_URL="http://127.0.0.1:9/api") if arguments[0] == "receive" else None
    process = start(folder, *arguments, preexec_fn=no_room, **({"env": prefect} if prefect else {}))
    code, errors = end_of(process, folder)
    assert code in (1, 4)
    assert "labelwright: " in errors
    if arguments[0] in ("serve", "up"):
        assert f"the labeling service cannot use its database {folder}/home/service" in errors
        assert "ledger" not in errors


@pytest.mark.parametrize("arguments", WRITING[:-1], ids=lambda message: message[0])
def test_a_home_that_cannot_be_written_is_named(folder, arguments):
    more = {"LABELWRIGHT_HOME": "/sys/kernel/labelwright", "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    code, errors = end_of(start(folder, *arguments, env=environment(folder, **more)), folder)
    assert code in (1, 4)
    assert "/sys/kernel/labelwright" in errors
    assert len([line for line in errors.splitlines() if line.startswith("labelwright: ")]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("arguments", IN_PREFECT, ids=lambda message: message[0])
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_prefect_server_that_does_not_start_is_reported(folder, arguments, fault):
    if fault == "full":
        process = start(folder, *arguments, env=environment(folder, **GETI), preexec_fn=no_room)
    else:
        unwritable = environment(folder, LABELWRIGHT_HOME="/sys/kernel/labelwright", **GETI)
        process = start(folder, *arguments, env=unwritable)
    code, errors = end_of(process, folder)
    assert (code, errors.count("\n")) == (4 if fault == "full" else 1, 1)
    assert ("the Prefect server ended with code" if fault == "full" else "/sys/kernel/labelwright") in errors


def test_a_server_that_fails_to_start_is_reported_by_its_error(tmp_path):
    log = tmp_path / "log"
    log.write_text("ValueError: of another start\n")
    code = "import sys; print('some line'); raise OSError('database is broken')"
    with pytest.raises(NotStarted) as raised:
        _begin("the server", [sys.executable, "-c", code], lambda: None, log, {}, 60, keep=False).wait()
    assert "code 1 while it started: OSError: database is broken (all of it: " in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(NotStarted, match="it said nothing"):
        _begin(
            "the server", [sys.executable, "-c", "raise SystemExit(3)"], lambda: None, log, {}, 60, keep=False
        ).wait()


def test_a_server_whose_start_is_interrupted_is_stopped(tmp_path):
    def interrupt() -> str | None:
        raise KeyboardInterrupt

    before = set(processes.below(os.getpid()))
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(KeyboardInterrupt):
        _begin("the server", command, interrupt, tmp_path / "log", {}, 60, keep=True).wait()
    assert set(processes.below(os.getpid())) == before


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OSError(28, "No space left on device"), 1, "Make room where the home folder"),
        (OSError(28, "No space left on device", "/data/a"), 1, "/data/a: No space left on device. Make room there"),
        (PermissionError(13, "Permission denied", "/data"), 1, "/data: Permission denied. Give this user the right"),
        (OSError(30, "Read-only file system", "/data"), 1, "LABELWRIGHT_HOME"),
        (OSError(24, "Too many open files"), 1, "Too many open files. Nothing is lost"),
        (MemoryError(), 1, "no more memory"),
        (KeyboardInterrupt(), 130, "Interrupted. Nothing is lost"),
    ],
)
def test_faults_of_the_machine_are_sentences(capsys, error, code, message):
    assert failures.print_error(error) == code
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_database_faults_are_no_programming_errors(capsys):
    from sqlalchemy import exc

    class Denied(Exception):
        sqlstate = "42501"

    faults = [
        exc.OperationalError("SELECT", {}, Exception("disk I/O error")),
        exc.DatabaseError("SELECT", {}, Exception("database disk image is malformed")),
        exc.ProgrammingError("SELECT", {}, Denied("permission denied for table campaigns")),
    ]
    assert [failures.print_error(error) for error in faults] == [4, 4, 4]
    assert "Traceback" not in capsys.readouterr().err
    mistakes = [
        exc.IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed")),
        exc.ProgrammingError("SELEC", {}, Exception("syntax error")),
    ]
    assert [failures.exit_code(error) for error in mistakes] == [None, None]


# Signals

_INTERRUPTED_IMPORT = """
import builtins, os, signal, sys
from labelwright.__main__ import main

real, module, number = builtins.__import__, sys.argv.pop(1), signal.Signals(int(sys.argv.pop(1)))

def importing(name, *rest, **more):
    global module
    if name == module:
        module = None
        os.kill(os.getpid(), number)
    return real(name, *rest, **more)

builtins.__import__ = importing
main()
"""


@pytest.mark.parametrize(
    ("module", "number"),
    [
        *((name, signal.SIGINT) for name in ("cli.main", "typer", "pydantic", "sqlalchemy")),
        ("cli.main", signal.SIGTERM),
        ("labelwright.ledger", signal.SIGTERM),
        ("pydantic", signal.SIGHUP),
    ],
    ids=str,
)
def test_a_signal_during_imports_is_a_sentence(folder, module, number):
    command = [sys.executable, "-c", _INTERRUPTED_IMPORT, module, str(int(number)), "status"]
    process = subprocess.run(command, capture_output=True, text=True, env=environment(folder), timeout=120)
    message = "Interrupted. " if number == signal.SIGINT else f"Ended by {number.name} before it was done. "
    assert process.returncode == 128 + number, process.stderr
    assert process.stderr.startswith(message)
    assert process.stderr.count("\n") == 1
    assert process.stdout == ""


def test_an_interrupt_in_a_destructor_still_ends_the_command(tmp_path):
    code = """
import os, signal, time
from labelwright.local import interruptions

class Swallowing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)  # the handler raises here, where Python only prints what is raised

interruptions.listen()
try:
    one = Swallowing()
    del one
    time.sleep(60)
except KeyboardInterrupt:
    interruptions.end(130)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert (process.returncode, process.stderr) == (130, "")


def test_a_signal_that_is_ignored_stays_ignored():
    code = "from labelwright.local import interruptions as i; i.listen(); print(i.signal.getsignal(1) is i._interrupt)"
    for ignored, listens in ((False, "True\n"), (True, "False\n")):
        ignore = (lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) if ignored else None
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=ignore)
        assert process.stdout == listens


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize(
    ("command", "file", "name"),
    [("serve", "service/service.json", "labeling service"), ("receive", "receiver.json", "receiver")],
    ids=["serve", "receive"],
)
def test_servers_end_in_order_when_they_are_asked_to(folder, command, file, name, number):
    nowhere = environment(folder, PREFECT_API_URL="http://127.0.0.1:9/api")
    process = start(folder, command, "--port", "0", env=nowhere)
    wait_until((folder / "home" / file).exists, process)
    assert process.stdout is not None
    assert f"{name} on http" in process.stdout.readline()
    process.send_signal(number)
    assert end_of(process, folder) == (0, f"the {name} is stopped\n")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize(
    "command", [["sweep"], ["run", "campaign.yaml"], ["demo"], ["up"]], ids=lambda message: message[0]
)
def test_a_signal_while_servers_start_leaves_no_process(folder, command, number):
    process = start(folder, *command, start_new_session=True)
    home = folder / ("labelwright-demo/home" if command == ["demo"] else "home")
    log = home / "logs" / "prefect.log"
    wait_until(lambda: log.exists() and processes.below(process.pid), process)
    children = processes.below(process.pid)
    process.send_signal(number)
    code, errors = end_of(process, folder)
    if command == ["up"]:
        assert (code, errors.splitlines()[-1]) == (0, "everything is stopped")
    else:
        assert code == 128 + number
        assert "Nothing is lost: run the same command again" in errors.splitlines()[-1]
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


# Children


def test_ended_children_that_nobody_waits_for_are_reaped():
    code = """
import os, subprocess, sys, time
from labelwright.local import processes

processes.adopt_orphans()
kept = subprocess.Popen(["true"])
middle = "import subprocess; subprocess.Popen(['sleep', '0.2'])"
subprocess.run([sys.executable, "-c", middle], check=True)  # leaves an orphan, which becomes our child
reaped = []
while not reaped:
    reaped = processes.reap(keep=[kept.pid])
    time.sleep(0.05)
print(kept.pid not in reaped, kept.wait(), processes._ended_children())
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert process.stdout == "True 0 []\n", process.stderr


# What is half-written


def test_a_dataset_that_cannot_be_written_leaves_no_folder(tmp_path, monkeypatch):
    from labelwright.stores import local

    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.csv").write_text("a")
    store = local.LocalStore(tmp_path / "store")
    for error in (OSError(28, "No space left on device"), KeyboardInterrupt()):

        def fail(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(local, "_seal", fail)
        with contextlib.suppress(OSError, KeyboardInterrupt):
            store.register("river", tmp_path / "files", content_hash="x", receipt={})
        assert [path.name for path in (tmp_path / "store" / "river").iterdir()] == [".lock"]


def test_notes_that_cannot_be_written_are_dropped(monkeypatch):
    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, _data: Any) -> int:
            raise OSError(28, "No space left on device")

    discarded: list[int] = []
    monkeypatch.setattr(streams, "discard", discarded.append)
    notes = streams._Notes(io.BufferedWriter(Full()), encoding="utf-8", line_buffering=True)
    print("a note", file=notes)
    notes.flush()
    assert set(discarded) == {2}
    with pytest.raises(streams.OutputLost):
        print("a result", file=streams._Output(io.BufferedWriter(Full()), encoding="utf-8", line_buffering=True))


def test_a_file_for_people_is_written_whole_or_not_at_all(folder):
    process = start(folder, "deploy", "--write", "prefect.yaml", preexec_fn=no_room)
    assert end_of(process, folder) == (2, "labelwright: prefect.yaml cannot be written: File too large [LW1004]\n")
    assert not (folder / "prefect.yaml").exists()
    assert end_of(start(folder, "deploy", "--write", "prefect.yaml"), folder) == (0, "")
