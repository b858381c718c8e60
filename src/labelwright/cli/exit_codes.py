"""Prints failures as one sentence on standard error, with their error codes, and maps them to exit codes.

0 success. 1 it did not work, and the message says why. 2 the command or its input cannot be used. 3 labels are missing
yet: nothing is wrong, only early. 4 something outside did not answer: try again later. 130 interrupted (Ctrl+C), 143
ended by SIGTERM, 129 by SIGHUP, 141 the reader of the output closed it.
"""

from __future__ import annotations

import errno
import sys
import tempfile
import traceback

from labelwright.domain.errors import error_code_of, with_code
from labelwright.local import interruptions
from labelwright.local.interruptions import INTERRUPTED
from labelwright.local.streams import OutputLost, discard
from labelwright.network.deadlines import OutOfTime
from labelwright.security.masking import mask

FAILED, MISUSED, EARLY, UNAVAILABLE, NO_READER = 1, 2, 3, 4, 141

MISTAKE = "LW1099"
"""Code of every failure that is not foreseen."""

_EARLY = (
    ("labelwright.campaigns.refusals", "NotLabeledYet"),
    ("labelwright.tasks.campaign.waiting", "LabelsLate"),
)
"""Module and name of the errors for labels that are not there yet."""

_AGAIN = "Nothing is lost: run the same command again, and it continues where it stopped"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNUSABLE_PATH = (errno.ENAMETOOLONG, errno.ELOOP)
_SHOWN_OF_PATH = 120
_DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)


def print_error(error: BaseException) -> int:
    """Prints the failure and returns the exit code. Only an unforeseen error is printed with its traceback."""
    signalled = interruptions.exit_code()
    if signalled is not None or isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        # A signal may surface as any exception: from a server that received it too, or a half-imported library.
        by = interruptions.received.name if signalled not in (None, INTERRUPTED) else ""  # type: ignore[union-attr]
        event = f"Ended by {by} before it was done" if by else "Interrupted"
        print(f"{event}. {_AGAIN} (labelwright status shows where).", file=sys.stderr)
        return signalled or INTERRUPTED
    if isinstance(error, OutputLost):
        discard(1)  # otherwise Python flushes once more at exit, and complains
        if error.reader_is_gone:
            return NO_READER
    code = exit_code(error)
    if code is None:
        print(mask("".join(traceback.format_exception(error))), end="", file=sys.stderr)
        message = "this is a mistake in Labelwright; please report it with the lines above"
        print(f"labelwright: {with_code(message, MISTAKE)}", file=sys.stderr)
        return FAILED
    print(f"labelwright: {with_code(mask(_error_message(error)), error_code(error))}", file=sys.stderr)
    return code


def error_code(error: BaseException) -> str:
    """Returns the code of any failure, also of those that other libraries raise."""
    others = (
        (_is_usage(error), "LW1001"),
        (_is_database_fault(error), "LW2003"),
        (_is_prefect_fault(error), "LW6004"),
        (isinstance(error, MemoryError), "LW1009"),
        (_has_number(error, _UNUSABLE_PATH), "LW1010"),
        (_has_number(error, _FULL), "LW1006"),
        (_has_number(error, _DENIED), "LW1007"),
        (isinstance(error, OSError) and error.errno is not None, "LW1008"),
    )
    return error_code_of(error) or next((code for applies, code in others if applies), MISTAKE)


def _has_number(error: BaseException, numbers: tuple[int, ...]) -> bool:
    return isinstance(error, OSError) and error.errno in numbers


def exit_code(error: BaseException) -> int | None:
    """Returns the exit code of a foreseen failure, else None."""
    if _is_usage(error) or _has_number(error, _UNUSABLE_PATH):
        return MISUSED
    if isinstance(error, OutputLost):
        return FAILED
    if _is_database_fault(error):
        return UNAVAILABLE
    for error_type, code in _foreseen():
        if isinstance(error, error_type):
            return code
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
        return FAILED
    return FAILED if error_code_of(error) else None


def _error_message(error: BaseException) -> str:
    if _is_database_fault(error):
        return (
            f"the ledger's database refuses: {getattr(error, 'orig', error)}. Nothing is lost: fix it (is the disk "
            "full?), then run the same again"
        )
    if _is_prefect_fault(error):
        return f"Prefect's API broke off ({type(error).__name__}). Nothing is lost: run the same again"
    if isinstance(error, OSError):
        return _os_error_message(error)
    if isinstance(error, MemoryError):
        return f"this machine has no more memory for it. {_AGAIN}"
    if not _is_usage(error):
        return str(error)
    context = getattr(error, "ctx", None)
    hint = f"\nTry: {context.command_path} --help" if context else ""
    return f"{error.format_message()}{hint}"  # type: ignore[attr-defined]


def _os_error_message(error: OSError) -> str:
    """What is wrong with a disk, a folder or another part of this machine, and what to do about it."""
    if isinstance(error, OutOfTime):
        return f"{str(error) or 'a server did not answer in time'}. {_AGAIN}"
    if error.errno in _UNUSABLE_PATH:
        shown = str(error.filename)
        if len(shown) > _SHOWN_OF_PATH:
            shown = f"{shown[:_SHOWN_OF_PATH]}... ({len(shown):,} characters)"
        return f"{shown}: {error.strerror}. Give another path"
    path = f"{error.filename}: " if error.filename is not None else ""
    fault = f"{path}{error.strerror or type(error).__name__}"
    if error.errno in _FULL:
        where = "there" if path else f"where the home folder, the datasets and {_temporary_folder()} are"
        return f"{fault}. Make room {where}. {_AGAIN}"
    if error.errno in _DENIED:
        return f"{fault}. Give this user the right, or name another place (LABELWRIGHT_HOME, export.folder, TMPDIR)"
    return f"{fault}. {_AGAIN}"


def _temporary_folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:
        return "the temporary folder (TMPDIR)"


def _is_database_fault(error: BaseException) -> bool:
    """Whether the database is full, read-only, damaged or unreachable, or this user lacks a right.

    An error in a statement (a constraint, a syntax error) is a mistake in Labelwright and no such fault.
    """
    exceptions = sys.modules.get("sqlalchemy.exc")
    if exceptions is None or not isinstance(error, exceptions.DatabaseError):
        return False
    if isinstance(error, exceptions.OperationalError | exceptions.InternalError):
        return True
    if type(error) is exceptions.DatabaseError:
        return True
    return getattr(error.orig, "sqlstate", None) in ("42501", "25006")  # no right, read-only transaction


def _is_prefect_fault(error: BaseException) -> bool:
    """Whether it is an error of httpx, which only Prefect's client uses. Does not import httpx."""
    httpx = sys.modules.get("httpx")
    return httpx is not None and isinstance(error, httpx.HTTPError)


def _is_usage(error: BaseException) -> bool:
    """Whether it is a usage error of the command line. Typer has its own copy of Click, so no class is compared."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _foreseen() -> list[tuple[type[BaseException], int]]:
    """Error types and their exit codes; a subclass comes before its base."""
    from labelwright.campaigns.changes import CampaignChanged
    from labelwright.campaigns.yaml_loader import SpecError
    from labelwright.datasets import NotDelivered, SpoolDamaged, ValidationFailed
    from labelwright.domain.errors import CannotRun, NothingDone
    from labelwright.ingest import SourceError
    from labelwright.ledger import LedgerError
    from labelwright.local.servers import NotStarted
    from labelwright.platforms import PlatformError, PlatformUnavailable
    from labelwright.settings import SettingsError
    from labelwright.stores.protocol import ContentMismatch, DatasetGone, ReceiptDamaged, UnsafeDataset

    codes: list[tuple[type[BaseException], int]] = [
        (SpecError, MISUSED),
        (SettingsError, MISUSED),
        (NothingDone, FAILED),
        (CannotRun, MISUSED),
        (CampaignChanged, MISUSED),
        (PlatformUnavailable, UNAVAILABLE),
        (NotStarted, UNAVAILABLE),
        (OutOfTime, UNAVAILABLE),
        (PlatformError, FAILED),
        (LedgerError, FAILED),
        (SourceError, FAILED),
        (ValidationFailed, FAILED),
        (NotDelivered, FAILED),
        (SpoolDamaged, FAILED),
        (ContentMismatch, FAILED),
        (UnsafeDataset, FAILED),
        (DatasetGone, FAILED),
        (ReceiptDamaged, FAILED),
    ]
    if "httpx" in sys.modules:
        codes.append((sys.modules["httpx"].HTTPError, UNAVAILABLE))
    for module, name in _EARLY:
        if module in sys.modules:  # imported with the flows, and only then raised
            codes.append((getattr(sys.modules[module], name), EARLY))
    return codes
