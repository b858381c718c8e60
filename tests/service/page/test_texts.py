"""The texts of the pages: every key that is used has a text, and every text is used."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest

PAGE = files("labelwright.service").joinpath("page")
SOURCES = {
    entry.name: entry.read_text(encoding="utf-8") for entry in PAGE.iterdir() if entry.name.endswith((".js", ".html"))
}


LANGUAGES = {"en", "de", "es", "fr", "nl", "pl"}
# As Intl.PluralRules has them (test_languages.py asks the browser).
PLURALS = {code: {"one", "other"} for code in ("en", "de", "nl")} | {
    "es": {"one", "many", "other"},
    "fr": {"one", "many", "other"},
    "pl": {"one", "few", "many", "other"},
}


def texts_of(language: str) -> dict[str, str | dict[str, str]]:
    return dict(json.loads(PAGE.joinpath(f"texts/{language}.json").read_text(encoding="utf-8")))


def used_keys() -> tuple[set[str], set[str]]:
    """Keys that are written out in HTML and JavaScript, and the patterns of those that are put together."""
    whole: set[str] = set()
    patterns: set[str] = set()
    for source in SOURCES.values():
        whole |= set(re.findall(r'data-(?:text|title|label|placeholder)="([A-Za-z_.]+)"', source))
        whole |= set(re.findall(r'"([a-z]+\.[A-Za-z_]+)"', source))
        for put_together in re.findall(r"(?:text|online)\(`([^`]+)`", source):
            patterns.add(re.sub(r"\$\{[^}]*\}", "[A-Za-z_]+", put_together.replace(".", r"\.")))
    return whole, patterns


def test_every_text_that_is_used_exists():
    written, _ = used_keys()
    texts = texts_of("en")
    areas = {key.split(".")[0] for key in texts}
    assert {key for key in written if "." in key and key.split(".")[0] in areas} - set(texts) == set()


def test_every_text_is_used():
    written, patterns = used_keys()
    unused = {
        key for key in set(texts_of("en")) - written if not any(re.fullmatch(pattern, key) for pattern in patterns)
    }
    assert unused == set()


def test_the_html_holds_no_text_of_its_own():
    """Text in the HTML would be shown in English in every language."""
    for name in ("label.html", "admin.html"):
        body = re.sub(r"<(noscript|kbd|title)>.*?</\1>|<h1>Labelwright</h1>", "", SOURCES[name], flags=re.DOTALL)
        assert re.findall(r">([^<>]*[A-Za-z][^<>]*)<", body) == []
        assert re.findall(r'\s(?:title|aria-label|placeholder|alt)="[^"]*"', body) == []


def test_the_languages_on_offer_are_those_with_texts():
    stored = {entry.name.removesuffix(".json") for entry in PAGE.joinpath("texts").iterdir()}
    offered = re.search(r"LANGUAGES = \{(.*?)\}", SOURCES["texts.js"])
    assert offered
    assert set(re.findall(r"(\w+):", offered[1])) == stored == LANGUAGES


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_language_is_complete(language):
    texts, english = texts_of(language), texts_of("en")
    assert list(texts) == list(english), "the same keys in the same order"
    for key, text in texts.items():
        forms, expected = (text, english[key]) if isinstance(text, dict) else ({"": text}, {"": english[key]})
        if isinstance(text, dict):
            assert set(text) == PLURALS[language], key
        else:
            assert isinstance(english[key], str), key
        (placeholders,) = {frozenset(re.findall(r"\{\w+\}", str(form))) for form in expected.values()}
        for form in forms.values():
            assert form.strip() == form != "", key
            assert set(re.findall(r"\{\w+\}", form)) == placeholders, key


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_keys_of_the_keyboard_are_shown_as_keys_in_every_language(language):
    """The number of keys in the help is the same: none is lost in a translation."""
    english = texts_of("en")
    for key, text in texts_of(language).items():
        if isinstance(text, str):
            assert len(re.findall(r"\[[^\]]+\]", text)) == len(re.findall(r"\[[^\]]+\]", str(english[key]))), key
