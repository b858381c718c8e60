"""Failures as people read them: a sentence on standard error and an exit code.

0 all is well. 1 it did not work, and the message says why. 2 the command or its input cannot be used. 3 labels are
missing yet: nothing is wrong, only early. 4 something outside did not answer: try again later. 130 interrupted.
"""

from __future__ import annotations

import sys
import traceback

from labelwright.masking import mask

FAILED, MISUSED, EARLY, UNAVAILABLE, INTERRUPTED = 1, 2, 3, 4, 130


class CannotRun(ValueError):
    """What was asked for cannot be done this way: the message says what to give instead."""


def tell(error: BaseException) -> int:
    """Print the failure; answers the exit code. Only a mistake of ours comes with a traceback."""
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        print("\nInterrupted. Nothing is lost: run the same again to go on.", file=sys.stderr)
        return INTERRUPTED
    code = exit_code(error)
    if code is None:
        print(mask("".join(traceback.format_exception(error))), end="", file=sys.stderr)
        print("labelwright: this is a mistake in Labelwright; please report it with the lines above.", file=sys.stderr)
        return FAILED
    print(f"labelwright: {mask(_words(error))}", file=sys.stderr)
    return code


def _words(error: BaseException) -> str:
    if _is_foreign(error):
        return _words_of_foreign(error)
    if not _is_usage(error):
        return str(error)
    context = getattr(error, "ctx", None)
    hint = f"\nTry: {context.command_path} --help" if context else ""
    return f"{error.format_message()}{hint}"  # type: ignore[attr-defined]


def _is_foreign(error: BaseException) -> bool:
    """Whether a library says that something is not there: the ledger's database, or Prefect's API."""
    return isinstance(error, tuple(kind for kind, _ in _of_libraries()))


def _words_of_foreign(error: BaseException) -> str:
    lower = getattr(error, "orig", None)
    if lower is not None:
        return (
            f"the ledger's database refuses: {lower}. Nothing is lost: see to it (is the disk full?), then run the "
            "same again"
        )
    return f"Prefect's API broke off ({type(error).__name__}). Nothing is lost: run the same again"


def _of_libraries() -> list[tuple[type[BaseException], int]]:
    """Those that were loaded: nothing is imported to find out what did not happen."""
    names = (("sqlalchemy.exc", "OperationalError"), ("httpx", "HTTPError"))
    return [(getattr(sys.modules[module], name), UNAVAILABLE) for module, name in names if module in sys.modules]


def _is_usage(error: BaseException) -> bool:
    """Whether it is the command line's own complaint. Typer brings its own Click, so no class tells."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def exit_code(error: BaseException) -> int | None:
    """The exit code for a failure that was foreseen, else None."""
    if _is_usage(error):
        return MISUSED
    for kind, code in _foreseen():
        if isinstance(error, kind):
            return code
    return None


def _foreseen() -> list[tuple[type[BaseException], int]]:
    from labelwright.campaign_yaml import SpecError
    from labelwright.datasets import GateRefused, NotDelivered, SpoolDamaged
    from labelwright.ingest import SourceError
    from labelwright.ledger import LedgerError
    from labelwright.local import NotStarted
    from labelwright.platforms import PlatformError, PlatformUnavailable
    from labelwright.settings import SettingsError
    from labelwright.stores.protocol import ContentMismatch, DatasetGone, ReceiptDamaged, UnsafeDataset

    found: list[tuple[type[BaseException], int]] = [
        (SpecError, MISUSED),
        (SettingsError, MISUSED),
        (CannotRun, MISUSED),
        (PlatformUnavailable, UNAVAILABLE),
        (NotStarted, UNAVAILABLE),
        (PlatformError, FAILED),
        (LedgerError, FAILED),
        (SourceError, FAILED),
        (GateRefused, FAILED),
        (NotDelivered, FAILED),
        (SpoolDamaged, FAILED),
        (ContentMismatch, FAILED),
        (UnsafeDataset, FAILED),
        (DatasetGone, FAILED),
        (ReceiptDamaged, FAILED),
    ]
    found += _of_libraries()
    if "labelwright.tasks.sweeping" in sys.modules:
        from labelwright.tasks.campaigns import NotLabeledYet
        from labelwright.tasks.sweeping import LabelsLate

        found += [(NotLabeledYet, EARLY), (LabelsLate, EARLY)]
    return found
