"""A labeler at the page: what one sees and does, in pixels of the image."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, ImageDraw

from tests.service.page.chromium import Browser

Point = tuple[float, float]


@dataclass
class Frame:
    """Where the picture is in the window, and how large it is by itself."""

    left: float
    top: float
    width: float
    height: float
    image_width: int
    image_height: int

    def window(self, x: float, y: float) -> Point:
        """The window's pixel that is nearest to a point of the image."""
        return (
            round(self.left + x / self.image_width * self.width),
            round(self.top + y / self.image_height * self.height),
        )

    def image(self, point: Point) -> tuple[int, int]:
        """The image's pixel edge that is nearest to a point of the window."""
        x = round((point[0] - self.left) / self.width * self.image_width)
        y = round((point[1] - self.top) / self.height * self.image_height)
        return min(max(x, 0), self.image_width), min(max(y, 0), self.image_height)


class Labeler:
    def __init__(self, browser: Browser, url: str, campaign: dict[str, Any], caller: Any) -> None:
        self.browser, self.url, self.campaign, self.caller = browser, url, campaign, caller

    @property
    def link(self) -> str:
        token, number = self.campaign["access_token"], self.campaign["campaign_id"]
        return f"{self.url}/label#key={token['apikey']}&secret={token['apisecret']}&campaign={number}"

    def open(self) -> None:
        """Follows the link. A page that is open already loads itself again: until then it shows the old one."""
        self.browser.js("window.isOldPage = true")
        self.browser.open(self.link)
        self.browser.wait(lambda: self.browser.js("return !window.isOldPage"), "the page of the link")
        self.ready()

    def ready(self) -> None:
        self.browser.wait(
            lambda: self.browser.js(
                "return document.getElementById('cover').hidden"
                " && !!document.querySelector('.a9s-annotationlayer')"
                " && document.getElementById('saved').textContent !== ''"
            ),
            "the picture",
        )

    def reload(self) -> None:
        self.browser.reload()
        self.ready()

    @property
    def frame(self) -> Frame:
        return Frame(
            *self.browser.js(
                "const s = document.getElementById('stage').getBoundingClientRect();"
                "const i = document.querySelector('img.picture');"
                "return [s.left, s.top, s.width, s.height, i.naturalWidth, i.naturalHeight]"
            )
        )

    @property
    def place(self) -> int:
        return int(self.browser.text("#place").split("/")[0])

    @property
    def saved(self) -> str:
        return self.browser.text("#saved")

    @property
    def shapes(self) -> list[str]:
        """The list of shapes, in words."""
        return list(
            self.browser.js(
                "return [...document.querySelectorAll('.shape-row')].map(r => r.querySelector('.name').textContent"
                " + ', ' + r.querySelector('.more').getAttribute('aria-label'))"
            )
        )

    def wait_shapes(self, *expected: str) -> None:
        try:
            self.browser.wait(lambda: self.shapes == list(expected), "these shapes", 30)
        except AssertionError:
            assert self.shapes == list(expected)

    def draw(self, start: Point, end: Point) -> None:
        frame = self.frame
        self.browser.drag(frame.window(*start), frame.window(*end))

    def click(self, *points: Point) -> None:
        frame = self.frame
        self.browser.click_at(*(frame.window(*point) for point in points))

    def stored(self, image: int) -> dict[str, Any]:
        return dict(self.caller.get(f"/labeling/campaigns/{self.campaign['campaign_id']}/images/{image}"))

    def objects(self, image: int) -> list[dict[str, Any]]:
        return list(self.stored(image)["objects"])

    def boxes(self, image: int) -> list[tuple[float, ...]]:
        """(xmin, ymin, xmax, ymax) of what is stored."""
        return [
            tuple(label_object["bounding_box"][k] for k in ("xmin", "ymin", "xmax", "ymax"))
            for label_object in self.objects(image)
        ]

    def submit(self) -> None:
        self.browser.press("Enter")

    def wait_done(self, image: int) -> None:
        self.browser.wait(lambda: self.stored(image)["done"], f"image {image} to be stored")


def chequered(width: int, height: int, block: tuple[int, int, int, int], *, orientation: int | None = None) -> bytes:
    """A grey picture with a red block, at (xmin, ymin, xmax, ymax) of the picture as displayed."""
    shown = Image.new("RGB", (width, height), (90, 90, 90))
    ImageDraw.Draw(shown).rectangle((block[0], block[1], block[2] - 1, block[3] - 1), fill=(255, 0, 0))
    target = io.BytesIO()
    if orientation is None:
        shown.save(target, "PNG")
    else:
        # Stored turned, so that a viewer has to turn it back: 6 is shown a quarter to the right, 8 to the left.
        turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
        exif = Image.Exif()
        exif[0x0112] = orientation
        shown.transpose(turn[orientation]).save(target, "JPEG", quality=95, exif=exif)
    return target.getvalue()


def red_block(screenshot: bytes) -> tuple[int, int, int, int]:
    """Where the red block is in a screenshot: (left, top, right, bottom), the last two exclusive."""
    shot = Image.open(io.BytesIO(screenshot)).convert("RGB")
    red, green, blue = shot.split()
    dark = ImageChops.lighter(green, blue).point(lambda value: 255 * (value < 80))
    box = ImageChops.darker(red.point(lambda value: 255 * (value > 170)), dark).getbbox()
    assert box, "no red block in sight"
    return box
