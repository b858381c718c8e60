"""Findings of axe (WCAG 2.2 AA and its best practices) on the views of a page, light and dark.

Needs axe-core: `npm install --prefix FOLDER axe-core@4.14.1`, and LABELWRIGHT_AXE, the path of
FOLDER/node_modules/axe-core/axe.min.js.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session")
def axe() -> str:
    path = os.environ.get("LABELWRIGHT_AXE")
    if not path:
        raise RuntimeError("axe-core is missing. " + " ".join((__doc__ or "").splitlines()[2:]))
    return Path(path).read_text(encoding="utf-8")


class Audit:
    """Findings of axe, by view and appearance."""

    def __init__(self, browser: Any, axe: str) -> None:
        self.browser, self.axe = browser, axe
        self.findings: dict[str, list[str]] = {}

    def view(self, name: str) -> None:
        self.browser.js(f"if (!window.axe) {{ {self.axe} }}; return null")
        for appearance in ("light", "dark"):
            self.show(appearance)
            self.browser.js(
                "window.axeFindings = null;"
                "axe.run(document, {runOnly: arguments[0], resultTypes: ['violations']}).then((r) => {"
                "  window.axeFindings = r.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ') + ' '"
                "    + (n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message)).join('; ')}`); },"
                "  (error) => { window.axeFindings = [String(error)]; }); return null",
                RULES,
            )
            found = self.browser.wait(
                lambda: self.browser.js("return window.axeFindings && [window.axeFindings]"), "axe"
            )[0]
            if found:
                self.findings[f"{name}, {appearance}"] = found

    def show(self, appearance: str) -> None:
        """Shows the page light or dark, as its setting does."""
        self.browser.js("document.documentElement.dataset.appearance = arguments[0]; return null", appearance)

    def dialog(self, key: str, selector: str) -> None:
        self.browser.press(key)
        self.browser.wait(lambda: self.browser.shown(selector), selector)
        self.view(selector)
        self.browser.press("Escape")
        self.browser.wait(lambda: not self.browser.shown(selector), f"{selector} to close")


class SystemAudit(Audit):
    """Of a page that is light or dark as the system is."""

    def show(self, appearance: str) -> None:
        self.browser.prefer(appearance)


@pytest.fixture
def audit(axe: str) -> Callable[[Any], Audit]:
    return lambda browser: Audit(browser, axe)
