"""Measures the nesting of a JSON text before it is parsed: deep nesting overflows the stack of recursive parsers."""

from __future__ import annotations

import re

import numpy as np

# Matches at every quote, up to the end where a text is not closed: it never tries a second time from the same place.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_OPENING = np.frombuffer(b"[{", np.uint8)


def depth_of(body: bytes | bytearray) -> int:
    """The deepest nesting of lists and objects. Brackets in strings do not count."""
    brackets = np.frombuffer(_STRING.sub(b"", body).translate(None, _NOT_BRACKETS), np.uint8)
    steps = np.where(np.isin(brackets, _OPENING), 1, -1)
    return int(steps.cumsum(dtype=np.int32).max(initial=0))
