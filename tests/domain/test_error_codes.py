"""Error codes: every error that a person can meet has one, and the table and the reference say what it means."""

from __future__ import annotations

import ast
import builtins
import pickle
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from labelwright.domain.error_table import AREAS, ERRORS, RETIRED, error_page
from labelwright.domain.errors import CannotRun, NothingDone, error_code_of, show_code, text_with_code, with_code
from labelwright.platforms import AccessDenied, PlatformRefused, PlatformUnavailable

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "flows", "tasks")
TABLES = {
    ROOT / "src" / "labelwright" / "domain" / f"{name}.py"
    for name in ("error_table", "server_error_entries", "error_entry")
}

HTTP_RESPONSE = "becomes an HTTP response of the embedded service or the receiver, which has a code of its own"
ANOTHER_ERROR = "is caught, and raised again as an error with a code, or listed as the reason of one image or item"
NO_ERROR = "is handled where it is caught, and no error for anybody"

WITHOUT_CODE = {
    "BadXml": HTTP_RESPONSE,
    "BlobRefused": HTTP_RESPONSE,
    "BodyBudgetExceeded": HTTP_RESPONSE,
    "Busy": HTTP_RESPONSE,
    "ClientGone": HTTP_RESPONSE,
    "Conflict": HTTP_RESPONSE,
    "CopyFailed": HTTP_RESPONSE,
    "Invalid": HTTP_RESPONSE,
    "NotAnImage": HTTP_RESPONSE,
    "RequestRefused": HTTP_RESPONSE,
    "ServiceError": HTTP_RESPONSE,
    "SignatureRefused": HTTP_RESPONSE,
    "Stale": HTTP_RESPONSE,
    "StorageDown": HTTP_RESPONSE,
    "TakenOver": HTTP_RESPONSE,
    "TooLarge": HTTP_RESPONSE,
    "TooMuchMemory": HTTP_RESPONSE,
    "Unknown": HTTP_RESPONSE,
    "EventsNotSent": NO_ERROR,
    "EventsRejected": NO_ERROR,
    "BrokenPng": ANOTHER_ERROR,
    "CannotRead": ANOTHER_ERROR,
    "CocoRefused": ANOTHER_ERROR,
    "DamageFound": ANOTHER_ERROR,
    "Faults": ANOTHER_ERROR,
    "IllegalMove": ANOTHER_ERROR,
    "InvalidProject": ANOTHER_ERROR,
    "InvalidSchema": ANOTHER_ERROR,
    "InvalidShape": ANOTHER_ERROR,
    "Malformed": ANOTHER_ERROR,
    "MasksUnreadable": ANOTHER_ERROR,
    "NameConflict": ANOTHER_ERROR,
    "NoTeamKey": ANOTHER_ERROR,
    "NotInSchema": ANOTHER_ERROR,
    "NotReadable": ANOTHER_ERROR,
    "NotTaken": ANOTHER_ERROR,
    "ObstoreMissing": ANOTHER_ERROR,
    "OtherTeamKey": ANOTHER_ERROR,
    "OutOfBounds": ANOTHER_ERROR,
    "UnknownFormat": ANOTHER_ERROR,
    "UnsafeName": ANOTHER_ERROR,
    "WrongContent": ANOTHER_ERROR,
    "RetryLater": NO_ERROR,
    "_FromVideo": NO_ERROR,
    "_NotLoggedIn": NO_ERROR,
    "_Omitted": NO_ERROR,
    "_Stopped": NO_ERROR,
}
"""Error classes without a code, and why they need none."""

INHERITED = {
    "InternalError",
    "InvalidRequest",
    "NotEnabled",
    "Duplicate",
    "ServiceUnavailable",
    "TimedOut",
    "TooManyRequests",
}
"""Scale's names for HTTP statuses: their codes are those of the statuses on every platform."""

SET_BY_BASE = {"PlatformError"}
"""Never raised itself."""

BY_CONDITION = {
    "LW1001", "LW1006", "LW1007", "LW1008", "LW1009", "LW1010", "LW1099", "LW2003", "LW6004",  # other libraries' errors
    "LW4002", "LW4003", "LW4011",  # by HTTP status
    "LW1401", "LW1402", "LW1403", "LW1404",  # reasons for attention, which are no exceptions
    *(f"LW80{number:02}" for number in range(1, 13)),  # the service's responses, by HTTP status
    *(f"LW81{number:02}" for number in range(1, 7)),  # the receiver's responses, by HTTP status
    *(f"LW90{number:02}" for number in range(1, 15)),  # findings of doctor, by area
}  # fmt: skip
"""Codes that no class has; the command line, the platforms' errors or the tasks choose them."""

FOREIGN_WORDS = {"LW1001", "LW1002", "LW1006", "LW1007", "LW1008", "LW1010", "LW1101", "LW1201", "LW8004", "LW8005"}
"""Errors whose words come from elsewhere, or differ each time."""


FILLED_IN = r"\b(?:[A-Z]{2,}|V|4xx|5xx|40[134]|429|200|did not answer|answered)\b"
PLATFORMS_WORDS = r"was not asked to|when asked to"
"""Messages of platforms are put together from these and the operation."""


@cache
def sources() -> dict[Path, ast.Module]:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def error_classes() -> dict[tuple[str, str], str | None]:
    """The code that each exception class sets itself, by module and class; None for one that sets none."""
    definitions = [
        (str(path.relative_to(ROOT)), node)
        for path, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    exceptions = {name for name in dir(builtins) if name.endswith(("Error", "Exception"))} | {"HTTPException"}
    while True:
        found = {node.name for _, node in definitions if exceptions & set(map(_base_name, node.bases))}
        if found <= exceptions:
            break
        exceptions |= found
    return {
        (path, node.name): _code_in(node)
        for path, node in definitions
        if node.name in exceptions and exceptions & set(map(_base_name, node.bases))
    }


def _base_name(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def _code_in(node: ast.ClassDef) -> str | None:
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "error_code" for target in targets):
            return str(ast.literal_eval(statement.value))  # type: ignore[attr-defined]
    return None


def codes_in_source() -> Iterator[str]:
    for path, tree in sources().items():
        if path not in TABLES:
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and re.fullmatch(r"LW\d{4}", node.value)
                ):
                    yield node.value


def test_the_reading_of_the_sources_finds_errors_of_every_package():
    names = {name for _, name in error_classes()}
    assert {"CannotRun", "PlatformUnavailable", "LedgerError", "SpecError", "LabelsLate", "NotReady"} <= names


def test_every_error_class_has_a_code_or_a_reason_to_have_none():
    bare = {name for (_, name), code in error_classes().items() if code is None}
    assert bare == {*WITHOUT_CODE, *INHERITED}
    assert {name for (_, name), code in error_classes().items() if code == ""} == SET_BY_BASE


def test_no_two_error_classes_share_a_code():
    codes = [code for code in error_classes().values() if code]
    assert sorted(codes) == sorted(set(codes))


def test_the_table_has_exactly_the_codes_that_are_in_use():
    assert set(codes_in_source()) == set(ERRORS)
    assert {code for code in error_classes().values() if code} == set(ERRORS) - BY_CONDITION
    assert not RETIRED & set(ERRORS)


def test_the_table_is_in_order_and_complete():
    assert list(ERRORS) == sorted(ERRORS)
    assert {code[:4] for code in ERRORS} == set(AREAS)
    for entry in ERRORS.values():
        assert entry.cause.endswith("."), entry.code
        assert entry.remedy.endswith("."), entry.code
        assert entry.patterns, entry.code


@cache
def words_of_messages() -> str:
    """All texts of the sources but the table's; what is filled in when the program runs is a line feed."""
    texts = []
    for path, tree in sources().items():
        for node in ast.walk(tree) if path not in TABLES else ():
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "\n" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n\n".join(texts)


def longest_fragment(separator: str, pattern: str) -> str:
    return max((fragment.strip(" '():,") for fragment in re.split(separator, pattern)), key=len)


@pytest.mark.parametrize("code", sorted(set(ERRORS) - FOREIGN_WORDS))
def test_the_pattern_is_what_the_message_says(code):
    for pattern in ERRORS[code].patterns:
        longest = longest_fragment(f"{FILLED_IN}|{PLATFORMS_WORDS}", pattern) or longest_fragment(FILLED_IN, pattern)
        assert len(longest) > 6, pattern
        assert longest.lower() in words_of_messages().lower(), longest


def test_the_page_of_the_reference_is_made_from_the_table():
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert page == error_page(), "write it anew: python -m labelwright.domain.error_table > docs/errors.md"


def test_a_message_ends_with_the_code_once():
    assert with_code("no such file", "LW1004") == "no such file [LW1004]"
    assert with_code("no such file [LW1004]", "LW1301") == "no such file [LW1004]"
    assert with_code("no such file", "") == "no such file"
    assert text_with_code(CannotRun("no such file")) == "no such file [LW1002]"
    assert text_with_code(OSError("no such file")) == "no such file"


def test_only_our_codes_are_taken_for_codes():
    error = ValueError("the blob is leased")
    error.error_code = "LeaseIdMissing"  # as in Azure's errors
    assert error_code_of(error) == ""
    assert error_code_of(NothingDone("nothing")) == "LW1003"


def test_an_error_that_repeats_another_one_keeps_its_code():
    refusal = CannotRun.because_of(AccessDenied("cvat", "connect", status=401))
    assert (str(refusal), refusal.error_code) == ("cvat answered 401 when asked to connect", "LW4012")
    assert CannotRun.because_of(ValueError("no")).error_code == CannotRun.error_code == "LW1002"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PlatformUnavailable("cvat", "log in"), "LW4001"),
        (PlatformUnavailable("cvat", "log in", status=502), "LW4002"),
        (PlatformUnavailable("cvat", "log in", status=429, retry_after=7), "LW4003"),
        (PlatformRefused("cvat", "log in"), "LW4010"),
        (PlatformRefused("cvat", "log in", status=422), "LW4011"),
        (AccessDenied("cvat", "log in", status=403), "LW4012"),
    ],
)
def test_a_platform_error_has_the_code_of_its_status(error, code):
    assert error.error_code == code
    copy = pickle.loads(pickle.dumps(error))
    assert copy.error_code == code
    plain = str(error)
    show_code(error)
    show_code(error)
    assert str(error) == f"{plain} [{code}]"


def test_errors_can_show_their_code_in_their_own_text():
    error = NothingDone("nothing was paused")
    show_code(error)
    show_code(error)
    assert str(error) == "nothing was paused [LW1003]"
    foreign = OSError(28, "No space left on device")
    show_code(foreign)
    assert str(foreign) == "[Errno 28] No space left on device"
