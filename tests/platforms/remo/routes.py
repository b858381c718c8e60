"""Routes of Remo: what was asked, what is answered, and which address leads where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from .state import Dataset, Picture, Set, World

NOT_FOUND = {"detail": "Not found."}


class ServerError(Exception):
    """Remo would answer 500 with a page."""


@dataclass
class Asked:
    """A request, read."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str = ""
    body: bytes = b""
    form: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, bytes]] = field(default_factory=list)
    host: str = ""

    def json(self) -> Any:
        try:
            payload = json.loads(self.body or b"{}")
        except ValueError:
            raise ServerError from None
        if not isinstance(payload, dict):
            raise ServerError
        return payload


@dataclass
class Answer:
    """What is answered; `text` of any other type than JSON."""

    status: int
    json: Any = None
    text: str | bytes | None = None
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[..., Answer]
ROUTES: list[tuple[str, re.Pattern[str], str, Handler]] = []


def route(methods: str, path: str, versions: str = "both") -> Callable[[Handler], Handler]:
    """`{}` stands for an id. Versions: both, old or new."""

    def add(handler: Handler) -> Handler:
        pattern = re.compile(path.replace("{}", r"([^/]+)") + "$")
        ROUTES.extend((method, pattern, versions, handler) for method in methods.split("|"))
        return handler

    return add


def _routes(world: World, path: str) -> Iterator[tuple[str, Handler, tuple[str, ...]]]:
    """What this version has at an address."""
    for method, pattern, versions, handler in ROUTES:
        record = pattern.match(path) if versions in ("both", "new" if world.modern else "old") else None
        if record:
            yield method, handler, record.groups()


def knows(world: World, path: str) -> bool:
    return any(True for _ in _routes(world, path))


def answer(world: World, request: Asked) -> Answer:
    """To a request at an address that this version knows."""
    for method, handler, ids in _routes(world, request.path):
        if method == request.method:
            try:
                return handler(world, request, *ids)
            except KeyError as missing:
                if missing.args and isinstance(missing.args[0], str):
                    raise
                return Answer(404, NOT_FOUND)
    return Answer(405, {"detail": f'Method "{request.method}" not allowed.'})


def number(text: str) -> int:
    return int(text) if text.isdecimal() else -1


def paged(request: Asked, items: Iterable[Any], show: Callable[[Any], Any]) -> dict[str, Any]:
    listed = list(items)
    limit = number(request.query.get("limit", "")) if request.query.get("limit", "").isdecimal() else 32
    offset = max(number(request.query.get("offset", "0")), 0)

    def link(to: int) -> str:
        query = {**request.query, "limit": limit} | ({"offset": to} if to > 0 else {})
        if to <= 0:
            query.pop("offset", None)
        return f"http://{request.host}{request.path}?{urlencode(query)}"

    return {
        "count": len(listed),
        "next": link(offset + limit) if offset + limit < len(listed) else None,
        "previous": link(offset - limit) if offset > 0 else None,
        "results": [show(entry) for entry in listed[offset : offset + limit]],
    }


def open_dataset(world: World, identity: str) -> Dataset:
    record = world.datasets[number(identity)]
    if record.archived:
        raise KeyError(record.id)
    return record


def annotation_set(world: World, identity: str) -> Set:
    return world.sets[number(identity)]


def picture_of(world: World, entry: Set, identity: str) -> Picture:
    return world.datasets[entry.dataset].pictures[number(identity)]
