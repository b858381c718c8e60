"""Masks secrets in texts by their values, in any encoding.

`remember` takes the secrets that this process uses: credentials of connections, session tokens, signatures. `mask`
replaces them wherever they occur in a text: as they are, percent-encoded (also twice), with JSON or HTML escapes,
in base64 (also inside of `user:password`), in hexadecimal digits, in other letter case, cut off or broken by a line
end. Unknown credentials are recognized by their shape (`credential_shapes`). The search is in `secret_search`.

Every error of a platform or store passes through here when it is made (`labelwright.platforms.errors`), and every
failure that the command line prints.
"""

from __future__ import annotations

import logging
import re
import threading
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from urllib.parse import unquote

from .credential_shapes import HIDDEN, is_plain_word, is_secret_name, mask_shapes, secrets_in_url
from .secret_search import Pattern, find_spans, patterns_of

MAX_REMEMBERED = 1000
"""Temporary secrets (tokens, cookies, signatures) that are remembered, least recently used ones dropped first. Secrets
of the settings are never dropped."""
MAX_TEXT = 1 << 16
"""Characters of a text that are searched; the rest is left out, since it may hold secrets."""

_recent: OrderedDict[str, tuple[Pattern, ...]] = OrderedDict()
_permanent: dict[str, tuple[Pattern, ...]] = {}
_lock = threading.Lock()


def remember(*values: str, keep: bool = False, halves: bool = True) -> None:
    """Masks these values from now on in every text of this process.

    `keep`: never drop them, however many follow. Without `halves`, only the whole value is masked.

    Headers (`Basic ...`, `Bearer ...`), signed URLs, signatures (`sv=...&sig=...`) and connection strings may be given
    as they are: their secret parts are remembered.
    """
    for value in values:
        for secret in _secrets_in(value):
            with _lock:
                if secret in _permanent:
                    continue
                if secret in _recent and not keep:
                    _recent.move_to_end(secret)
                    continue
            patterns = tuple(pattern if halves else replace(pattern, halves=False) for pattern in patterns_of(secret))
            with _lock:
                if keep:
                    _permanent[secret] = patterns
                    _recent.pop(secret, None)
                    continue
                _recent[secret] = patterns
                while len(_recent) > MAX_REMEMBERED:
                    _recent.popitem(last=False)


def remember_login(user: str, password: str) -> None:
    """Masks the password, the pair as basic authentication sends it, and the user's name unless it is a plain word."""
    remember(password, keep=True)
    if user and not is_plain_word(user):
        remember(user, keep=True, halves=False)  # half of an address is its domain, which labelers share
    if user and password:
        pair = f"{user}:{password}"
        remember(b64encode(pair.encode()).decode(), pair, keep=True)


def forget_all() -> None:
    """Forgets all secrets. For tests, which share a process."""
    with _lock:
        _recent.clear()
        _permanent.clear()


def mask_own(text: str) -> str:
    """As `mask`, for texts of our own, such as advice.

    A password that is an ordinary word stays: our text does not quote it, and masking the word would reveal it.
    """
    with _lock:
        patterns = [pattern for group in _remembered() for pattern in group if not pattern.alone]
    return mask_shapes(_replace_spans(text, find_spans(text, patterns)) if patterns else text)


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without secrets: those remembered, those given, and whatever looks like one."""
    return mask_shapes(mask_values(text, secrets))


def mask_values(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the secrets remembered and given. Other texts that look like one stay."""
    text = text[:MAX_TEXT]
    with _lock:
        patterns = [pattern for group in _remembered() for pattern in group]
    for value in secrets:
        for secret in _secrets_in(value):
            patterns += patterns_of(secret)
    spans = find_spans(text, patterns) if patterns else []
    return _replace_spans(text, spans)


def _remembered() -> Iterator[tuple[Pattern, ...]]:
    """Call with the lock held."""
    yield from _permanent.values()
    yield from _recent.values()


class MaskLogs(logging.Filter):
    """Masks what a library logs: urllib3 writes addresses with their queries, and headers that it cannot read."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = mask(record.getMessage()), ()
        record.exc_info, record.exc_text = None, None
        return True


_mask_logs = MaskLogs()


def mask_logs_of(*names: str) -> None:
    """Adds the filter to these loggers. Idempotent."""
    for name in names:
        logging.getLogger(name).addFilter(_mask_logs)


# Secret parts of a value


def _secrets_in(value: str) -> Iterator[str]:
    value = value.strip()
    if not value or set(value) <= {"*"}:
        return
    if re.match(r"(?i)[a-z][a-z0-9+.-]*://", value):
        yield from secrets_in_url(value)
        return
    scheme, blank, rest = value.partition(" ")
    if blank and scheme.lower() in ("bearer", "token", "basic", "apikey"):
        yield from _secrets_in(rest)
        if scheme.lower() == "basic":
            with suppress(ValueError):
                password = b64decode(rest).decode().partition(":")
                yield from filter(None, (password[2] or password[0],))
        return
    pairs = [pair.partition("=") for pair in re.split(r"[&;]\s*", value.removeprefix("?"))]
    assignments = [(name, content) for name, sign, content in pairs if sign and content]
    only_assignments = len(assignments) == len([name for name, _, _ in pairs if name])
    if assignments and only_assignments and any(is_secret_name(name) for name, _ in assignments):
        for name, content in assignments:
            if is_secret_name(name):
                yield content
                yield from filter(lambda plain: plain != content, [unquote(content)])
    yield value


def _replace_spans(text: str, spans: list[tuple[int, int]]) -> str:
    merged: list[list[int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    parts, at = [], 0
    for first, last in merged:
        parts += [text[at:first], HIDDEN]
        at = last
    return "".join([*parts, text[at:]])
