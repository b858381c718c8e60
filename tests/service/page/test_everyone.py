"""The page for those who come without a mouse, on a tablet, in another language, or with bad intentions."""

from __future__ import annotations

import pytest

from tests.service.page.labeling import Labeler, chequered

pytestmark = pytest.mark.browser


def test_labeling_by_keyboard_alone(at_page):
    page, (first, *_) = at_page()
    press = page.browser.press
    press("a")  # a box in the middle, 160 x 120
    page.wait_shapes("1. Plastic, box 160 × 120 at 240, 180")
    press("Right")
    press("Shift", "Down")
    press("Alt", "Right")
    press("Alt", "Shift", "Up")
    press("3")
    page.wait_shapes("1. Organic, box 161 × 110 at 241, 190")
    press("Escape")
    press("Shift", "A")
    press("c")
    press("Shift", "Left")
    press("+")
    press("Up")
    press("Escape")
    press("s")
    press("s")
    assert (
        page.browser.js("return document.querySelector('#shapes [aria-pressed=true] .name').textContent")
        == "2. Organic"
    )
    assert page.browser.text("#live").startswith("Organic, polygon of 5")
    press("Enter")
    page.wait_done(first)
    assert page.boxes(first)[0] == (241, 190, 402, 300)
    assert page.objects(first)[1]["polygon"] == [[230, 180], [315, 179], [400, 180], [400, 300], [240, 300]]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("Tab",), {"submit-button", "row", "row shape-row", "search-button"}),
        (("Shift", "Tab"), {"list-button", "help-button", "tool-polygon", "zoom-fit"}),
    ],
    ids=["forwards", "backwards"],
)
def test_every_control_is_reached_with_tab_and_shows_the_focus(at_page, keys, expected):
    """From the picture to the page's end, and to its beginning. Beyond these Firefox stays in its own controls."""
    page, _ = at_page()
    page.draw((50, 50), (150, 150))
    focused: set[str] = set()
    for _ in range(45):
        page.browser.press(*keys)
        name, inside, ring = page.browser.js(
            "const e = document.activeElement; const s = getComputedStyle(e);"
            "const inside = document.hasFocus() && e !== document.body;"
            "const ring = s.outlineStyle !== 'none' || e.getAttribute('role') === 'button';"  # a handle has a white one
            "return [e.id || e.className.baseVal || e.className, inside, ring]"
        )
        if not inside:
            break
        assert ring, f"{name} does not show the focus"
        focused.add(name)
    assert expected <= focused


def test_text_is_readable(at_page):
    """Contrast of at least 4.5 to 1 for text, by WCAG's formula, wherever there is text and it is not disabled."""
    page, _ = at_page(instructions="Look closely.")
    page.draw((50, 50), (150, 150))
    poor = page.browser.js(
        """
        const luminance = ([r, g, b]) => {
          const f = (v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
          return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
        };
        const parse = (c) => c.match(/[\\d.]+/g).map(Number);
        const ground = (e) => {
          for (; e; e = e.parentElement) {
            const c = parse(getComputedStyle(e).backgroundColor);
            if (c.length < 4 || c[3] > 0.6) return c;
          }
          return [20, 22, 26];
        };
        const poor = [];
        for (const e of document.querySelectorAll('#desk *')) {
          const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
          if (!own || !e.checkVisibility() || e.closest(':disabled')) continue;
          const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(ground(e))];
          const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          if (contrast < 4.5) poor.push(`${e.id || e.className} ${contrast.toFixed(2)}`);
        }
        return poor;
        """
    )
    assert poor == []


def test_labels_are_shown_in_the_labelers_language_and_stored_by_name(at_page):
    translations = {"Plastic": {"de": "Kunststoff", "fr": "Plastique"}, "Wood": {"de-AT": "Holz (AT)", "de": "Holz"}}
    page, (first, *_) = at_page(label_translations=translations, page={"languages": "de-CH,en"})
    assert page.browser.texts("#labels .name") == ["Kunststoff", "Holz", "Organic"]
    page.draw((50, 50), (150, 150))
    page.browser.press("2")
    assert page.browser.texts(".tag") == ["Holz"]
    page.submit()
    page.wait_done(first)
    assert page.objects(first)[0]["label"] == "Wood"


def test_beyond_nine_labels_are_found_by_searching(at_page):
    labels = [f"part {n:02}" for n in range(1, 41)]
    page, (first, *_) = at_page(labels=labels)
    page.draw((50, 50), (150, 150))
    page.browser.press("/")
    page.browser.wait(lambda: page.browser.shown("#search-field"), "the search")
    page.browser.type("rt 3")
    page.browser.press("Down")
    page.browser.press("Enter")
    page.browser.wait(lambda: page.shapes[0].startswith("1. part 31"), "the other label")
    page.submit()
    page.wait_done(first)
    assert page.objects(first)[0]["label"] == "part 31"


def test_a_campaign_without_labels_takes_any(at_page):
    page, (first, *_) = at_page(labels=None)
    page.draw((50, 50), (150, 150))
    page.browser.wait(lambda: page.browser.shown("#search-field"), "the search")
    page.browser.type("Blue crab")
    page.browser.press("Enter")
    page.browser.wait(lambda: len(page.shapes) == 1, "the box")
    page.submit()
    page.wait_done(first)
    assert page.objects(first)[0]["label"] == "Blue crab"


def test_help_and_instructions_are_one_key_away(at_page):
    page, _ = at_page(instructions="Only crabs.\nNo lobsters.")
    page.browser.press("i")
    page.browser.wait(lambda: page.browser.shown("#instructions"), "the instructions")
    assert page.browser.text("#instructions-text") == "Only crabs.\nNo lobsters."
    page.browser.press("Escape")
    page.browser.press("?")
    page.browser.wait(lambda: page.browser.shown("#help"), "the help sheet")
    page.browser.press("2")  # keys do nothing to the picture below
    page.browser.press("Escape")
    page.browser.wait(lambda: not page.browser.shown("#help"), "the picture")
    assert (
        page.browser.js("return document.querySelector('#labels [aria-pressed=true] .name').textContent") == "Plastic"
    )


@pytest.mark.every_browser
def test_a_tablet_draws_with_a_finger_and_pinches(at_page):
    page, (first, *_) = at_page(page={"size": (820, 1180), "touch": True})
    frame = page.frame
    assert page.browser.js("return document.documentElement.scrollWidth <= innerWidth"), "nothing hangs over the edge"
    page.browser.touch([frame.window(100, 100), frame.window(200, 180), frame.window(300, 250)])
    page.browser.wait(lambda: len(page.shapes) == 1, "a box")
    before = page.frame.width
    middle = frame.window(320, 240)
    page.browser.touch(
        [(middle[0] - 40, middle[1]), (middle[0] - 90, middle[1]), (middle[0] - 160, middle[1])],
        [(middle[0] + 40, middle[1]), (middle[0] + 90, middle[1]), (middle[0] + 160, middle[1])],
    )
    page.browser.wait(lambda: page.frame.width > before * 2, "a closer look")
    assert abs(page.frame.image(middle)[0] - 320) <= 2, "the pinch zooms between the fingers"
    assert len(page.shapes) == 1, "two fingers draw nothing"
    page.browser.click("#zoom-fit")
    page.browser.click("#submit-button")
    page.wait_done(first)
    assert page.boxes(first) == [(*frame.image(frame.window(100, 100)), *frame.image(frame.window(300, 250)))]


def test_a_tablet_draws_polygons_by_tapping(at_page):
    page, (first, *_) = at_page(page={"size": (820, 1180), "touch": True})
    frame = page.frame
    page.browser.click("#tool-polygon")
    corners = [(100, 100), (300, 120), (420, 300), (120, 320)]
    for corner in corners:
        page.browser.touch([frame.window(*corner)])
    page.browser.touch([frame.window(500, 60)])
    page.browser.click("#undo-button")  # takes that corner back
    assert page.browser.text("#submit-text") == "Close the polygon"
    page.browser.click("#submit-button")
    page.browser.wait(lambda: len(page.shapes) == 1, "the polygon")
    page.browser.click("#submit-button")
    page.wait_done(first)
    assert page.objects(first)[0]["polygon"] == [list(frame.image(frame.window(*corner))) for corner in corners]


HOSTILE = '<img src=x onerror="document.title=1;window.hit=1">'


def test_hostile_names_are_only_text(browser, service, make):
    name = "a';alert(1)&<b>.png"
    sealed = service.set_of({name: chequered(100, 80, (10, 10, 50, 50))}, title=f"{HOSTILE} {make.fresh('s')}")
    (image,) = [i["image_id"] for i in service.images_of(sealed["imageset_id"])]
    order = {
        "title": f"{HOSTILE} {make.fresh('c')}",
        "metadata": {"note": HOSTILE},
        "labeler_email": f"{make.fresh('x')}'><script>@x.org",
        "labels": [HOSTILE, "javascript:alert(1)"],
        "instructions": f"{HOSTILE}<script>window.hit=1</script>",
        "label_translations": {"javascript:alert(1)": {"en": "<svg onload=window.hit=1>"}},
    }
    created = service.ok("POST", "/campaigns", order)
    number = created["campaign_id"]
    service.ok("POST", f"/campaigns/{number}/images", [{"id": image}])
    service.ok("PUT", f"/campaigns/{number}", {"new_status": "active"})
    page = Labeler(browser(), service.url, created, service.labeler(created))
    page.open()
    page.draw((10, 10), (60, 60))
    page.browser.press("/")
    page.browser.press("Escape")
    page.browser.press("i")
    page.browser.press("Escape")
    page.browser.press("g")
    page.browser.press("Escape")
    assert page.browser.text("#campaign-title") == order["title"]
    assert page.browser.text("#instructions-text") == order["instructions"]
    assert page.browser.texts(".tag") == [HOSTILE]
    assert page.browser.texts("#labels .name") == [HOSTILE, "<svg onload=window.hit=1>"]
    assert page.browser.js("return window.hit ?? null") is None
    page.browser.open(f"{service.url}/#key={make.key}&secret={make.secret}")
    page.browser.wait(lambda: page.browser.shown("#overview"), "the overview")
    assert order["title"] in page.browser.texts("#campaigns td")
    assert order["labeler_email"] in page.browser.texts("#campaigns td")
    assert page.browser.js("return window.hit ?? null") is None
    assert page.browser.js("return document.querySelectorAll('img, svg, main script').length") == 0


def test_the_key_leaves_the_address_bar_and_a_wrong_one_is_told(browser, service, campaign):
    created, _, caller = campaign(1)
    page = Labeler(browser(allow=("401",)), service.url, created, caller)
    page.open()
    assert page.browser.address == f"{service.url}/label"
    assert page.browser.js("return history.length") <= 2
    other = page.browser.new_tab()
    page.browser.switch(other)
    page.browser.open(f"{service.url}/label")
    page.browser.wait(lambda: page.browser.shown("#key-form"), "the form")
    page.browser.click("#key-field")
    page.browser.type("nobody")
    page.browser.click("#secret-field")
    page.browser.type("nothing")
    page.browser.press("Enter")
    page.browser.wait_text("#door-text", "not known")
    page.browser.js("document.getElementById('key-field').value = ''")
    page.browser.click("#key-field")
    page.browser.type(created["access_token"]["apikey"])
    page.browser.click("#secret-field")
    page.browser.type(created["access_token"]["apisecret"])
    page.browser.press("Enter")
    page.ready()


def test_the_admin_page_shows_nothing_without_the_key_and_changes_nothing(browser, service, make, campaign):
    created, _, _ = campaign(2, title=make.fresh("Overview"))
    window = browser(allow=("401", "403"))
    window.open(f"{service.url}/")
    window.wait(lambda: window.shown("#key-form"), "the form")
    assert window.texts("#campaigns td") == []
    token = created["access_token"]
    window.open(f"{service.url}/?l#key={token['apikey']}&secret={token['apisecret']}")
    window.wait_text("#door-text", "labeler")
    window.open(f"{service.url}/?a#key={make.key}&secret={make.secret}")
    window.wait(lambda: window.shown("#overview"), "the overview")
    assert "#" not in window.address
    row = window.js(
        "return [...document.querySelectorAll('#campaigns tr')].map(r => [...r.cells].map(c => c.textContent))"
        ".find(cells => cells[1] === arguments[0])",
        created["title"],
    )
    assert row[:5] == [str(created["campaign_id"]), created["title"], "active", "0 of 2", row[4]]
    assert row[4].endswith("@x.org")
    page = window.js("return document.documentElement.outerHTML")
    assert token["apikey"] not in page
    assert make.secret not in page
