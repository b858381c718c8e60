"""Finds secrets in texts, however they are encoded.

A secret becomes patterns (`patterns_of`): as it is, without its escapes, in hexadecimal digits, in base64. A text is
searched as it is, without blanks, and with its encodings undone one after the other (`find_spans`); the spans are
those of the original text.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from html import unescape
from itertools import islice

_MIN_FOR_HALVES = 12
"""Characters from which half of a secret is recognized, too."""
_MIN_INSIDE_WORDS = 8
"""Characters from which a word of letters, or a number, is masked within others, too."""
_MAX_CUTS = 100
"""Truncation marks of a kind that are considered in a text; one with more of them is not a sentence."""
_TRUNCATION_MARKS = ("...", "…", "[truncated]", "<truncated>", "(truncated)")
_BASE64_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789+/=_-")


_CACHED_PATTERNS = 8000
"""A secret has about eight patterns, and `masking` remembers a thousand passing secrets."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way in which a secret is written, in lower case."""

    text: str
    alone: bool = False
    """Masked only where no letter or digit is next to it: short words would garble every sentence."""
    halves: bool = False
    """Half of it, or its beginning at the end of a text, is masked too."""
    base64: bool = False
    """The whole run of base64 around it is masked."""


# Patterns of a secret


def patterns_of(secret: str) -> Iterator[Pattern]:
    """The ways in which a secret may be written."""
    if len(secret) < 2:
        return  # a single letter is masked where a field's name says that it is a password
    word = (secret.isalpha() or secret.isdecimal()) and len(secret) < _MIN_INSIDE_WORDS
    alone = word or len(secret) < 4
    decoded: _DecodedText | None = _undecoded(secret)
    while decoded is not None:  # a secret with an escape in it is read without it, too
        yield Pattern(_lower(decoded.text), alone=alone, halves=not alone and len(decoded.text) >= 6)
        decoded = _decode_once(decoded)
    raw = secret.encode("utf-8", "surrogatepass")
    if not secret.isascii():  # as it reads when decoded with the wrong encoding
        yield Pattern(_lower(raw.decode("latin-1")), halves=True)
        with suppress(UnicodeEncodeError):
            yield Pattern(_lower(secret.encode("latin-1").decode("utf-8", "replace")))
    if len(raw) >= 4:
        yield Pattern(raw.hex())
    for core in _base64_cores(raw):
        yield Pattern(core.lower(), base64=True)


def _base64_cores(raw: bytes) -> Iterator[str]:
    """The part of a base64 text that these bytes alone determine, for each of the three alignments."""
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


# Spans in a text


@dataclass(frozen=True, slots=True)
class _DecodedText:
    """A text after decoding, with the start and end in the original of each of its characters."""

    text: str
    starts: list[int]
    ends: list[int]


def _undecoded(text: str) -> _DecodedText:
    return _DecodedText(text, list(range(len(text))), list(range(1, len(text) + 1)))


_ENCODED = re.compile(
    r"(?:%[0-9a-fA-F]{2})+|(?:\\u[0-9a-fA-F]{4})+|(?:\\x[0-9a-fA-F]{2})+|\\[\\\"'/bfnrt]|"
    r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
)
_BACKSLASH_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_MAX_DEPTH = 4
"""Encodings within encodings that are undone."""


def find_spans(text: str, patterns: Iterable[Pattern]) -> list[tuple[int, int]]:
    """Start and end of every secret in the text."""
    patterns = list(patterns)
    dense = list(filter(None, map(_dense_pattern, patterns)))
    blank = [_blank_pattern(pattern) for pattern in patterns] if any(mark in text for mark in "+%&\\") else []
    decoded = _undecoded(text)
    spans = []
    for _ in range(_MAX_DEPTH):
        for variant, fitting in (
            (decoded, patterns),
            (_without_whitespace(decoded), dense),
            (_with_blanks_for_pluses(decoded), blank),
        ):
            if variant is not None:
                hits = _find_pattern_spans(variant.text, fitting)
                spans += [(variant.starts[first], variant.ends[last - 1]) for first, last in hits]
        decoded_again = _decode_once(decoded)
        if decoded_again is None:
            break
        decoded = decoded_again
    return spans


@lru_cache(maxsize=_CACHED_PATTERNS)
def _dense_pattern(pattern: Pattern) -> Pattern | None:
    """The pattern for a text without whitespace; None for a short one, which may occur there by chance."""
    if len(pattern.text) < _MIN_FOR_HALVES or pattern.alone:
        return None
    return replace(pattern, text="".join(pattern.text.split()), halves=False, base64=False)


@lru_cache(maxsize=_CACHED_PATTERNS)
def _blank_pattern(pattern: Pattern) -> Pattern:
    return replace(pattern, text=pattern.text.replace("+", " "))


def _find_pattern_spans(text: str, patterns: list[Pattern]) -> Iterator[tuple[int, int]]:
    lowered = _lower(text)
    ends = {len(lowered.rstrip(" \"'}])>"))}
    for mark in _TRUNCATION_MARKS:
        ends |= {match.start() for match in islice(re.finditer(re.escape(mark), lowered), _MAX_CUTS)}
    for pattern in patterns:
        if pattern.halves and len(pattern.text) >= _MIN_FOR_HALVES:
            yield from _find_halves(lowered, pattern.text)
        else:
            yield from _find_whole(lowered, pattern)
        if pattern.halves:
            yield from _find_truncated(lowered, pattern.text, ends)


def _find_whole(text: str, pattern: Pattern) -> Iterator[tuple[int, int]]:
    size, first = len(pattern.text), text.find(pattern.text)
    while first >= 0:
        last = first + size
        start = first
        if pattern.base64:
            while start > 0 and text[start - 1] in _BASE64_CHARACTERS:
                start -= 1
            while last < len(text) and text[last] in _BASE64_CHARACTERS:
                last += 1
        is_separate = not (text[first - 1 : first].isalnum() or text[last : last + 1].isalnum())
        if is_separate or not pattern.alone:
            yield start, last
        first = text.find(pattern.text, last)


def _find_halves(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """The secret, or its first or last half with as much of the rest as matches."""
    size = len(secret)
    half = max(8, -(-size // 2))
    head, tail = secret[:half], secret[-half:]
    first = text.find(head)
    while first >= 0:
        last, position = first + half, half
        while position < size and last < len(text) and text[last] == secret[position]:
            last, position = last + 1, position + 1
        yield first, last
        first = text.find(head, last)
    first = text.find(tail)
    while first >= 0:
        start, previous = first, size - half - 1
        while previous >= 0 and start > 0 and text[start - 1] == secret[previous]:
            start, previous = start - 1, previous - 1
        yield start, first + half
        first = text.find(tail, first + half)


def _find_truncated(text: str, secret: str, ends: set[int]) -> Iterator[tuple[int, int]]:
    """The beginning of the secret at the end of the text, or before a truncation mark."""
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


def _without_whitespace(decoded: _DecodedText) -> _DecodedText | None:
    """Without blanks and line ends, by which mails and pages break long lines."""
    indexes = [number for number, character in enumerate(decoded.text) if not character.isspace()]
    if len(indexes) == len(decoded.text):
        return None
    starts, ends = [decoded.starts[n] for n in indexes], [decoded.ends[n] for n in indexes]
    return _DecodedText("".join(decoded.text[n] for n in indexes), starts, ends)


def _with_blanks_for_pluses(decoded: _DecodedText) -> _DecodedText | None:
    """With blanks for pluses, as forms encode them."""
    if "+" not in decoded.text:
        return None
    return _DecodedText(decoded.text.replace("+", " "), decoded.starts, decoded.ends)


def _decode_once(decoded: _DecodedText) -> _DecodedText | None:
    """One encoding undone; None when there is none."""
    text, parts, starts, ends, at = decoded.text, [], [], [], 0
    for match in _ENCODED.finditer(text):
        plain = _decode_escape(match[0])
        if plain is None:
            continue
        first, last = match.span()
        parts.append(text[at:first])
        starts += decoded.starts[at:first]
        ends += decoded.ends[at:first]
        position = first
        for character, size in plain:
            parts.append(character)
            starts.append(decoded.starts[position])
            ends.append(decoded.ends[position + size - 1])
            position += size
        at = last
    if not at:
        return None
    parts.append(text[at:])
    return _DecodedText("".join(parts), starts + decoded.starts[at:], ends + decoded.ends[at:])


def _decode_escape(encoded: str) -> list[tuple[str, int]] | None:
    """Each decoded character, with the number of characters that encode it."""
    if encoded[0] == "&":
        plain = unescape(encoded)
        return [(plain, len(encoded))] if len(plain) == 1 else None
    if encoded[0] == "%":
        return _decode_bytes(bytes.fromhex(encoded.replace("%", "")), 3)
    if encoded[1] == "x":
        return _decode_bytes(bytes.fromhex(encoded.replace("\\x", "")), 4)
    if encoded[1] == "u":
        units = b"".join(bytes.fromhex(unit) for unit in encoded.split("\\u")[1:])
        text = units.decode("utf-16-be", "replace")
        return [(character, 12 if ord(character) > 0xFFFF else 6) for character in text]
    return [(_BACKSLASH_ESCAPES.get(encoded[1], encoded[1]), 2)]


def _decode_bytes(raw: bytes, width: int) -> list[tuple[str, int]]:
    try:
        return [(character, width * len(character.encode())) for character in raw.decode()]
    except UnicodeDecodeError:
        return [(chr(character), width) for character in raw]
