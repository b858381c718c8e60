"""Exit codes of errors that come from the flows."""

import subprocess
import sys

import pytest

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
    assert (process.returncode, process.stderr) == (3, "labelwright: 0 of 3 images are labeled\n")
