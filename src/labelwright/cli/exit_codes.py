"""Failures as people read them: a sentence on standard error and an exit code.

0 all is well. 1 it did not work, and the message says why. 2 the command or its input cannot be used. 3 labels are
missing yet: nothing is wrong, only early. 4 something outside did not answer: try again later. 130 interrupted
(Ctrl+C), 143 ended by SIGTERM, 129 by SIGHUP, 141 whoever read the output closed it.
"""

from __future__ import annotations

import errno
import sys
import tempfile
import traceback

from labelwright.domain.errors import CannotRun
from labelwright.local import interruptions
from labelwright.local.streams import OutputLost, discard
from labelwright.security.masking import mask

FAILED, MISUSED, EARLY, UNAVAILABLE, INTERRUPTED, NO_READER = 1, 2, 3, 4, 130, 141

_AGAIN = "Nothing is lost: run the same command again, and it goes on where it was"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)


def tell(error: BaseException) -> int:
    """Print the failure; answers the exit code. Only a mistake of ours comes with a traceback."""
    signalled = interruptions.exit_code()
    if signalled is not None or isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        # What a signal breaks off may end in any exception: of a server that got it too, of a half-imported library.
        by = interruptions.received.name if signalled not in (None, INTERRUPTED) else ""  # type: ignore[union-attr]
        what = f"Ended by {by} before it was done" if by else "Interrupted"
        print(f"{what}. {_AGAIN} (labelwright status shows where).", file=sys.stderr)
        return signalled or INTERRUPTED
    if isinstance(error, OutputLost):
        discard(1)  # else Python tries once more at its end, and complains
        if error.reader_is_gone:
            return NO_READER
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
    if isinstance(error, OSError):
        return words_of_fault(error)
    if isinstance(error, MemoryError):
        return f"this machine has no more memory for it. {_AGAIN}"
    if not _is_usage(error):
        return str(error)
    context = getattr(error, "ctx", None)
    hint = f"\nTry: {context.command_path} --help" if context else ""
    return f"{error.format_message()}{hint}"  # type: ignore[attr-defined]


def words_of_fault(error: OSError) -> str:
    """What is wrong with a disk, a folder or another part of this machine, and what to do about it."""
    place = f"{error.filename}: " if error.filename is not None else ""
    says = f"{place}{error.strerror or type(error).__name__}"
    if error.errno in _FULL:
        where = "there" if place else f"where the home folder, the datasets and {_temporary_folder()} are"
        return f"{says}. Make room {where}. {_AGAIN}"
    if error.errno in _DENIED:
        return f"{says}. Give this user the right, or name another place (LABELWRIGHT_HOME, export.folder, TMPDIR)"
    return f"{says}. {_AGAIN}"


def _temporary_folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:
        return "the temporary folder (TMPDIR)"


def _is_foreign(error: BaseException) -> bool:
    """Whether a library says that something is not there: the ledger's database, or Prefect's API."""
    return _is_database_fault(error) or isinstance(error, tuple(kind for kind, _ in _of_libraries()))


def _is_database_fault(error: BaseException) -> bool:
    """Whether the database itself refuses: full, read-only, damaged, away, or this user lacks a right.

    What it says of a statement that is wrong (a constraint, a syntax) is a mistake of ours and no fault of it.
    """
    library = sys.modules.get("sqlalchemy.exc")
    if library is None or not isinstance(error, library.DatabaseError):
        return False
    if isinstance(error, library.OperationalError | library.InternalError) or type(error) is library.DatabaseError:
        return True
    return getattr(error.orig, "sqlstate", None) in ("42501", "25006")  # no right, read-only transaction


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
    names = (("httpx", "HTTPError"),)
    return [(getattr(sys.modules[module], name), UNAVAILABLE) for module, name in names if module in sys.modules]


def _is_usage(error: BaseException) -> bool:
    """Whether it is the command line's own complaint. Typer brings its own Click, so no class tells."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def exit_code(error: BaseException) -> int | None:
    """The exit code for a failure that was foreseen, else None."""
    if _is_usage(error):
        return MISUSED
    if isinstance(error, OutputLost):
        return FAILED
    if _is_database_fault(error):
        return UNAVAILABLE
    for kind, code in _foreseen():
        if isinstance(error, kind):
            return code
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
        return FAILED
    return None


def _foreseen() -> list[tuple[type[BaseException], int]]:
    from labelwright.campaigns.yaml_loader import SpecError
    from labelwright.datasets import GateRefused, NotDelivered, SpoolDamaged
    from labelwright.ingest import SourceError
    from labelwright.ledger import LedgerError
    from labelwright.local.servers import NotStarted
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
    if "labelwright.tasks.campaign.waiting" in sys.modules:
        from labelwright.tasks.campaign.lifecycle import NotLabeledYet
        from labelwright.tasks.campaign.waiting import LabelsLate

        found += [(NotLabeledYet, EARLY), (LabelsLate, EARLY)]
    return found
