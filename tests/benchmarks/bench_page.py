"""The labeling page with large pictures in headless Chromium: when a picture is usable, and how smoothly it pans.

    python tests/benchmarks/bench_page.py [--rounds 5] [--seconds 4] [--shapes 60]

usable    a JPEG of 63 megapixels and some 20 MB: from the opening of the link to the picture without its cover, and the
          CPU time of the service for it. The first time its reduced picture is made; the second time it is kept.
pan       9,000 x 7,000 pixels with shapes on it: frames a second while the picture is moved without pause, at the zoom
          that shows all of it, at half size and at full size. Durations: what a frame costs the page's main thread.
          CPU: all processes of the browser. Peer: an empty page that counts frames in the same way, which is the most
          that this machine does.

Chromium draws without a graphics card here. Other programs that run at the same time count: the load is printed.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIZE = (9000, 7000)
AIM_FRAMES, AIM_SECONDS = 30, 2.0

PENDING = "return document.querySelector('.tiles').dataset.pending"
COUNT = """
const [seconds, done] = [arguments[0], arguments[1]], view = document.getElementById('view') ?? document.body;
const { left, top, width, height } = view.getBoundingClientRect();
const send = (type, n) => view.dispatchEvent(new PointerEvent(type, {
  pointerId: 1, pointerType: 'mouse', button: 1, buttons: 4, bubbles: true,
  clientX: left + width / 2 + 200 * Math.sin(n / 15), clientY: top + height / 2 + 150 * Math.cos(n / 11) }));
const frames = [];
send('pointerdown', 0);
const tick = (now) => {
  frames.push(now);
  send('pointermove', frames.length);
  if (now - frames[0] < 1000 * seconds) return requestAnimationFrame(tick);
  send('pointerup', frames.length);
  done(frames.slice(1).map((t, i) => t - frames[i]));
};
requestAnimationFrame(tick);
"""


def large_picture() -> bytes:
    """A JPEG of 9,000 x 7,000 pixels and some 20 MB."""
    noise = Pillow.effect_noise((3000, 2333), 60).convert("RGB").resize(SIZE, Pillow.Resampling.BILINEAR)
    target = io.BytesIO()
    noise.save(target, "JPEG", quality=88)
    return target.getvalue()


def cpu_seconds(marker: str) -> float:
    """CPU time so far of all processes whose command line has the marker."""
    total, tick = 0, os.sysconf("SC_CLK_TCK")
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if marker in (folder / "cmdline").read_text(errors="replace"):
                total += sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:13]))
        except OSError:
            continue
    return total / tick


def metrics(browser: Any) -> dict[str, float]:
    return {one["name"]: one["value"] for one in browser.cdp("Performance.getMetrics")["metrics"]}


def pan(browser: Any, seconds: float, rounds: int) -> Iterator[dict[str, float]]:
    browser.cdp("Performance.enable")
    for _ in range(rounds):
        before, cpu = metrics(browser), cpu_seconds(browser.profile)
        gaps = browser._call("POST", "execute/async", args=[seconds], script=COUNT)
        after = metrics(browser)
        count = max(1, len(gaps))
        names = ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
        yield {
            "frames a second": 1000 * len(gaps) / sum(gaps),
            "median ms": statistics.median(gaps),
            "longest ms": max(gaps),
            "CPU ms a frame": 1000 * (cpu_seconds(browser.profile) - cpu) / count,
            **{f"{name} ms": 1000 * (after[name] - before[name]) / count for name in names},
        }


def show(name: str, rounds: list[dict[str, float]]) -> None:
    medians = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    print(f"{name:28}" + ", ".join(f"{key} {value:.1f}" for key, value in medians.items()), flush=True)


def usable(browser: Any, page: Any) -> float:
    """Seconds from the opening of the link to the picture, as the page's own clock has it."""
    browser.open("about:blank")
    browser.open(page.link)
    page.ready()
    return float(browser.js("return window.usableAt")) / 1000


WATCH = """
addEventListener('DOMContentLoaded', () => {
  const cover = document.getElementById('cover');
  if (!cover) return;
  const look = () => {
    if (cover.hidden && document.querySelector('.a9s-annotationlayer')) window.usableAt ??= performance.now();
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
});
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--shapes", type=int, default=60)
    arguments = parser.parse_args()

    from labelwright.service import ServiceConfig
    from tests.service.conftest import Serving, thing
    from tests.service.page.chromium import Browser, chromedriver
    from tests.service.page.labeling import Labeler

    picture = large_picture()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; the picture has {len(picture) / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory() as folder, chromedriver() as driver:
        config = ServiceConfig(Path(folder), admin_key="admin-key", admin_secret="an-admin-secret-of-the-tests")
        with Serving(config) as service:
            pages = []
            for number in range(2):
                sealed = service.set_of({f"{number}.jpg": picture + bytes([number])})
                ids = [image["image_id"] for image in service.images_of(sealed["imageset_id"])]
                order = {"title": f"c{number}", "metadata": None, "labeler_email": f"l{number}@x.org"}
                campaign = service.ok("POST", "/campaigns", {**order, "labels": ["a", "b"]})
                path = f"/campaigns/{campaign['campaign_id']}"
                service.ok("POST", f"{path}/images", [{"id": image} for image in ids])
                service.ok("PUT", path, {"new_status": "active"})
                pages.append((campaign, ids, service.labeler(campaign)))
            browser = Browser(driver)
            try:
                browser.run_first(WATCH)
                for number, (campaign, _, caller) in enumerate(pages, 1):
                    page = Labeler(browser, service.url, campaign, caller)
                    for what in ("made now", "kept"):
                        cpu = time.process_time()
                        seconds = usable(browser, page)
                        cpu = time.process_time() - cpu
                        print(
                            f"usable {number}, {what}: {seconds:.2f} s (aim {AIM_SECONDS:g}), {cpu:.2f} s of CPU here"
                        )
                campaign, ids, caller = pages[-1]
                boxes = [
                    thing("a", bounding_box={"xmin": x, "ymin": y, "xmax": x + 500, "ymax": y + 400})
                    for x, y in [(100 + 850 * (n % 10), 100 + 1100 * (n // 10)) for n in range(arguments.shapes)]
                ]
                body = [{"image_id": ids[0], "objects": boxes}]
                caller.ok("PUT", f"/campaigns/{campaign['campaign_id']}/objects", body)
                page.reload()
                browser.press("v")
                for name, steps in (("all of it", 0), ("half size", 6), ("full size", 4)):
                    middle = browser.js(
                        "const r = document.getElementById('view').getBoundingClientRect();"
                        "return [r.left + r.width / 2, r.top + r.height / 2]"
                    )
                    for _ in range(steps):
                        browser.wheel(middle, -120)
                    browser.wait(lambda: browser.js(PENDING) == "0", "the tiles")
                    zoom = browser.text("#readout").split("%")[0].strip()
                    show(f"pan, {name} ({zoom} %)", list(pan(browser, arguments.seconds, arguments.rounds)))
                browser.open("about:blank")
                show("peer, an empty page", list(pan(browser, arguments.seconds, arguments.rounds)))
            finally:
                browser.close()
    print(f"load {os.getloadavg()[0]:.1f}; aim: {AIM_FRAMES} frames a second")


if __name__ == "__main__":
    main()
