"""Mask secrets in text by their values, however they are written.

`remember` takes the secrets that this process uses: credentials of connections, tokens that a login gave, signatures.
`mask` replaces them, wherever a text holds them: as they are, percent-encoded (also twice), with JSON or HTML escapes,
in base64 (also inside of `user:password`), in hexadecimal digits, in other letter case, cut off or broken by a line
end. Credentials that nobody remembered are found by their shape (`labelwright.security.credential_shapes`).

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
from dataclasses import dataclass, replace
from functools import lru_cache
from html import unescape
from itertools import islice
from urllib.parse import unquote

from .credential_shapes import HIDDEN, is_plain_word, is_secret_name, mask_shapes, secrets_in_url

MOST = 1000
"""Passing secrets (tokens, cookies, signatures) that are remembered; beyond that the one that was used least recently
is forgotten. Those of the settings are never forgotten, however many cookies a server sets."""
LONGEST_TEXT = 1 << 16
"""Characters of a text that are looked at; what is beyond is left out, since nobody can tell what it holds."""

_LONG = 12
"""Characters from which half of a secret is recognized, too."""
_SURELY_SECRET = 8
"""Characters from which a word of letters, or a number, is masked within others, too."""
_MOST_CUTS = 100
"""Places of a kind in a text at which somebody may have cut it; a text with more of them is no sentence."""
_ENDINGS = ("...", "…", "[truncated]", "<truncated>", "(truncated)")
_BASE64 = frozenset("abcdefghijklmnopqrstuvwxyz0123456789+/=_-")


@dataclass(frozen=True, slots=True)
class _Needle:
    """One way in which a secret is written, in lower case."""

    text: str
    alone: bool = False
    """Masked only where no letter or digit is next to it: short words would garble every sentence."""
    halves: bool = False
    """Half of it, or its beginning at the end of a text, is masked too."""
    base64: bool = False
    """The whole run of base64 around it is masked."""


_known: OrderedDict[str, tuple[_Needle, ...]] = OrderedDict()
_kept: dict[str, tuple[_Needle, ...]] = {}
_lock = threading.Lock()


def remember(*values: str, keep: bool = False, halves: bool = True) -> None:
    """Mask these values from now on, in every text of this process; with `keep` until it ends, however many follow.
    Without `halves` they are masked as a whole only.

    Headers (`Basic ...`, `Bearer ...`), signed URLs, signatures (`sv=...&sig=...`) and connection strings may be given
    as they are: what is secret in them is remembered.
    """
    for value in values:
        for secret in _secrets_in(value):
            with _lock:
                if secret in _kept:
                    continue
                if secret in _known and not keep:
                    _known.move_to_end(secret)
                    continue
            needles = tuple(one if halves else replace(one, halves=False) for one in _needles(secret))
            with _lock:
                if keep:
                    _kept[secret] = needles
                    _known.pop(secret, None)
                    continue
                _known[secret] = needles
                while len(_known) > MOST:
                    _known.popitem(last=False)


def remember_login(user: str, password: str) -> None:
    """Mask the password, the pair as basic authentication sends it, and the user's name unless it is a plain word."""
    remember(password, keep=True)
    if user and not is_plain_word(user):
        remember(user, keep=True, halves=False)  # half of an address is its domain, which labelers share
    if user and password:
        pair = f"{user}:{password}"
        remember(b64encode(pair.encode()).decode(), pair, keep=True)


def forget_all() -> None:
    """Remember nothing any more: for tests, which share a process."""
    with _lock:
        _known.clear()
        _kept.clear()


def mask_own(text: str) -> str:
    """As `mask`, for a text of ours, such as an advice: of a password that is an ordinary word it would lose words that
    it does not repeat from anybody, and so give the password away."""
    with _lock:
        needles = [needle for group in _remembered() for needle in group if not needle.alone]
    return mask_shapes(_without(text, _places(text, needles)) if needles else text)


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without secrets: those remembered, those given, and whatever looks like one."""
    return mask_shapes(mask_values(text, secrets))


def mask_values(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the secrets remembered and given. What looks like another one stays."""
    text = text[:LONGEST_TEXT]
    with _lock:
        needles = [needle for group in _remembered() for needle in group]
    for value in secrets:
        for secret in _secrets_in(value):
            needles += _needles(secret)
    places = _places(text, needles) if needles else []
    return _without(text, places)


def _remembered() -> Iterator[tuple[_Needle, ...]]:
    """Under the lock."""
    yield from _kept.values()
    yield from _known.values()


class MaskLogs(logging.Filter):
    """Masks what a library logs: urllib3 writes addresses with their queries, and headers that it cannot read."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = mask(record.getMessage()), ()
        record.exc_info, record.exc_text = None, None
        return True


_mask_logs = MaskLogs()


def mask_logs_of(*names: str) -> None:
    """Put the filter before these loggers. Doing it twice does nothing."""
    for name in names:
        logging.getLogger(name).addFilter(_mask_logs)


# What is secret in a value


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
    pairs = [one.partition("=") for one in re.split(r"[&;]\s*", value.removeprefix("?"))]
    named = [(name, content) for name, sign, content in pairs if sign and content]
    if named and len(named) == len([one for one in pairs if one[0]]) and any(is_secret_name(name) for name, _ in named):
        for name, content in named:
            if is_secret_name(name):
                yield content
                yield from filter(lambda plain: plain != content, [unquote(content)])
    yield value


def _needles(secret: str) -> Iterator[_Needle]:
    if len(secret) < 2:
        return  # a single letter is masked where a field's name says that it is a password
    word = (secret.isalpha() or secret.isdecimal()) and len(secret) < _SURELY_SECRET
    alone = word or len(secret) < 4
    reading: _Reading | None = _reading_of(secret)
    while reading is not None:  # a secret with an escape in it is read without it, too
        yield _Needle(_lower(reading.text), alone=alone, halves=not alone and len(reading.text) >= 6)
        reading = _decoded(reading)
    raw = secret.encode("utf-8", "surrogatepass")
    if not secret.isascii():  # read as another encoding than it was written in
        yield _Needle(_lower(raw.decode("latin-1")), halves=True)
        with suppress(UnicodeEncodeError):
            yield _Needle(_lower(secret.encode("latin-1").decode("utf-8", "replace")))
    if len(raw) >= 4:
        yield _Needle(raw.hex())
    for core in _base64_cores(raw):
        yield _Needle(core.lower(), base64=True)


def _base64_cores(raw: bytes) -> Iterator[str]:
    """What base64 of any text that holds these bytes holds, for each of the three ways to fall on its groups."""
    for before in range(3):
        encoded = b64encode(b"\0" * before + raw).decode()
        first = -(-8 * before // 6)
        after = (before + len(raw)) % 3
        last = len(encoded) - {0: 0, 1: 3, 2: 2}[after]
        core = encoded[first:last]
        if len(core) >= 6:
            yield core
            if "+" in core or "/" in core:
                yield core.replace("+", "-").replace("/", "_")


def _lower(text: str) -> str:
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


# Where they are


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text as it reads after decoding, and where each of its characters stands in the original."""

    text: str
    starts: list[int]
    ends: list[int]


def _reading_of(text: str) -> _Reading:
    return _Reading(text, list(range(len(text))), list(range(1, len(text) + 1)))


_ENCODED = re.compile(
    r"(?:%[0-9a-fA-F]{2})+|(?:\\u[0-9a-fA-F]{4})+|(?:\\x[0-9a-fA-F]{2})+|\\[\\\"'/bfnrt]|"
    r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
)
_SIMPLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DEPTH = 4
"""Encodings within encodings that are undone."""


def _places(text: str, needles: Iterable[_Needle]) -> list[tuple[int, int]]:
    """Start and end of every secret in the text."""
    needles = list(needles)
    squeezed = list(filter(None, map(_without_blanks_in, needles)))
    blank = [_with_blanks_in(one) for one in needles] if any(one in text for one in "+%&\\") else []
    reading = _reading_of(text)
    found = []
    for _ in range(_DEPTH):
        for one, alike in ((reading, needles), (_squeezed(reading), squeezed), (_with_blanks(reading), blank)):
            if one is not None:
                found += [(one.starts[first], one.ends[last - 1]) for first, last in _hits(one.text, alike)]
        deeper = _decoded(reading)
        if deeper is None:
            break
        reading = deeper
    return found


@lru_cache(maxsize=8 * MOST)
def _without_blanks_in(needle: _Needle) -> _Needle | None:
    """As it reads in a text without blanks; None for short ones, which such a text may hold by chance."""
    if len(needle.text) < _LONG or needle.alone:
        return None
    return replace(needle, text="".join(needle.text.split()), halves=False, base64=False)


@lru_cache(maxsize=8 * MOST)
def _with_blanks_in(needle: _Needle) -> _Needle:
    return replace(needle, text=needle.text.replace("+", " "))


def _hits(text: str, needles: list[_Needle]) -> Iterator[tuple[int, int]]:
    lowered = _lower(text)
    ends = {len(lowered.rstrip(" \"'}])>"))}
    for mark in _ENDINGS:
        ends |= {match.start() for match in islice(re.finditer(re.escape(mark), lowered), _MOST_CUTS)}
    for needle in needles:
        if needle.halves and len(needle.text) >= _LONG:
            yield from _halves(lowered, needle.text)
        else:
            yield from _whole(lowered, needle)
        if needle.halves:
            yield from _cut_off(lowered, needle.text, ends)


def _whole(text: str, needle: _Needle) -> Iterator[tuple[int, int]]:
    size, first = len(needle.text), text.find(needle.text)
    while first >= 0:
        last = first + size
        start = first
        if needle.base64:
            while start > 0 and text[start - 1] in _BASE64:
                start -= 1
            while last < len(text) and text[last] in _BASE64:
                last += 1
        apart = not (text[first - 1 : first].isalnum() or text[last : last + 1].isalnum())
        if apart or not needle.alone:
            yield start, last
        first = text.find(needle.text, last)


def _halves(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """The secret, or the first or the last half of it and what continues it."""
    size = len(secret)
    half = max(8, -(-size // 2))
    head, tail = secret[:half], secret[-half:]
    first = text.find(head)
    while first >= 0:
        last, next_one = first + half, half
        while next_one < size and last < len(text) and text[last] == secret[next_one]:
            last, next_one = last + 1, next_one + 1
        yield first, last
        first = text.find(head, last)
    first = text.find(tail)
    while first >= 0:
        start, previous = first, size - half - 1
        while previous >= 0 and start > 0 and text[start - 1] == secret[previous]:
            start, previous = start - 1, previous - 1
        yield start, first + half
        first = text.find(tail, first + half)


def _cut_off(text: str, secret: str, ends: set[int]) -> Iterator[tuple[int, int]]:
    """The beginning of the secret where the text ends, or where somebody cut it."""
    shortest = max(4, min(6, len(secret) // 2))
    for end in ends:
        before = text[max(0, end - len(secret)) : end]
        if secret[:shortest] not in before:
            continue
        size = next(
            (n for n in range(min(len(secret), len(before)), shortest - 1, -1) if before.endswith(secret[:n])), 0
        )
        if size:
            yield end - size, end


def _squeezed(reading: _Reading) -> _Reading | None:
    """Without blanks and line ends, by which mails and pages break long lines."""
    kept = [number for number, character in enumerate(reading.text) if not character.isspace()]
    if len(kept) == len(reading.text):
        return None
    starts, ends = [reading.starts[n] for n in kept], [reading.ends[n] for n in kept]
    return _Reading("".join(reading.text[n] for n in kept), starts, ends)


def _with_blanks(reading: _Reading) -> _Reading | None:
    """With blanks for pluses, as forms encode them."""
    if "+" not in reading.text:
        return None
    return _Reading(reading.text.replace("+", " "), reading.starts, reading.ends)


def _decoded(reading: _Reading) -> _Reading | None:
    """One encoding undone; None when there is none."""
    text, parts, starts, ends, at = reading.text, [], [], [], 0
    for match in _ENCODED.finditer(text):
        plain = _plain(match[0])
        if plain is None:
            continue
        first, last = match.span()
        parts.append(text[at:first])
        starts += reading.starts[at:first]
        ends += reading.ends[at:first]
        position = first
        for character, size in plain:
            parts.append(character)
            starts.append(reading.starts[position])
            ends.append(reading.ends[position + size - 1])
            position += size
        at = last
    if not at:
        return None
    parts.append(text[at:])
    return _Reading("".join(parts), starts + reading.starts[at:], ends + reading.ends[at:])


def _plain(encoded: str) -> list[tuple[str, int]] | None:
    """Each character that is meant, and how many characters of the text mean it."""
    if encoded[0] == "&":
        plain = unescape(encoded)
        return [(plain, len(encoded))] if len(plain) == 1 else None
    if encoded[0] == "%":
        return _of_bytes(bytes.fromhex(encoded.replace("%", "")), 3)
    if encoded[1] == "x":
        return _of_bytes(bytes.fromhex(encoded.replace("\\x", "")), 4)
    if encoded[1] == "u":
        units = b"".join(bytes.fromhex(unit) for unit in encoded.split("\\u")[1:])
        text = units.decode("utf-16-be", "replace")
        return [(one, 12 if ord(one) > 0xFFFF else 6) for one in text]
    return [(_SIMPLE.get(encoded[1], encoded[1]), 2)]


def _of_bytes(raw: bytes, width: int) -> list[tuple[str, int]]:
    try:
        return [(one, width * len(one.encode())) for one in raw.decode()]
    except UnicodeDecodeError:
        return [(chr(one), width) for one in raw]


def _without(text: str, places: list[tuple[int, int]]) -> str:
    merged: list[list[int]] = []
    for first, last in sorted(places):
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    parts, at = [], 0
    for first, last in merged:
        parts += [text[at:first], HIDDEN]
        at = last
    return "".join([*parts, text[at:]])
