"""Which names of labels, attributes and values a platform stores as they are: each platform's entry declares it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labelwright.domain import LabelSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNames:
    """Limits of names, in characters; None where none is known."""

    longest: int | None = None
    longest_attribute: int | None = None
    longest_value: int | None = None
    longest_default: int | None = None
    printable: bool = False
    """Only characters that can be printed: no tabs, no invisible ones, no blanks but the plain one."""

    def faults(self, schema: LabelSchema) -> Iterator[str]:
        """A sentence for every name that the platform would refuse or change, without the platform's name."""
        for label in schema:
            yield from self._faults(f"label '{_short(label.name)}'", label.name, self.longest)
            for language, name in label.translations.items():
                yield from self._faults(f"label '{_short(label.name)}', translation '{language}'", name, self.longest)
            for attribute in label.attributes:
                where = f"label '{_short(label.name)}', attribute '{_short(attribute.name)}'"
                yield from self._faults(where, attribute.name, self.longest_attribute)
                for value in attribute.values:
                    yield from self._faults(f"{where}, value '{_short(value)}'", value, self.longest_value)
                length = len(attribute.default or "")
                if self.longest_default is not None and length > self.longest_default:
                    yield f"{where}: its default has {length:,} characters; at most {self.longest_default:,}"

    def _faults(self, where: str, text: str, longest: int | None) -> Iterator[str]:
        if longest is not None and len(text) > longest:
            yield f"{where}: {len(text):,} characters; at most {longest:,}"
        if self.printable and not text.isprintable():
            shown = "".join(character for character in text if not character.isprintable()).encode("unicode_escape")
            yield f"{where}: holds a character that cannot be printed ({shown.decode()})"


ANY_NAME = LabelNames()


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
