"""`labelwright doctor`: asks everything that a campaign will need whether it is there, and says what to do where not.

Nothing is changed anywhere: settings are read, the ledger's version is read, servers are asked the least that needs the
credential (a platform's own `check`). No secret is in a finding: servers' words come through the adapters' errors,
which hold none, and whatever the settings keep as a secret is struck out of every line besides.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from labelwright import __version__
from labelwright.security.masking import mask, mask_own
from labelwright.settings import Settings, SettingsError, settings

from .connections import connections, stores
from .deadlines import DEADLINE, findings_of
from .findings import Finding, Level
from .ledger import ledger
from .prefect import prefect
from .results_and_dask import dask, results

LEAST_BYTES = 16 << 20
"""With less than this no database is written for long."""

FREE_BYTES = 1 << 30
"""On the disk of the home folder: room for labels under way and for a ledger that grows."""


def examine(deadline: float = DEADLINE, show: Callable[[Finding], None] | None = None) -> list[Finding]:
    """Every finding, in the order in which they matter. A check that fails in an unforeseen way is a finding too.

    deadline: seconds that each check may take; one that takes longer is reported as such, and the others go on.
    show: called with each finding as soon as it is there.
    """
    found: list[Finding] = []
    for one in _examined(deadline):
        found.append(one)
        if show is not None:
            show(one)
    return found


def _examined(deadline: float) -> Iterator[Finding]:
    yield from _versions()
    try:
        given = settings()
    except SettingsError as error:
        yield Finding("settings", Level.ERROR, str(error), "Mend it; nothing else was looked at")
        return
    yield Finding("settings", Level.OK, f"home folder {given.home}")
    for area, check in _checks(given):
        for one in findings_of(area, check, deadline):
            yield Finding(one.area, one.level, mask(one.says), mask_own(one.do))


def _checks(given: Settings) -> Iterator[tuple[str, Callable[[], Iterator[Finding]]]]:
    """What is looked at, each with its area; one connection or workspace that hangs must not hide the next one."""
    for look in (_disk, ledger, prefect, results, dask):
        yield look.__name__.strip("_"), partial(look, given)
    yield from connections(given)
    yield from stores(given)


def as_json(found: list[Finding]) -> dict[str, Any]:
    return {"version": __version__, "well": is_well(found), "findings": [asdict(one) for one in found]}


def is_well(found: list[Finding]) -> bool:
    return all(one.level is not Level.ERROR for one in found)


# Versions


def _versions() -> Iterator[Finding]:
    told = f"labelwright {__version__}, Python {sys.version.split()[0]}"
    try:
        from packaging.requirements import Requirement

        wanted = [Requirement(line) for line in requires("labelwright") or []]
    except PackageNotFoundError:
        yield Finding("versions", Level.WARNING, f"{told}; not installed as a package", "pip install labelwright")
        return
    bad = 0
    for one in wanted:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            present = version(one.name)
        except PackageNotFoundError:
            bad += 1
            yield Finding("versions", Level.ERROR, f"{one.name} is not installed", f"pip install '{one}'")
            continue
        if not one.specifier.contains(present, prereleases=True):
            bad += 1
            says = f"{one.name} is {present}, and this version of Labelwright needs {one.specifier}"
            yield Finding("versions", Level.ERROR, says, f"pip install '{one}'")
    if not bad:
        yield Finding("versions", Level.OK, f"{told}, prefect {version('prefect')}; every requirement is met")


# This machine


def _disk(given: Settings) -> Iterator[Finding]:
    place = next(one for one in (given.home, *given.home.parents) if one.exists())
    if not os.access(place, os.W_OK):
        yield Finding(
            "disk", Level.ERROR, f"{place} cannot be written", "Give its user the right, or set LABELWRIGHT_HOME"
        )
        return
    free = shutil.disk_usage(place).free
    if free < LEAST_BYTES:
        says = f"the disk of {given.home} is full: {free // 1024} KiB are free"
        yield Finding("disk", Level.ERROR, says, "Make room: the ledger cannot be written")
        return
    says = f"{free / (1 << 30):.1f} GiB are free for {given.home}"
    if free < FREE_BYTES:
        yield Finding("disk", Level.WARNING, says, "Make room: campaigns under way keep their labels there")
    else:
        yield Finding("disk", Level.OK, says)
