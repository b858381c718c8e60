"""The form of launch-campaign as people fill it in, in the Prefect UI."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from labelwright.campaigns.spec import CampaignSpec
from labelwright.local.servers import Server
from labelwright.prefect_integration.blocks import CampaignApiCredentials
from tests.service.page.chromium import Browser, chromedriver

from . import prefect_api
from .conftest import make_photos

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("home")]

# A field is found by its label, the nth one of it where groups repeat it; `what` is done with what is in it.
FIELD = """
const [label, nth] = [arguments[0], arguments[1]];
const named = [...document.querySelectorAll('.schema-form-property')].filter(one =>
  one.querySelector('.schema-form-property__label').textContent.trim().replace(' (Optional)', '') === label);
const field = named[nth];
if (!field) return false;
const press = word => {
  const button = [...field.querySelectorAll('.p-label__body button')].find(one => one.textContent.trim() === word);
  if (button) button.click();
  return Boolean(button);
};
const fill = (value, kind) => {
  const control = field.querySelector(kind || 'textarea, input');
  if (!control) return false;
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(control), 'value').set.call(control, value);
  control.dispatchEvent(new Event(kind === 'select' ? 'change' : 'input', {bubbles: true}));
  return true;
};
"""

BUSY = "Something went wrong trying to create a flow run"  # what the page makes of a 503


class Form:
    """The page of a run to be made, driven by labels as people read them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def press(self, label: str, word: str, nth: int = 0) -> None:
        self._do(label, nth, f"return press({json.dumps(word)})", f"button {word} of {label}")

    def fill(self, label: str, value: str, nth: int = 0) -> None:
        self._do(label, nth, f"return fill({json.dumps(value)})", f"field {label}")

    def choose(self, label: str, option_text: str) -> None:
        """Of a list of choices, the one that is shown so."""
        script = f"const box = field.querySelector('select'); const shown = {json.dumps(option_text)};"
        choose = (
            f"{script} const option = box && [...box.options].find(one => one.textContent.trim() === shown);"
            "return Boolean(option) && fill(option.value, 'select')"
        )
        stays = f"{script} return Boolean(box) && box.selectedOptions[0]?.textContent.trim() === shown"
        for _ in range(10):  # the page draws its lists anew when what is in them has arrived
            self._do(label, 0, choose, f"choice {option_text} of {label}")
            time.sleep(1)
            if self._browser.js(FIELD + stays, label, 0):
                return
        raise AssertionError(f"{label} does not stay {option_text}")

    def submit(self, button: str) -> None:
        """Until the page says so; what a busy server puts off is submitted again, as the page itself never does."""
        for _ in range(10):
            time.sleep(1)  # the page takes over what is typed in a moment, and loses a click before it has
            self._click("Submit")
            if self._browser.wait(lambda: self._shown(button, BUSY), f"'{button}' on the page", 90) == button:
                return
            time.sleep(2)  # it is said twice, one after the other
            self._browser.wait(lambda: self._click("Close") or not self._shown(BUSY), f"'{BUSY}' is gone", 90)
        raise AssertionError("no run could be made:\n" + "\n".join(self._browser.log()[-8:]))

    def _shown(self, *message: str) -> str | None:
        text = self._browser.js("return document.body.innerText")
        return next((line for line in message if line in text), None)

    def _click(self, button: str) -> None:
        self._browser.js(
            "[...document.querySelectorAll('button')].filter(one => one.textContent.trim() === arguments[0])"
            ".forEach(one => one.click())",
            button,
        )

    def _do(self, label: str, nth: int, action: str, value: str) -> None:
        self._browser.wait(lambda: self._browser.js(FIELD + action, label, nth), value, 90)


@pytest.fixture
def form(deployed: list[str], prefect_server: Server) -> Iterator[Form]:
    CampaignApiCredentials(url="http://127.0.0.1:1/api/v1", key="k", secret="s").save("agency", overwrite=True)
    deployment_id = prefect_api.get("/deployments/name/launch-campaign/launch-campaign")["id"]
    with chromedriver() as driver:
        browser = Browser(driver, size=(1200, 3600))
        try:
            browser.open(f"{prefect_server.url}/deployments/deployment/{deployment_id}/run")
            yield Form(browser)
        finally:
            browser.close()


def runs() -> list[dict[str, Any]]:
    return prefect_api.runs_of("launch-campaign")


def test_a_campaign_is_launched_by_filling_in_the_form(form, tmp_path):
    make_photos(tmp_path / "photos", 1)
    before = {run["id"] for run in runs()}
    form.fill("Title", "river")
    form.press("Folder", "str")
    form.fill("Folder", str(tmp_path / "photos"))
    form.press("Labels", "Add item")
    form.fill("Name", "boat")
    form.choose("Geometry", "polygon")
    form.fill("Labeler", "partner@example.com")
    form.press("credentials", "CampaignApiCredentials")
    form.choose("credentials", "agency")
    form.submit("scheduled to start")
    (parameters,) = [run["parameters"] for run in runs() if run["id"] not in before]
    assert list(parameters["credentials"]) == ["$ref"]
    spec = CampaignSpec.model_validate(parameters["campaign"])
    assert (spec.title, spec.labeler, spec.images.folder) == ("river", "partner@example.com", str(tmp_path / "photos"))
    assert [(label.name, label.geometry.value) for label in spec.labels] == [("boat", "polygon")]


def test_what_is_missing_is_shown_in_the_form_and_no_run_is_made(form):
    before = len(runs())
    form.fill("Title", "river")
    form.fill("Labeler", "nobody")
    form.submit("'labels' is a required property")
    assert len(runs()) == before
