"""`labelwright doctor`: checks everything that campaigns need, and says what to do where something is missing.

Nothing is changed anywhere: settings and the ledger's version are read, and servers get the least request that needs
the credential (a platform's own `check`). No secret is in a finding: adapters' errors contain none, and whatever the
settings keep as a secret is masked in every line besides.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from labelwright import __version__
from labelwright.domain.errors import error_code_of
from labelwright.security.masking import mask, mask_own
from labelwright.settings import Settings, SettingsError, settings

from .connections import Check, connection_checks, store_checks
from .deadlines import DEADLINE, findings_of
from .findings import Finding, Level
from .ledger import check_ledger
from .prefect import check_prefect
from .results_and_dask import check_dask, check_results
from .shared import FOLDERS, check_shared
from .sizes import size_checks
from .team import check_team

LEAST_BYTES = 16 << 20
"""Free bytes below which the ledger cannot be written for long."""

FREE_BYTES = 1 << 30
"""On the disk of the home folder: room for labels under way and for a ledger that grows."""


def examine(deadline: float = DEADLINE, show: Callable[[Finding], None] | None = None) -> list[Finding]:
    """Returns every finding, in order of importance. A check that fails in an unforeseen way is a finding too.

    deadline: seconds that each check may take; one that takes longer is reported as such, and the others go on.
    show: called with each finding as soon as it is there.
    """
    findings: list[Finding] = []
    for finding in _run_checks(deadline):
        findings.append(finding)
        if show is not None:
            show(finding)
    return findings


def _run_checks(deadline: float) -> Iterator[Finding]:
    yield from _check_versions()
    try:
        current = settings()
    except SettingsError as error:
        yield Finding(
            "settings", Level.ERROR, str(error), "Fix the setting; nothing else was checked", error_code_of(error)
        )
        return
    yield Finding("settings", Level.OK, f"home folder {current.home}")
    for area, check in _checks(current):
        for finding in findings_of(area, check, deadline):
            yield replace(finding, message=mask(finding.message), advice=mask_own(finding.advice))


def _checks(current: Settings) -> Iterator[tuple[str, Check]]:
    """Yields every check with its area. Each connection and workspace has its own, since one of them may hang."""
    yield "disk", partial(_check_disk, current)
    yield "ledger", partial(check_ledger, current)
    # Here, and not in the checks: when one is late, the next would import Prefect while it is half imported.
    import_module("prefect.client.orchestration")
    yield "prefect", partial(check_prefect, current)
    yield from size_checks(current)
    yield "team", partial(check_team, current)
    yield "results", partial(check_results, current)
    yield "dask", partial(check_dask, current)
    yield FOLDERS, partial(check_shared, current)
    yield from connection_checks(current)
    yield from store_checks(current)


def as_json(findings: list[Finding]) -> dict[str, Any]:
    return {
        "version": __version__,
        "well": is_well(findings),
        "findings": [finding.to_dict() for finding in findings],
    }


def is_well(findings: list[Finding]) -> bool:
    return all(finding.level is not Level.ERROR for finding in findings)


# Versions


def _check_versions() -> Iterator[Finding]:
    """Checks that every package is installed in a version that this one needs."""
    programs = f"labelwright {__version__}, Python {sys.version.split()[0]}"
    try:
        from packaging.requirements import Requirement

        requirements = [Requirement(line) for line in requires("labelwright") or []]
    except PackageNotFoundError:
        yield Finding("versions", Level.WARNING, f"{programs}; not installed as a package", "pip install labelwright")
        return
    unmet = 0
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        advice = f"pip install '{requirement}'"
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            unmet += 1
            yield Finding("versions", Level.ERROR, f"{requirement.name} is not installed", advice)
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            unmet += 1
            message = (
                f"{requirement.name} is {installed}, and this version of Labelwright needs {requirement.specifier}"
            )
            yield Finding("versions", Level.ERROR, message, advice)
    if not unmet:
        message = f"{programs}, prefect {version('prefect')}; every requirement is met"
        yield Finding("versions", Level.OK, message)


# This machine


def _check_disk(current: Settings) -> Iterator[Finding]:
    existing = next(folder for folder in (current.home, *current.home.parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        advice = "Give its user the right, or set LABELWRIGHT_HOME"
        yield Finding("disk", Level.ERROR, f"{existing} cannot be written", advice)
        return
    free = shutil.disk_usage(existing).free
    if free < LEAST_BYTES:
        message = f"the disk of {current.home} is full: {free // 1024} KiB are free"
        yield Finding("disk", Level.ERROR, message, "Make room: the ledger cannot be written")
        return
    message = f"{free / (1 << 30):.1f} GiB are free for {current.home}"
    if free < FREE_BYTES:
        yield Finding("disk", Level.WARNING, message, "Make room: campaigns under way keep their labels there")
    else:
        yield Finding("disk", Level.OK, message)
