"""The page in the labeler's language, light or dark: as the browser says, or as it was chosen."""

from __future__ import annotations

import pytest

from tests.service.page.test_texts import LANGUAGES, PLURALS, texts_of

pytestmark = pytest.mark.browser


def choose(page, setting: str, value: str) -> None:
    page.browser.click("#settings-button")
    page.browser.wait(lambda: page.browser.shown("#settings"), "the settings")
    page.browser.js(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change'))",
        setting,
        value,
    )
    page.browser.click("#settings form button")


@pytest.mark.every_browser
def test_the_page_speaks_the_browsers_language(at_page):
    page, _ = at_page(page={"languages": "pl-PL,pl,en"})
    texts = texts_of("pl")
    assert page.browser.js("return document.documentElement.lang") == "pl"
    assert page.browser.text("#submit-text") == texts["submit.button"]
    assert page.browser.text("#saved") == texts["saved.nothing"]
    for count, form in [(1, "one"), (2, "few"), (3, "few"), (4, "few"), (5, "many")]:
        page.draw((20 * count, 20), (20 * count + 15, 60))
        page.browser.wait(lambda count=count: len(page.shapes) == count, f"{count} shapes")
        page.browser.press("Control", "z")
        page.browser.press("Control", "y")
        expected = texts["redo.done"][form].replace("{count}", str(count))
        page.browser.wait(lambda expected=expected: page.browser.text("#live") == expected, expected)


def test_the_plural_forms_are_those_of_the_language(at_page):
    page, _ = at_page()
    forms = page.browser.js(
        "return arguments[0].map((code) => new Intl.PluralRules(code).resolvedOptions().pluralCategories.sort())",
        sorted(LANGUAGES),
    )
    assert dict(zip(sorted(LANGUAGES), forms, strict=True)) == {code: sorted(PLURALS[code]) for code in LANGUAGES}


def test_a_language_that_the_page_does_not_have_is_english(at_page):
    page, _ = at_page(page={"languages": "fi"})
    assert page.browser.text("#submit-text") == "Submit"
    assert page.browser.js("return document.documentElement.lang") == "en"


def test_a_chosen_language_is_kept_and_changes_labels_too(at_page):
    page, _ = at_page(label_translations={"Plastic": {"de": "Kunststoff", "fr": "Plastique"}})
    page.draw((50, 50), (150, 150))
    choose(page, "language", "de")
    page.browser.wait_text("#submit-text", "Absenden")
    assert page.browser.text("#saved") == texts_of("de")["saved.draft"]
    assert page.browser.texts("#labels .name")[0] == "Kunststoff"
    assert page.browser.texts(".tag") == ["Kunststoff"]
    assert (
        page.browser.js("return document.getElementById('tool-box').getAttribute('aria-label')")
        == (texts_of("de")["tool.box"])
    )
    page.reload()
    assert page.browser.text("#submit-text") == "Absenden"
    choose(page, "language", "")
    page.browser.wait_text("#submit-text", "Submit")
    assert page.browser.texts("#labels .name")[0] == "Plastic"


def test_light_and_dark_follow_the_browser_or_the_choice(at_page):
    page, _ = at_page()

    def is_light() -> bool:
        script = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        return min(page.browser.js(script)) > 128

    page.browser.prefer("dark")
    assert not is_light()
    page.browser.prefer("light")
    assert is_light()
    choose(page, "appearance", "dark")
    assert not is_light()
    page.reload()
    assert not is_light()
    choose(page, "appearance", "automatic")
    assert is_light()
    page.browser.prefer("dark")
    assert not is_light()
