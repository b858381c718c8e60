"""A headless Firefox, driven over WebDriver BiDi and Marionette, which it speaks by itself: no geckodriver is needed.

Needs Debian's package firefox-esr (`apt-get install firefox-esr`), or the program named by LABELWRIGHT_FIREFOX.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.service.page.chromium import Browser, program

HOW = "install Debian's firefox-esr, or set LABELWRIGHT_FIREFOX"
LISTENS = "WebDriver BiDi listening on"
SECONDS = 60

# Beyond what Firefox sets by itself when it is driven (remote.prefs.recommended).
PREFERENCES: dict[str, Any] = {
    "marionette.port": 0,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "extensions.update.enabled": False,
    "layout.css.devPixelsPerPx": "1.0",
    "general.smoothScroll": False,
    # Else it ignores clicks right after a page was opened.
    "dom.input_events.security.minNumTicks": 0,
    "dom.input_events.security.minTimeElapsedInMS": 0,
}
TOUCH = {
    "dom.w3c_touch_events.enabled": 1,
    "ui.primaryPointerCapabilities": 1,
    "ui.allPointerCapabilities": 1,
    "ui.useOverlayScrollbars": 1,
}
MOUSE = {
    "dom.w3c_touch_events.enabled": 0,
    "ui.primaryPointerCapabilities": 6,
    "ui.allPointerCapabilities": 6,
    "ui.useOverlayScrollbars": 0,
}


class Firefox(Browser):
    """One window of its own profile, with the methods of Browser.

    BiDi drives the page. What belongs to the device or its network is set in the browser itself, over Marionette.
    """

    def __init__(  # Chromium's has its driver's address before these
        self, *, size: tuple[int, int] = (1280, 900), languages: str = "en", touch: bool = False
    ) -> None:
        self.profile = tempfile.mkdtemp(prefix="labelwright-firefox-")
        preferences = {**PREFERENCES, "intl.accept_languages": languages, **(TOUCH if touch else MOUSE)}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
        Path(self.profile, "user.js").write_text("\n".join(lines), encoding="utf-8")
        self.console: list[str] = []
        self.requested: list[str] = []
        self._process = subprocess.Popen(
            [
                program("LABELWRIGHT_FIREFOX", "firefox-esr", "firefox"),
                "--headless",
                "--no-remote",
                "--profile",
                self.profile,
                "--marionette",
                "--remote-debugging-port=0",
                "--remote-allow-system-access",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "MOZ_CRASHREPORTER_DISABLE": "1"},
        )
        try:
            self._connect(size, touch)
        except BaseException:
            self.close()
            raise

    def _connect(self, size: tuple[int, int], touch: bool) -> None:
        assert self._process.stderr
        listening = threading.Event()
        threading.Thread(target=_read_on, args=(self._process.stderr, listening), daemon=True).start()
        port = Path(self.profile, "MarionetteActivePort")
        if not listening.wait(90) or not port.is_file():
            raise RuntimeError(f"Firefox did not start: {HOW}")
        self._number = 0
        self._marionette = _Marionette(int(port.read_text()))
        session = self._marionette.send("WebDriver:NewSession", webSocketUrl=True, unhandledPromptBehavior="accept")
        self._marionette.send("Marionette:SetContext", value="chrome")
        self._socket = connect(session["capabilities"]["webSocketUrl"], max_size=None, open_timeout=SECONDS, proxy=None)
        self._command("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        (self._context,) = (one["context"] for one in self._command("browsingContext.getTree")["contexts"])
        self.resize(*size, touch=touch)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=120)
        if hasattr(self, "_marionette"):
            self._marionette.close()
        if hasattr(self, "_socket"):
            self._socket.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _command(self, method: str, **params: Any) -> Any:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=SECONDS))
            if message.get("id") == self._number:
                if message["type"] == "error":
                    raise RuntimeError(f"{method}: {message['error']}: {message['message'][:500]}")
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "log.entryAdded" and params["level"] in ("error", "warn"):
            self.console.append(f"{params['level']} {params['text']}")
        elif message.get("method") == "network.beforeRequestSent":
            self.requested.append(params["request"]["url"])

    def _privileged(self, script: str) -> None:
        """Runs a script with the rights of the browser itself; all have one `window`."""
        self._marionette.send("WebDriver:ExecuteScript", script=script, args=[])

    # --- going places

    def open(self, url: str) -> None:
        self._command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def reload(self) -> None:
        self._command("browsingContext.reload", context=self._context, wait="complete")

    @property
    def address(self) -> str:
        return str(self.js("return location.href"))

    def new_tab(self) -> str:
        created = self._command("browsingContext.create", type="tab", referenceContext=self._context)["context"]
        self._command("browsingContext.setViewport", context=created, viewport=self._size)
        return str(created)

    @property
    def tab(self) -> str:
        return str(self._context)

    def switch(self, tab: str) -> None:
        self._context = tab
        self._command("browsingContext.activate", context=tab)

    # --- looking

    def js(self, script: str, *arguments: Any) -> Any:
        return self._value(f"(function () {{ {script} }}).apply(null, {json.dumps(arguments)})")

    def js_later(self, script: str) -> Any:
        return self._value(f"await new Promise((done) => {{ (function () {{ {script} }})(done); }})")

    def _value(self, expression: str) -> Any:
        call = f"async () => JSON.stringify(({expression}) ?? null)"
        target = {"context": self._context}
        answer = self._command("script.callFunction", functionDeclaration=call, awaitPromise=True, target=target)
        if answer["type"] == "exception":
            raise RuntimeError(f"{expression[:200]}: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"])

    def picture(self) -> bytes:
        return base64.b64decode(self._command("browsingContext.captureScreenshot", context=self._context)["data"])

    def log(self) -> list[str]:
        self.js("return null")  # reads the events that wait
        return self.console

    def network(self) -> list[str]:
        self.js("return null")
        return self.requested

    # --- the device and its network

    def resize(self, width: int, height: int, *, touch: bool = False) -> None:
        for name, value in (TOUCH if touch else MOUSE).items():
            self._privileged(f"Services.prefs.setIntPref({json.dumps(name)}, {value})")
        self._until_the_page_matches(f"(pointer: {'coarse' if touch else 'fine'})")
        self._size = {"width": width, "height": height}
        self._command("browsingContext.setViewport", context=self._context, viewport=self._size)

    def prefer(self, scheme: str) -> None:
        number = ("dark", "light").index(scheme)
        self._privileged(f"Services.prefs.setIntPref('layout.css.prefers-color-scheme.content-override', {number})")
        self._until_the_page_matches(f"(prefers-color-scheme: {scheme})")

    def _until_the_page_matches(self, query: str) -> None:
        """What is set in the browser reaches the process of the page later."""
        self.wait(lambda: self.js("return matchMedia(arguments[0]).matches", query), query)

    def offline(self, value: bool) -> None:
        # By itself it goes on talking to this machine when it is offline.
        self._for_requests("channel.QueryInterface(Ci.nsIHttpChannel).cancel(Cr.NS_ERROR_OFFLINE)" if value else None)
        self._privileged(f"Services.io.offline = {json.dumps(value)}")

    def slow_down(self, bytes_per_second: int | None) -> None:
        if bytes_per_second is not None:
            self._privileged(
                "window.queue = Cc['@mozilla.org/network/throttlequeue;1']"
                ".createInstance(Ci.nsIInputChannelThrottleQueue);"
                f"window.queue.init({bytes_per_second}, {bytes_per_second})"
            )
        throttle = "channel.QueryInterface(Ci.nsIThrottledInputChannel).throttleQueue = window.queue"
        self._for_requests(None if bytes_per_second is None else throttle)

    def _for_requests(self, script: str | None) -> None:
        """Does this with each `channel` from now on; None ends that."""
        change = "remove" if script is None else "add"
        if script is not None:
            self._privileged(f"window.observer = {{ observe(channel) {{ {script} }} }}")
        self._privileged(f"Services.obs.{change}Observer(window.observer, 'http-on-modify-request')")

    def forget_cookies(self) -> None:
        self._privileged("Services.cookies.removeAll()")

    def forget_cache(self) -> None:
        self._privileged("Services.cache2.clear()")

    def run_first(self, script: str) -> None:
        self._command("script.addPreloadScript", functionDeclaration=f"() => {{ {script} }}", contexts=[self._context])

    # --- doing

    def click(self, selector: str) -> None:
        """In the middle of an element, of its first line where it has several, once the page is laid out."""
        self.wait(lambda: self.js("return document.readyState") == "complete", "the page")
        point = self.js(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'nearest', inline: 'nearest'});"
            "const r = e.getClientRects()[0]; const [x, y] = [r.left + r.width / 2, r.top + r.height / 2];"
            "const at = document.elementFromPoint(x, y);"
            "return at && (e.contains(at) || at.contains(e)) ? [x, y] : null",
            selector,
        )
        if point is None:
            raise RuntimeError(f"{selector} is covered or out of sight")
        self.click_at((point[0], point[1]))

    def _actions(self, *sources: dict[str, Any]) -> None:
        self._command("input.performActions", context=self._context, actions=list(sources))


class _Marionette:
    """Firefox's own protocol: numbered messages in JSON, each after its length."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._incoming = self._socket.makefile("rb")
        self._number = 0
        self._read()  # its greeting

    def send(self, command: str, **params: Any) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, command, params]).encode()
        self._socket.sendall(b"%d:%b" % (len(message), message))
        _, _, error, result = self._read()
        if error is not None:
            raise RuntimeError(f"{command}: {error['error']}: {error['message'][:500]}")
        return result

    def _read(self) -> Any:
        digits = b""
        while (byte := self._incoming.read(1)) != b":":
            if not byte:
                raise RuntimeError("Firefox has ended")
            digits += byte
        return json.loads(self._incoming.read(int(digits)))

    def close(self) -> None:
        self._incoming.close()
        self._socket.close()


def _read_on(stderr: Any, listening: threading.Event) -> None:
    """Tells when it listens, and reads on: nobody may wait for a full pipe."""
    for line in stderr:
        if LISTENS in line:
            listening.set()
