"""The reference pages of the documentation site, written from the code."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parents[2]
GENERATED = "This page is generated from the code.\n"


def cell(text: object) -> str:
    """A text as the cell of a Markdown table."""
    return re.sub(r"\s+", " ", str(text)).replace("|", "\\|").replace("<", "&lt;").strip()


def code(text: object) -> str:
    """A text as code in a cell of a table."""
    flat = re.sub(r"\s+", " ", str(text)).replace("|", "\\|").strip()
    return f"`{flat}`" if flat else ""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


# Commands


def commands() -> str:
    """Every command with its options, from the parser."""
    import typer

    from labelwright.cli.main import app

    root = typer.main.get_command(app)
    parts = ["# Commands\n", GENERATED, root.help or "", "\n", "Options before the command:\n"]
    with root.make_context("labelwright", ["plan"], resilient_parsing=True) as context:
        parts.append(_options(root, context))
        parts += _commands_of(root, context, "labelwright", 2)
    return "\n".join(parts)


def _commands_of(group: Any, context: Any, path: str, level: int) -> Iterator[str]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        full = f"{path} {name}"
        yield f"{'#' * level} `{full}`\n"
        yield _paragraphs(command.help or "")
        arguments = ["datasets"] if hasattr(command, "commands") else []
        with command.make_context(name, arguments, parent=context, resilient_parsing=True) as inner:
            if hasattr(command, "commands"):
                yield from _commands_of(command, inner, full, level + 1)
                continue
            usage = " ".join(command.get_usage(inner).split())
            yield f"```text\n{usage.removeprefix('Usage: ')}\n```\n"
            yield _options(command, inner)


def _options(command: Any, context: Any) -> str:
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [(code(record[0]), cell(record[1])) for record in records if record is not None]
    return table(("argument or option", "meaning"), rows) if rows else ""


def _paragraphs(text: str) -> str:
    """Help as Markdown: examples, which are indented or behind a mark of Click, as code."""
    blocks = []
    for block in inspect.cleandoc(text).replace("\b\n", "").split("\n\n"):
        lines = block.splitlines()
        is_code = bool(lines) and all(line.startswith("  ") for line in lines)
        blocks.append(f"```sh\n{inspect.cleandoc(block)}\n```" if is_code else block.replace("<", "&lt;"))
    return "\n\n".join(blocks) + "\n"


def exit_codes() -> str:
    from labelwright.cli import exit_codes as codes
    from labelwright.local.interruptions import INTERRUPTED

    meaning = {
        0: "success",
        codes.FAILED: "it did not work; the message says why, and what to do",
        codes.MISUSED: "the command, its input or a setting cannot be used",
        codes.EARLY: "labels are missing yet: nothing is wrong, only early",
        codes.UNAVAILABLE: "something outside did not respond: try again later",
        128 + 1: "ended by SIGHUP",
        INTERRUPTED: "ended by Ctrl+C (SIGINT)",
        codes.NO_READER: "whoever read the output closed it",
        128 + 15: "ended by SIGTERM",
    }
    return "\n".join(
        [
            "# Exit codes\n",
            GENERATED,
            table(("code", "meaning"), ((code(number), text) for number, text in sorted(meaning.items()))),
            "`labelwright sweep` ends with 1 when a campaign needs a person, else with 4 when one was not checked:",
            "[unattended](../unattended.md#what-labelwright-sweep-prints).\n",
        ]
    )


# Settings and campaign files


def settings() -> str:
    from labelwright.settings import Settings

    parts = [
        "# Settings\n",
        GENERATED,
        "Environment variables, or the same names in `settings.toml` in the home folder. Variables win. Behind every",
        "name `_FILE` may stand: the variable then names a file that holds the value. What they are for:",
        "[configuration](../configuration.md).\n",
        "## For everything\n",
    ]
    parts.append(_settings_table(Settings, "LABELWRIGHT_"))
    for name, field in Settings.model_fields.items():
        model = _model_in(field.annotation)
        if model is not None:
            is_named = typing.get_origin(field.annotation) is dict
            prefix = f"LABELWRIGHT_{name.upper()}__" + ("NAME__" if is_named else "")
            parts += [f"## `{prefix}...`\n", _first_line(model) + "\n", _settings_table(model, prefix)]
    return "\n".join(parts)


def _settings_table(model: type[BaseModel], prefix: str) -> str:
    rows = [
        (code(prefix + name.upper()), cell(type_name(field)), _default(field), cell(field.description or ""))
        for name, field in model.model_fields.items()
        if _model_in(field.annotation) is None
    ]
    return table(("variable", "type", "default", "meaning"), rows)


def campaign_file() -> str:
    from labelwright.campaigns.spec import CampaignSpec
    from labelwright.datasets.writers.registry import FORMATS
    from labelwright.platforms.registry import PLATFORMS

    parts = ["# Fields of a campaign file\n", GENERATED]
    parts.append("What the fields do together, and an example: [campaign file](../campaign-file.md).\n")
    done: set[type[BaseModel]] = set()

    def add(model: type[BaseModel], path: str) -> None:
        if model in done:
            return
        done.add(model)
        title = f"`{path}`" if path else "The campaign"
        parts.extend([f"## {title}\n", _first_line(model) + "\n", _fields_table(model)])
        for name, field in model.model_fields.items():
            inner = _model_in(field.annotation)
            if inner is not None:
                is_list = "[]" if typing.get_origin(field.annotation) is list else ""
                add(inner, f"{path}.{name}{is_list}" if path else f"{name}{is_list}")

    add(CampaignSpec, "")
    names = sorted({format.campaign_name for format in FORMATS.values() if format.campaign_name})
    parts += ["## `export.formats`\n", ", ".join(f"`{name}`" for name in names) + "\n"]
    for name, entry in PLATFORMS.items():
        parts += [f"## `options` of `platform: {name}`\n", _fields_table(entry.load().options)]
    return "\n".join(parts)


def _fields_table(model: type[BaseModel]) -> str:
    rows = [
        (
            code(name),
            cell(type_name(field)),
            "required" if field.is_required() else _default(field),
            cell(". ".join(text for text in (field.description or field.title or "",) if text)),
        )
        for name, field in model.model_fields.items()
    ]
    return table(("field", "type", "default", "meaning"), rows)


def _first_line(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def _default(field: FieldInfo) -> str:
    if field.is_required() or field.default_factory is not None or field.default is PydanticUndefined:
        return ""
    if field.default is None or field.default in ("", [], {}):
        return ""
    default = field.default.value if isinstance(field.default, Enum) else field.default
    if isinstance(default, bool | list):
        return code(json.dumps(default))
    return code(round(default, 3) if isinstance(default, float) else default)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, alone or in a list or table."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


NAMES: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    datetime: "date or time",
    Path: "path",
    SecretStr: "secret",
    dict: "table",
    Any: "value",
}


def type_name(field: FieldInfo) -> str:
    """The type of a field in plain words, with its limits."""
    limits = []
    for constraint in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            value = getattr(constraint, name, None)
            if value is not None:
                limits.append(f"{sign} {value:g}" if isinstance(value, int | float) else f"{sign} {value}")
    return " ".join([_type_name(field.annotation), *limits])


def _type_name(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in COMPOSED:
        return COMPOSED[origin](arguments)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "group of fields"
    return NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _either(choices: Iterable[Any]) -> str:
    return " or ".join(dict.fromkeys(_type_name(choice) for choice in choices if choice is not type(None)))


COMPOSED: dict[Any, Callable[[tuple[Any, ...]], str]] = {
    typing.Annotated: lambda arguments: _type_name(arguments[0]),
    types.UnionType: _either,
    typing.Union: _either,
    typing.Literal: lambda arguments: " or ".join(f"`{argument}`" for argument in arguments),
    list: lambda arguments: f"list of {_type_name(arguments[0])}",
    tuple: lambda arguments: f"list of {_type_name(arguments[0])}",
    dict: lambda arguments: f"table of {_type_name(arguments[1])}",
}


# Platforms


def platforms() -> str:
    """The README's table of platforms, which a test compares with the adapters."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- capabilities:.*?-->\n(.*?)<!-- end -->", readme, re.DOTALL)
    if found is None:
        raise SystemExit("README.md has no table of platforms between its two comments")
    return "\n".join(
        [
            "# Platforms compared\n",
            "What each adapter can do. A test compares this table with the classes. *Embedded* is the labeling",
            "service that comes with Labelwright, and any server of the same [campaign API](../campaign_api.md).\n",
            found[1],
        ]
    )


# Python


def python() -> str:
    """The classes and functions of `labelwright.api`, from their signatures and docstrings."""
    from labelwright import api

    parts = ["# Python API\n", GENERATED]
    parts.append("How it is used: [Python API](../python-api.md). Everything is in `labelwright.api`.\n")
    for name in api.__all__:
        thing = getattr(api, name)
        parts += [f"## `{name}`\n", f"```python\n{_signature(thing, name)}\n```\n", _docstring(thing)]
        if inspect.isclass(thing):
            for member, value in _members(thing):
                is_property = isinstance(value, property) or not callable(value)
                shown = f"{name}.{member}" if is_property else _signature(value, f"{name}.{member}")
                parts += [f"### `{name}.{member}`\n", f"```python\n{shown}\n```\n", _docstring(value)]
    return "\n".join(parts)


def _members(owner: type) -> Iterator[tuple[str, Any]]:
    for name, value in vars(owner).items():
        if name.startswith("_"):
            continue
        if isinstance(value, classmethod | staticmethod):
            yield name, value.__func__
        elif isinstance(value, property) or inspect.isfunction(value) or hasattr(value, "func"):
            yield name, value


def _signature(thing: Callable[..., Any], name: str) -> str:
    """The signature without `self`; on several lines when it is long."""
    signature = inspect.signature(thing)
    shown = [str(one) for one in signature.parameters.values() if one.name not in ("self", "cls")]
    parameters = [re.sub(r"^(\**\w+): '([^']*)'", r"\1: \2", one) for one in shown if not one.startswith("_")]
    result = "" if inspect.isclass(thing) else f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(parameters)}){result}"
    return line if len(line) <= 100 else f"{name}(\n    " + ",\n    ".join(parameters) + f",\n){result}"


def _docstring(thing: Any) -> str:
    thing = getattr(thing, "fget", None) or getattr(thing, "func", None) or thing
    text = inspect.getdoc(thing) or ""
    linked = re.sub(r"`?docs/([\w-]+)\.md`?", r"[\1](../\1.md)", text.replace("<", "&lt;"))
    return linked + "\n"


# Events


def events() -> str:
    from labelwright.ledger.outbox import CHANGED, KINDS

    rows = [(code(f"labelwright.campaign.{kind}"), f"the campaign is {state.value}") for state, kind in KINDS.items()]
    rows += [
        (code("labelwright.campaign.progressed"), "a sweep saw that more images are labeled"),
        (code("labelwright.campaign.stalled"), "nothing was labeled for much longer than usual"),
        (code("labelwright.campaign.overdue"), "its deadline has passed"),
        (code(f"labelwright.campaign.{CHANGED}"), "its specification was changed after the launch"),
    ]
    return "\n".join(
        [
            "# Events\n",
            GENERATED,
            "Sent to Prefect, with the campaign as resource, so that its whole life is one feed. Each is recorded in",
            "the ledger with the change itself and sent at least once, under one id. More:",
            "[unattended](../unattended.md#events).\n",
            table(("event", "when"), rows),
        ]
    )


# REST


def rest() -> str:
    """The routes of the embedded service, from its OpenAPI document."""
    from labelwright.service.app import create_app
    from labelwright.service.config import ServiceConfig

    with tempfile.TemporaryDirectory() as folder:
        document = create_app(ServiceConfig(data_dir=Path(folder) / "service")).openapi()
    parts = [
        "# REST API\n",
        "This page is generated from the OpenAPI document of the embedded service, which serves it itself: as",
        "`/openapi.json`, and as a page with forms under `/docs`. What the calls mean together, and what a server of",
        "your own has to hold: [campaign API](../campaign_api.md).\n",
    ]
    parts.append("## Calls\n")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += [f"### `{method.upper()} {path}`\n", _operation(operation)]
    parts.append("## Bodies\n")
    for name, schema in document["components"]["schemas"].items():
        properties = schema.get("properties")
        if not properties:
            continue
        needed = set(schema.get("required", ()))
        rows = [
            (
                code(field),
                cell(_schema_name(value)),
                "required" if field in needed else "",
                cell(value.get("description", "")),
            )
            for field, value in properties.items()
        ]
        parts += [f"### `{name}`\n", cell(schema.get("description", "")) + "\n"]
        parts.append(table(("field", "type", "", "meaning"), rows))
    return "\n".join(parts)


def _operation(operation: dict[str, Any]) -> str:
    parts = [cell(operation.get("description") or operation.get("summary") or "") + "\n"]
    rows = [
        (
            code(parameter["name"]),
            parameter["in"],
            cell(_schema_name(parameter.get("schema", {}))),
            "required" if parameter.get("required") else "",
        )
        for parameter in operation.get("parameters", ())
    ]
    if rows:
        parts.append(table(("parameter", "in", "type", ""), rows))
    body = operation.get("requestBody")
    if body:
        names = [_schema_name(content.get("schema", {})) for content in body["content"].values()]
        parts.append(f"Body: {' or '.join(dict.fromkeys(names))}\n")
    answers = []
    for status, response in operation.get("responses", {}).items():
        names = [_schema_name(content.get("schema", {})) for content in response.get("content", {}).values()]
        answers.append((code(status), cell(response.get("description", "")), cell(" or ".join(dict.fromkeys(names)))))
    if answers:
        parts.append(table(("status", "meaning", "body"), answers))
    return "\n".join(parts)


def _schema_name(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(dict.fromkeys(_schema_name(choice) for choice in choices))
    if schema.get("type") == "array":
        return f"list of {_schema_name(schema.get('items', {}))}"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    return JSON_NAMES.get(schema.get("type", ""), str(schema.get("type", "value")))


JSON_NAMES = {"string": "text", "integer": "whole number", "object": "table", "boolean": "true or false"}


PAGES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "exit-codes": exit_codes,
    "campaign-file": campaign_file,
    "settings": settings,
    "platforms": platforms,
    "python": python,
    "events": events,
    "rest": rest,
}
"""The reference pages by their file names."""
