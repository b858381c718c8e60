"""A headless Chromium, driven over the W3C WebDriver protocol with nothing but requests.

Needs Debian's packages chromium and chromium-driver (`apt-get install chromium chromium-driver`), or the programs named
by LABELWRIGHT_CHROMIUM and LABELWRIGHT_CHROMEDRIVER.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

HOW = "install Debian's chromium and chromium-driver, or set LABELWRIGHT_CHROMIUM and LABELWRIGHT_CHROMEDRIVER"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {
    "Enter": "\ue007", "Escape": "\ue00c", "Delete": "\ue017", "Backspace": "\ue003", "Tab": "\ue004", "Space": " ",
    "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015", "PageUp": "\ue00e", "PageDown": "\ue00f",
    "Shift": "\ue008", "Control": "\ue009", "Alt": "\ue00a",
}  # fmt: skip

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-features=Translate,OptimizationHints,MediaRouter", "--no-default-browser-check",
    "--metrics-recording-only",
    "--force-device-scale-factor=1", "--hide-scrollbars", "--disable-smooth-scrolling",
]  # fmt: skip


def program(variable: str, *names: str) -> str:
    path = os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)
    if not path:
        raise RuntimeError(f"the tests of the labeling page need {names[0]}: {HOW}")
    return path


@contextmanager
def chromedriver() -> Iterator[str]:
    """The address of a running driver."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [program("LABELWRIGHT_CHROMEDRIVER", "chromedriver"), "--port=0", "--allowed-ips="],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout
            for line in process.stdout:
                if "started successfully on port" in line:
                    yield f"http://127.0.0.1:{line.rsplit(' ', 1)[1].strip().rstrip('.')}"
                    break
            else:
                raise RuntimeError(f"chromedriver did not start: {HOW}")
        finally:
            process.terminate()
            process.wait(timeout=120)


class Browser:
    """One window of its own profile, and more tabs in it when asked for."""

    def __init__(
        self, driver: str, *, size: tuple[int, int] = (1280, 900), languages: str = "en", touch: bool = False
    ) -> None:
        self.profile = tempfile.mkdtemp(prefix="labelwright-chromium-")
        width, height = size
        options: dict[str, Any] = {
            "binary": program("LABELWRIGHT_CHROMIUM", "chromium", "chromium-browser", "google-chrome"),
            "args": [*FLAGS, f"--user-data-dir={self.profile}", f"--window-size={width},{height}"],
            "prefs": {"intl.accept_languages": languages},
        }
        if touch:
            options["args"] += ["--touch-events=enabled"]
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "unhandledPromptBehavior": "accept",
        }
        self._session = requests.Session()
        response = self._session.post(
            f"{driver}/session", json={"capabilities": {"alwaysMatch": capabilities}}, timeout=90
        )
        value = response.json()["value"]
        assert response.ok, value
        self._url = f"{driver}/session/{value['sessionId']}"
        self.resize(width, height, touch=touch)
        self.console: list[str] = []
        self.requested: list[str] = []

    def close(self) -> None:
        self._session.delete(self._url, timeout=30)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _call(self, method: str, path: str, **body: Any) -> Any:
        response = self._session.request(
            method, f"{self._url}/{path}", json=body if method == "POST" else None, timeout=60
        )
        value = response.json()["value"]
        if not response.ok:
            raise RuntimeError(f"{path}: {value['error']}: {value['message'][:500]}")
        return value

    def cdp(self, command: str, **params: Any) -> Any:
        return self._call("POST", "goog/cdp/execute", cmd=command, params=params)

    # --- going places

    def open(self, url: str) -> None:
        self._call("POST", "url", url=url)

    def reload(self) -> None:
        self._call("POST", "refresh")

    @property
    def address(self) -> str:
        return str(self._call("GET", "url"))

    def new_tab(self) -> str:
        return str(self._call("POST", "window/new", type="tab")["handle"])

    @property
    def tab(self) -> str:
        return str(self._call("GET", "window"))

    def switch(self, tab: str) -> None:
        self._call("POST", "window", handle=tab)
        self.cdp("Page.bringToFront")

    # --- looking

    def js(self, script: str, *arguments: Any) -> Any:
        return self._call("POST", "execute/sync", script=script, args=list(arguments))

    def js_later(self, script: str) -> Any:
        """What the script hands to its first argument, a function."""
        return self._call("POST", "execute/async", script=script, args=[])

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        return list(self.js("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector))

    def shown(self, selector: str) -> bool:
        return bool(self.js("return document.querySelector(arguments[0])?.checkVisibility() ?? false", selector))

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 240) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            try:
                value = condition()
            except RuntimeError:
                value = None
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s in vain for {what}\n" + "\n".join(self.log()[-8:]))
            time.sleep(0.04)

    def wait_text(self, selector: str, part: str, seconds: float = 240) -> None:
        try:
            self.wait(lambda: part in self.text(selector), f"'{part}' in {selector}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{selector} says: {self.text(selector)!r}") from None

    def picture(self) -> bytes:
        """The window as a PNG."""
        return base64.b64decode(self._call("GET", "screenshot"))

    def screenshot(self, path: Path) -> None:
        path.write_bytes(self.picture())

    def log(self) -> list[str]:
        """Everything in the console so far."""
        entries = self._call("POST", "se/log", type="browser")
        self.console += [f"{entry['level']} {entry['message']}" for entry in entries]
        return self.console

    def network(self) -> list[str]:
        """Every URL asked for so far."""
        for entry in self._call("POST", "se/log", type="performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
        return self.requested

    # --- the device and its network

    def resize(self, width: int, height: int, *, touch: bool = False) -> None:
        """To CSS pixels of the page. `touch`: a device that has no mouse."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=touch, maxTouchPoints=5)

    def prefer(self, scheme: str) -> None:
        """Light or dark, as the system's setting says."""
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def offline(self, value: bool) -> None:
        self._network_conditions(offline=value)

    def slow_down(self, bytes_per_second: int | None) -> None:
        """Limits what arrives; None ends that."""
        self._network_conditions(downloadThroughput=bytes_per_second or -1)

    def _network_conditions(self, **changed: Any) -> None:
        usual = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.cdp("Network.enable")
        self.cdp("Network.emulateNetworkConditions", **{**usual, **changed})

    def forget_cookies(self) -> None:
        self.cdp("Network.clearBrowserCookies")

    def forget_cache(self) -> None:
        self.cdp("Network.clearBrowserCache")

    def run_first(self, script: str) -> None:
        """In each document of this tab, before its own scripts."""
        self.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)

    # --- doing

    def click(self, selector: str) -> None:
        elements = self._call("POST", "element", using="css selector", value=selector)
        self._call("POST", f"element/{elements[ELEMENT]}/click")

    def type(self, text: str) -> None:
        self._keys([step for character in text for step in _press(character)])

    def press(self, *keys: str) -> None:
        """Keys held together, by name or character: press("Control", "z")."""
        values = [KEYS.get(key, key) for key in keys]
        self._keys(
            [{"type": "keyDown", "value": value} for value in values]
            + [{"type": "keyUp", "value": value} for value in reversed(values)]
        )

    def _keys(self, steps: list[dict[str, Any]]) -> None:
        self._actions({"type": "key", "id": "keys", "actions": steps})

    def drag(self, start: tuple[float, float], end: tuple[float, float], *, held: str | None = None) -> None:
        """With the mouse, in CSS pixels of the window."""
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        steps = [_move(start), _DOWN, _move(middle), _move(end), _UP]
        if held:
            pauses: list[dict[str, Any]] = [{"type": "pause"}] * len(steps)
            keys = [{"type": "keyDown", "value": KEYS[held]}, *pauses, {"type": "keyUp", "value": KEYS[held]}]
            self._actions(
                {"type": "key", "id": "keys", "actions": keys}, _mouse([{"type": "pause", "duration": 0}, *steps])
            )
        else:
            self._actions(_mouse(steps))

    def click_at(self, *points: tuple[float, float]) -> None:
        for point in points:
            self._actions(_mouse([_move(point), _DOWN, _UP]))

    def move_to(self, point: tuple[float, float]) -> None:
        self._actions(_mouse([_move(point)]))

    def wheel(self, point: tuple[float, float], delta: int) -> None:
        where = {"x": round(point[0]), "y": round(point[1]), "deltaX": 0, "deltaY": delta, "duration": 0}
        self._actions({"type": "wheel", "id": "wheel", "actions": [{"type": "scroll", "origin": "viewport", **where}]})

    def touch(self, *strokes: list[tuple[float, float]]) -> None:
        """Fingers, one stroke each, all at the same time."""
        fingers = [
            {
                "type": "pointer",
                "id": f"finger{number}",
                "parameters": {"pointerType": "touch"},
                "actions": [_move(stroke[0]), _DOWN, *(_move(point, 40) for point in stroke[1:]), _UP],
            }
            for number, stroke in enumerate(strokes)
        ]
        self._actions(*fingers)

    def _actions(self, *sources: dict[str, Any]) -> None:
        self._call("POST", "actions", actions=list(sources))


_DOWN = {"type": "pointerDown", "button": 0}
_UP = {"type": "pointerUp", "button": 0}


def _mouse(steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps}


def _move(point: tuple[float, float], duration: int = 0) -> dict[str, Any]:
    return {"type": "pointerMove", "duration": duration, "x": round(point[0]), "y": round(point[1])}


def _press(character: str) -> list[dict[str, Any]]:
    return [{"type": "keyDown", "value": character}, {"type": "keyUp", "value": character}]
