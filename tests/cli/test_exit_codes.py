"""Exit codes of errors that come from the flows."""

import errno
import re
import subprocess
import sys

import httpx
import pytest
import typer
from sqlalchemy.exc import OperationalError

from labelwright.campaigns.spec import load_spec
from labelwright.cli.exit_codes import print_error
from labelwright.cli.preflight import _check_images
from labelwright.database import DatabaseRefused
from labelwright.domain.error_table import ERRORS
from labelwright.domain.errors import CannotRun
from labelwright.ingest import SourceError
from labelwright.ingest.sources.local import FolderSource
from labelwright.ingest.sources.manifest import ManifestSource
from labelwright.ledger import UnknownCampaign
from labelwright.network.deadlines import OutOfTime
from labelwright.platforms import PlatformUnavailable
from labelwright.settings import forget_settings

EARLY = [("lifecycle", "NotLabeledYet"), ("waiting", "LabelsLate")]


@pytest.mark.parametrize(("module", "error"), EARLY)
def test_labels_that_are_not_there_yet_end_with_3(module, error):
    """Each command imports its own flows only: in a new process nothing else is imported."""
    program = (
        f"from labelwright.tasks.campaign.{module} import {error}\n"
        "from labelwright.cli.exit_codes import print_error\n"
        f"raise SystemExit(print_error({error}('0 of 3 images are labeled')))\n"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert process.returncode == 3
    assert re.fullmatch(r"labelwright: 0 of 3 images are labeled \[LW130[89]\]\n", process.stderr)


def test_a_path_that_is_too_long_is_a_misuse_and_is_not_printed_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    forget_settings()
    text = "title: river\nimages: {%s}\nlabels: [boat]\nlabeler: a@b.c\n"
    campaign = tmp_path / "campaign.yaml"
    for source in ("folder: /%s", "manifest: /%s.csv"):
        campaign.write_text(text % (source % ("x" * 5000)))
        with pytest.raises((OSError, ValueError, SourceError)) as refusal:
            _check_images(load_spec(campaign).images)
        assert print_error(refusal.value) == 2
        message = capsys.readouterr().err
        assert "5,00" in message
        assert len(message) < 300


@pytest.mark.parametrize("make_source", [FolderSource, ManifestSource])
def test_a_source_of_too_long_a_path_says_so(make_source):
    with pytest.raises(SourceError, match=r"\.\.\. \(5,001 characters\)"):
        make_source("/" + "x" * 5000).find()


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (CannotRun("give another file"), "LW1002", 2),
        (UnknownCampaign("river"), "LW2002", 1),
        (PlatformUnavailable("cvat", "log in", status=503), "LW4002", 4),
        (OutOfTime(), "LW4020", 4),
        (OSError(errno.ENOSPC, "No space left on device", "/full"), "LW1006", 1),
        (PermissionError(errno.EACCES, "Permission denied", "/root"), "LW1007", 1),
        (OSError(errno.EIO, "Input/output error", "/broken"), "LW1008", 1),
        (MemoryError(), "LW1009", 1),
        (OSError(errno.ENAMETOOLONG, "File name too long", "/long"), "LW1010", 2),
        (typer.BadParameter("not both"), "LW1001", 2),
        (OperationalError("SELECT 1", {}, Exception("disk is full")), "LW2003", 4),
        (httpx.ReadError("broke off"), "LW6004", 4),
        (DatabaseRefused("PostgreSQL needs a driver"), "LW2011", 1),
    ],
)
def test_every_message_ends_with_its_code_and_is_one_sentence(capsys, error, code, exit_code):
    assert print_error(error) == exit_code
    message = capsys.readouterr().err
    assert message.startswith("labelwright: ")
    assert message.endswith(f" [{code}]\n")
    assert "Traceback" not in message
    assert code in ERRORS


def test_an_unforeseen_error_has_a_code_too(capsys):
    assert print_error(KeyError("x")) == 1
    assert capsys.readouterr().err.endswith("please report it with the lines above [LW1099]\n")
