"""What is asked of a platform over HTTP, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Wanted = Literal["json", "bytes", "media", "nothing"]
"""What a good answer holds. "media": bytes of an image or a video, so that a page of HTML is no answer."""
Body = bytes | Callable[[], Any]
"""What is sent; a function gives a stream with `__len__`, `__iter__` and `read`, from its start each time."""
Params = Mapping[str, "str | int | list[str]"]
"""A list is said once for each of its values."""


class Sink(Protocol):
    """Where the bytes of an answer go."""

    def write(self, part: bytes, /) -> int: ...


class Upload(Protocol):
    """What a request sends when it is not JSON; opened anew for every try."""

    content_type: str

    def open(self) -> Any:
        """A readable stream from its start, with `__len__`, `__iter__`, `read` and `close`."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that says something by its status or its headers too."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    data: Any = field(repr=False)
    """What was wanted: JSON, bytes, or None."""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An answer that is an error, or no JSON though JSON was wanted."""

    operation: str
    method: str
    status: int
    kind: str
    """Its media type, in lower case."""
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked."""

    operation: str
    method: str
    path: str
    params: Params
    headers: Mapping[str, str] = field(repr=False)
    body: Body | None = None
    wanted: Wanted = "json"
    advice: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    sink: Callable[[bytes], object] | None = field(default=None, repr=False)
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes
    whole: bool
    cookies: tuple[str, ...] = field(default=(), repr=False)
    """Every Set-Cookie header."""


def described(
    headers: dict[str, str], body: tuple[str, bytes] | Upload | None
) -> tuple[dict[str, str], bytes | Callable[[], Any] | None]:
    """Headers that say of what type the body is, and the body itself."""
    if body is None:
        return headers, None
    if isinstance(body, tuple):
        return headers | {"Content-Type": body[0]}, body[1]
    return headers | {"Content-Type": body.content_type}, body.open


def opened(body: Body | None) -> AbstractContextManager[Any]:
    if not callable(body):
        return nullcontext(body)
    stream = body()
    return closing(stream) if hasattr(stream, "close") else nullcontext(stream)
