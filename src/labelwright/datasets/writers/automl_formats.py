"""The kinds of images that AutoML for Images reads, and the `format` of its JSON Lines."""

from __future__ import annotations

_SUFFIXES = {"JPEG": ("jpg", "jpeg"), "PNG": ("png",), "BMP": ("bmp",), "TIFF": ("tiff", "tif")}
"""By the format of the content, Pillow's name: the values of `format` that AutoML knows, the usual one first."""

READ_BY_AUTOML = frozenset(_SUFFIXES)
"""Formats of images, by Pillow's names."""

FORMATS_FOR_AUTOML = frozenset({"jsonl", "mltable"})
"""Export formats, as campaign files name them, that AutoML reads."""


def automl_format(content: str, name: str) -> str:
    """The value of `format` for an image, by its content; by the ending of its name where the content is unknown.

    Of two values for one content, such as `jpg` and `jpeg`, it is the name's own ending, if that is one of them.
    """
    return format_with(content, ending_of(name))


def format_with(content: str, ending: str) -> str:
    """As `automl_format`, for the ending of a name."""
    known = _SUFFIXES.get(content, (content.lower(),) if content else (ending,))
    return ending if ending in known else known[0]


def ending_of(name: str) -> str:
    """What is behind the last point of a file's name, in lower case; empty when there is none."""
    stem, _, ending = name.rpartition(".")
    return ending.lower() if stem and "/" not in ending else ""
