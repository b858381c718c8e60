"""Commands and code of the README and the documents: every one can be parsed by what it is written for."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
import yaml

from labelwright.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


class Block(NamedTuple):
    """A fenced block: where it begins, its language, its text."""

    place: str
    language: str
    text: str


def blocks() -> Iterator[Block]:
    for page in PAGES:
        language, lines, start = None, list[str](), 0
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            fence = re.match(r"(\s*)```(\w*)", line)
            if fence and language is None:
                language, lines, start = fence[2] or "", [], number
            elif fence:
                text = "\n".join(lines)
                yield Block(f"{page.name}:{start}", language or "", text)
                language = None
            else:
                lines.append(line)


BLOCKS = list(blocks())
SHELL = [block for block in BLOCKS if block.language in ("", "sh", "bash")]


def commands_of(text: str) -> Iterator[list[str]]:
    """The arguments of every call of labelwright in lines of shell."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"\s(?:\||&&|;|>|2>&1|&)(?:\s|$)", line):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # an apostrophe in a sentence: no command
                continue
            if "labelwright" not in words or words[0] in ("git", "kubectl", "prefect"):
                continue
            place = words.index("labelwright")
            arguments = words[place + 1 :]
            begins_command = place == 0 or words[0] in ("docker", "infra/plain-hosts")
            if begins_command and arguments and re.fullmatch(r"--?[a-z-]+|[a-z-]+", arguments[0]):
                yield arguments


def written_commands() -> dict[str, tuple[list[str], bool]]:
    """Every command of the pages: its arguments, and whether it is a whole command, as in a block."""
    found = dict[str, tuple[list[str], bool]]()
    for block in SHELL:
        for arguments in commands_of(block.text):
            found[f"{block.place} labelwright {shlex.join(arguments)}"] = arguments, True
    for page in PAGES:
        for text in re.findall(r"`(labelwright [a-z][^`\n]*)`", page.read_text(encoding="utf-8")):
            for arguments in commands_of(text.replace("\\|", "|")):
                found.setdefault(f"{page.name} labelwright {shlex.join(arguments)}", (arguments, False))
    return found


COMMANDS = written_commands()


def without_brackets(arguments: list[str]) -> list[str]:
    """`[--accept-partial]` as `--accept-partial`."""
    return [argument.strip("[]") for argument in arguments if argument not in ("...", "[...]")]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_command_is_one_that_the_parser_takes(name: str) -> None:
    arguments, is_whole = COMMANDS[name]
    fault = parse(without_brackets(arguments))
    if not is_whole:  # in a sentence a command may be named without what it needs
        fault = None if re.search(r"Missing argument|Missing option|requires an argument", fault or "") else fault
    assert fault is None, fault


@cache
def root() -> Any:
    return typer.main.get_command(app)


def parse(arguments: list[str]) -> str | None:
    """What the parser refuses, or None. Runs nothing."""
    command = root()
    if arguments[0] in {"--install-completion", "--show-completion"}:  # they act as soon as they are parsed
        assert any(arguments[0] in parameter.opts for parameter in command.params)
        return None
    try:
        context = command.make_context("labelwright", list(arguments))
        while hasattr(command, "commands") and context._protected_args + context.args:
            rest = context._protected_args + context.args
            name, command, rest = command.resolve_command(context, rest)
            context = command.make_context(name, rest, parent=context)
    except typer.Exit:
        return None  # --version, --help
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        message = str(error.format_message())  # type: ignore[attr-defined]
        return None if "does not exist" in message and "No such" not in message else message
    return None


def test_commands_were_found() -> None:
    assert len([name for name, (_, is_whole) in COMMANDS.items() if is_whole]) > 40
    assert {arguments[0] for arguments, _ in COMMANDS.values()} >= {"launch", "plan", "datasets", "deploy", "backup"}


def test_wrong_commands_would_be_noticed() -> None:
    assert "No such command" in (parse(["lunch", "river.yaml"]) or "")
    assert "No such option" in (parse(["launch", "river.yaml", "--fast"]) or "")
    assert "No such command" in (parse(["datasets", "explain"]) or "")
    assert parse(["launch"]) is not None
    assert parse(["datasets", "diff", "a", "b", "c"]) is not None
    assert parse(["datasets", "diff", "river_labels", "--tolerance", "2"]) is None


@pytest.mark.parametrize("block", [block for block in SHELL if block.language], ids=lambda block: block.place)
def test_shell_blocks_are_shell(block: Block) -> None:
    checked = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "python"], ids=lambda block: block.place
)
def test_python_blocks_are_python(block: Block) -> None:
    is_line_of_a_table = block.text.startswith("    ")
    compile(f"{{{block.text}}}" if is_line_of_a_table else block.text, block.place, "exec")


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language in ("yaml", "json", "toml")], ids=lambda block: block.place
)
def test_data_blocks_are_data(block: Block) -> None:
    if block.language == "yaml":
        list(yaml.compose_all(block.text))
    elif block.language == "json":
        json.loads(block.text)
    else:
        tomllib.loads(block.text)


def test_make_targets_of_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {target for block in SHELL for target in re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE)}
    assert targets >= {"demo", "test", "docs"}
    assert not [target for target in sorted(targets) if not re.search(rf"^{target}:", makefile, re.MULTILINE)]


def test_files_of_the_project_in_commands_exist() -> None:
    known = ("infra/secrets", "infra/.env", "tests/platforms/toy")  # made by the reader
    paths = {path for block in SHELL for path in re.findall(r"(?<![\w/.])(?:infra|tests|src)/[\w./-]+", block.text)}
    missing = [path for path in sorted(paths) if not (ROOT / path.rstrip("/.")).exists()]
    assert len(paths) > 10
    assert not [path for path in missing if not path.startswith(known)]
