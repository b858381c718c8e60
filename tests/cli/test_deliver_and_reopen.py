"""Exit codes of `labelwright deliver`, and the files that `reopen --images` reads. The platform is a shelf."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from labelwright.cli import main as entry
from labelwright.cli.campaigns import _read_names
from labelwright.domain import State
from labelwright.platforms import PlatformUnavailable
from labelwright.tasks.context import the_ledger
from tests.platforms.shelf import Kept, Shelf
from tests.tasks.export.test_delivering import BOAT, home, label_sixty, make_campaign  # noqa: F401 - a fixture
from tests.tasks.without_prefect import run_as_functions


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The program's exit code, in this process."""
    monkeypatch.setattr(sys, "argv", ["labelwright", *arguments])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    return int(ended.value.code or 0)


def label_all(kept: Kept) -> None:
    kept.labels |= dict.fromkeys(list(kept.images)[65:], (BOAT,))


def cancel(_: Kept) -> None:
    the_ledger().campaigns.move("river", State.CANCELLED)


@pytest.mark.parametrize(
    ("happens", "arguments", "code", "message"),
    [
        (None, ["--accept-partial"], 0, ""),
        (label_all, [], 1, "95 of 100 images are ready; the other 5: 3 skipped, 2 shape refused"),
        (cancel, [], 2, "'river' is cancelled"),
        (None, ["--partly"], 2, "No such option"),
        (None, [], 3, "60 of 100 images are ready; the other 40: 35 not labeled"),
    ],
    ids=["delivered", "refused shapes", "cancelled", "misspelled", "labels are missing"],
)
def test_deliver_ends_with_the_code_of_what_happened(home, monkeypatch, capsys, happens, arguments, code, message):  # noqa: F811
    run_as_functions(monkeypatch)
    kept = make_campaign(home)
    label_sixty(kept)
    if happens is not None:
        happens(kept)
    assert run(monkeypatch, "deliver", "river", *arguments) == code
    assert message in capsys.readouterr().err


def test_deliver_ends_with_4_while_the_platform_is_away(home, monkeypatch, capsys):  # noqa: F811
    run_as_functions(monkeypatch)
    label_sixty(make_campaign(home))

    def away(*_: Any) -> None:
        raise PlatformUnavailable("shelf", "read the campaign", message="no answer")

    monkeypatch.setattr(Shelf, "read_campaign", away)
    assert run(monkeypatch, "deliver", "river", "--accept-partial") == 4
    assert "no answer" in capsys.readouterr().err


def test_deliver_of_an_unknown_title_ends_with_1(home, monkeypatch, capsys):  # noqa: F811
    assert run(monkeypatch, "deliver", "nothing") == 1
    assert "knows no campaign 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"a.jpg\nsub/b c.jpg\n", ("a.jpg", "sub/b c.jpg")),
        (b"\xef\xbb\xbfa.jpg\r\n\r\n   \r\nb.jpg", ("a.jpg", "b.jpg")),
        (b"a.jpg\na.jpg\n", ("a.jpg",)),
        ("дно/река.png\n".encode(), ("дно/река.png",)),
        (b"\n", ()),
    ],
    ids=["lines", "a spreadsheet's", "twice", "Unicode", "empty"],
)
def test_image_names_are_read_one_a_line(tmp_path, monkeypatch, content, names):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    assert _read_names(str(path)) == names
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    assert _read_names("-") == names


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), ("a.jpg".encode("utf-16"), "it is no UTF-8 text")]
)
def test_a_list_of_names_that_cannot_be_read_is_refused(tmp_path, monkeypatch, content, message):
    path = Path(tmp_path / "names.txt")
    if content is None:
        arguments = [str(path)]
    else:
        path.write_bytes(content)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        arguments = [str(path), "-"]
    for argument in arguments:
        with pytest.raises(typer.BadParameter, match=message):
            _read_names(argument)
