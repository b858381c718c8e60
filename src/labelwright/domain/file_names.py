"""Names of image files as they come from the field: what to know of a name, and how to show it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

_WINDOWS_CHARACTERS = re.compile(r'[<>:"|?*]')
_WINDOWS_NAMES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_JOINERS = "\u200c\u200d"
"""Invisible characters that scripts and emoji need: zero width non-joiner and joiner."""


def normal_name(name: str) -> str:
    """The name as it is compared: Unicode NFC, forward slashes."""
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def name_among(name: str, names: Container[str]) -> str:
    """The one of the campaign's names that a file, such as a COCO file, means; the name itself when there is none."""
    return name if name in names else normal_name(name)


def name_note(source_name: str) -> str:
    """What to know of a name that is taken as it is; empty for most names. It depends on the name alone."""
    notes = []
    characters = "".join(dict.fromkeys(_WINDOWS_CHARACTERS.findall(source_name)))
    parts = normal_name(source_name).split("/")
    reserved = next((part for part in parts if _WINDOWS_NAMES.fullmatch(part)), "")
    invisible = dict.fromkeys(filter(_is_invisible, source_name))
    if characters:
        notes.append(f"Windows has no {' '.join(characters)} in file names")
    if reserved:
        notes.append(f"Windows reserves '{visible(reserved)}'")
    if invisible:
        listed = ", ".join(f"U+{ord(character):04X}" for character in invisible)
        notes.append(f"the invisible {listed} may show it as another name")
    if "\\" in source_name:
        notes.append("its backslash counts as a slash on the platform")
    return "; ".join(notes)


def visible(text: str) -> str:
    """The text with invisible characters and control characters escaped, so that it is read in the order it has."""
    return "".join(_escape(character) if _is_invisible(character) else character for character in text)


def escaped(text: str) -> str:
    """The text in ASCII, so that names are told apart that look the same: `Ku\\u0308ste.jpg`, `K\\u00fcste.jpg`."""
    if text.isascii():
        return visible(text)
    return "".join(_escape(character) if not character.isascii() else visible(character) for character in text)


def _is_invisible(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in ("Cf", "Cc", "Cs", "Zl", "Zp")


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
