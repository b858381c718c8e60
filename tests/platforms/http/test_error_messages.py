"""What is read from an answer besides its data."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from labelwright.platforms.http.error_messages import LONGEST_WAIT, message, retry_after
from labelwright.security.masking import mask

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7.5 ", 7.5),
        ("-3", 0),
        ("999999999999", LONGEST_WAIT),
        ("1e999", LONGEST_WAIT),
        ("inf", LONGEST_WAIT),
        ("-inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30),
        ("Sunday, 22-Nov-26 12:00:30 GMT", 30),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 22 Nov 9999 11:00:00 GMT", LONGEST_WAIT),
        ("Sun, 99 Nov 2026 11:00:00 GMT", None),
        ("Sun, 22 Nov 99999999999 11:00:00 GMT", None),
    ],
)
def test_retry_after_is_parsed_as_seconds_or_as_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}, NOW) == seconds


def test_a_retry_after_date_is_compared_with_the_servers_clock() -> None:
    headers = {"Retry-After": "Sun, 22 Nov 2020 12:00:30 GMT", "Date": "Sun, 22 Nov 2020 12:00:20 GMT"}
    assert retry_after(headers, NOW) == 10


def test_no_retry_after_is_none() -> None:
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/json", '{"error": {"code": "x", "message": "no such set", "details": {}}}', "no such set"),
        ("application/json", '{"error": "no such set"}', "no such set"),
        ("application/json", '{"detail": "Not found."}', "Not found."),
        ("application/json", '{"detail": [{"loc": ["body", "title"], "msg": "too short"}]}', "body.title: too short"),
        ("application/json", '{"message": "no"}', "no"),
        ("application/json", '{"name": ["This field is required."]}', "name: This field is required."),
        ("application/json", '["one", "two"]', "one; two"),
        ("application/json", "42", "42"),
        ("application/json", "{broken", "{broken"),
        ("text/plain", "out of\r\n  order\x00", "out of order"),
        ("text/html", "<html><head><title>t</title></head><script>x()</script><h1>Bad &amp; worse</h1>", "Bad & worse"),
        ("text/html", "<html><head><title>502</title></head></html>", "502"),
        ("", "", ""),
    ],
)
def test_the_servers_error_message_is_found(kind: str, body: str, expected: str) -> None:
    assert message(kind, body.encode()) == expected


def test_messages_are_cut_to_500_characters_and_may_be_binary() -> None:
    assert len(message("text/plain", b"x" * 9000)) == 500
    assert message("application/octet-stream", b"\xff\xfe\x00")
    assert message("application/json", b"[" * 100_000)  # nested too deep to be read


def test_secrets_are_concealed_before_words_are_cut() -> None:
    body = b"a" * 495 + b"CANARY-SECRET"
    assert "CAN" not in message("text/plain", body, ["CANARY-SECRET"])


@pytest.mark.parametrize(
    "text",
    [
        "see https://host/box?se=1&sp=r&sig=CANARY%2Bx&sv=2",
        "see https://user:CANARY@host/",
        "see HTTPS://CANARY@host/",
        "failed: ?token=CANARY",
        "the key CANARY is unknown",
    ],
)
def test_signatures_user_names_and_keys_are_concealed(text: str) -> None:
    assert "CANARY" not in mask(text, ["CANARY"] if "the key" in text else [])
    assert "***" in mask(text, ["CANARY"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_page_in_another_encoding_hides_secrets_too(encoding: str) -> None:
    page = "<html><title>No</title><body>refused: pw-31-zq for jane</body></html>".encode(encoding)
    shown = message("text/html", page, ["pw-31-zq"])
    assert "refused: *** for jane" in shown
    assert "p w" not in shown


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        ("text/html", "\u200b"),
        ("text/html", "\u00ad"),
        ("text/html", "&shy;"),
        ("text/html", "&#8203;"),
        ("text/html", "\0"),
        ("application/json", "\u200b"),
        ("application/json", "\\u200b"),
    ],
)
def test_a_secret_split_by_invisible_characters_is_masked(kind: str, mark: str) -> None:
    secret = mark.join("pw-31-zq")
    body = f"<p>refused: {secret}</p>" if kind == "text/html" else f'{{"detail": "refused: {secret}"}}'
    assert message(kind, body.encode(), ["pw-31-zq"]) == "refused: ***"
