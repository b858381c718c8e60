"""Errors that several packages raise and the command line turns into exit codes, and the codes of all errors.

Every error class that a person can meet has an `error_code` such as LW1234. `labelwright.domain.error_table` says what
each code means. A code is never given to another error, also when its error is gone.
"""

from __future__ import annotations

import re
from typing import Self

_CODE = re.compile(r"LW\d{4}")
_ENDS_WITH_CODE = re.compile(r"\[LW\d{4}\]\s*$")


class CannotRun(ValueError):
    """The request cannot be carried out as given. The message says what to change."""

    error_code = "LW1002"

    @classmethod
    def because_of(cls, error: BaseException) -> Self:
        """Returns an error with the message and the code of another one."""
        refusal = cls(str(error))
        refusal.error_code = error_code_of(error) or cls.error_code
        return refusal


class NothingDone(CannotRun):
    """The command was understood and changed nothing. The message says why, and which command goes on."""

    error_code = "LW1003"


class PathUnusable(CannotRun):
    """A file or folder does not exist, exists already, or cannot be read or written."""

    error_code = "LW1004"


class AddressInUse(CannotRun):
    """A server cannot listen on the address that was chosen for it."""

    error_code = "LW1005"


class AlreadyRunning(CannotRun):
    """The program runs already on this home folder."""

    error_code = "LW1012"


class WrongState(CannotRun):
    """The campaign's state does not allow the command."""

    error_code = "LW1301"


class PlatformLacks(CannotRun):
    """The campaign's platform cannot do what the command needs."""

    error_code = "LW1302"


class ChangeRefused(CannotRun):
    """A launched campaign cannot be changed to what its file says."""

    error_code = "LW1303"


class AdoptionRefused(CannotRun):
    """The campaign on the platform does not match the campaign file, or is in the ledger already."""

    error_code = "LW1304"


class UnknownImages(CannotRun):
    """Images that were named are not in the campaign."""

    error_code = "LW1305"


class UnknownDataset(CannotRun):
    """There is no such dataset, version, object or image in the ledger."""

    error_code = "LW5001"


class DatasetFileMissing(CannotRun):
    """A version lacks a file that the command reads, or the file is damaged."""

    error_code = "LW5012"


class OriginalImageGone(CannotRun):
    """The original image of a dataset cannot be read any more, or was changed."""

    error_code = "LW5013"


class NoPrefectServer(CannotRun):
    """The command needs a Prefect server, and none is configured."""

    error_code = "LW6003"


class DeploymentRefused(CannotRun):
    """Prefect did not register a deployment."""

    error_code = "LW6005"


class BlockMissing(CannotRun):
    """There is no such block on the Prefect server."""

    error_code = "LW6006"


class ResultStorageUnusable(CannotRun):
    """The container for results of runs cannot be used."""

    error_code = "LW6007"


class EventsNotSent(Exception):
    """Prefect did not take the events. Send them again later."""


class EventsRejected(Exception):
    """Prefect refuses one of the events, and will refuse it every time."""


def error_code_of(error: BaseException) -> str:
    """Returns the code of one of our errors; "" for every other exception."""
    code = getattr(error, "error_code", None)  # Azure's errors have an attribute of that name, too
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def with_code(message: str, code: str) -> str:
    """Returns the message with the code at its end. One that ends with a code keeps that, which is the nearer cause."""
    return message if not code or _ENDS_WITH_CODE.search(message) else f"{message.rstrip()} [{code}]"


def text_with_code(error: BaseException) -> str:
    """Returns the error's text with its code at the end, if it is one of ours."""
    return with_code(str(error), error_code_of(error))


def show_code(error: BaseException) -> None:
    """Puts the code of one of our errors into its own text, for what prints errors itself, such as Prefect's states.

    An error has `code_shown`, or its text is its first argument. Any other one is left as it is.
    """
    code, text = error_code_of(error), str(error)
    if hasattr(error, "code_shown"):
        error.code_shown = True
    elif code and error.args[:1] == (text,):
        error.args = (with_code(text, code), *error.args[1:])
