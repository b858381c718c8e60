"""How deep a JSON text is nested, before anything parses it: parsers recurse, and deep texts end their stack."""

from __future__ import annotations

import re

import numpy as np

# Matches at every quote, up to the end where a text is not closed: it never tries a second time from the same place.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_OPENING = np.frombuffer(b"[{", np.uint8)


def depth_of(body: bytes | bytearray) -> int:
    """How many lists and objects are inside each other at most. Brackets in texts do not count."""
    brackets = np.frombuffer(_STRING.sub(b"", body).translate(None, _NOT_BRACKETS), np.uint8)
    steps = np.where(np.isin(brackets, _OPENING), 1, -1)
    return int(steps.cumsum(dtype=np.int32).max(initial=0))
