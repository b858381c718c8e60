"""HTTP request and response types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Expected = Literal["json", "bytes", "media", "nothing"]
"""What the body of a success holds. "media": bytes of an image or a video, for which a page of HTML is an error."""
Body = bytes | Callable[[], Any]
"""The body to send. A function returns a stream with `__len__`, `__iter__` and `read`, at its start, for every try."""
Params = Mapping[str, "str | int | list[str]"]
"""Query parameters. A list becomes one parameter per value."""


class Sink(Protocol):
    """A file that the bytes of a response are written to."""

    def write(self, part: bytes, /) -> int: ...


class Upload(Protocol):
    """A request body that is not JSON; opened anew for every try."""

    content_type: str

    def open(self) -> Any:
        """Returns a readable stream at its start, with `__len__`, `__iter__`, `read` and `close`."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a platform."""

    operation: str
    """Completes "when asked to ..." in messages."""
    method: str
    path: str
    params: Params
    headers: Mapping[str, str] = field(repr=False)
    body: Body | None = None
    expect: Expected = "json"
    advice: str = ""
    """Replaces the default advice for a refusal (4xx)."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values of credential headers, longest first: never shown."""
    sink: Callable[[bytes], object] | None = field(default=None, repr=False)
    """Takes the bytes of a success as they arrive; `Response.body` is empty then."""
    seconds: float | None = None
    """How long the server may take, where that differs from other requests."""


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a request."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Lookup ignores the case of names."""
    body: bytes = field(repr=False)
    data: Any = field(default=None, repr=False)
    """What the request expected: parsed JSON, bytes, or None."""
    complete: bool = True
    """False when the body was longer than allowed and reading stopped."""
    cookies: tuple[str, ...] = field(default=(), repr=False)
    """Every Set-Cookie header."""

    @property
    def media_type(self) -> str:
        """In lower case and without parameters; "" when there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def is_html(self) -> bool:
        return "html" in self.media_type


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A response with an error status, or without the JSON that was expected."""

    operation: str
    method: str
    status: int
    kind: str
    """Its media type, in lower case."""
    body: bytes = field(repr=False)


def content_of(
    headers: Mapping[str, str], body: tuple[str, bytes] | Upload | None
) -> tuple[dict[str, str], Body | None]:
    """Returns headers with the Content-Type of a body, and the body to send."""
    if body is None:
        return dict(headers), None
    if isinstance(body, tuple):
        return {**headers, "Content-Type": body[0]}, body[1]
    return {**headers, "Content-Type": body.content_type}, body.open


def opened(body: Body | None) -> AbstractContextManager[Any]:
    """Opens a body for one try, and closes it afterwards."""
    if not callable(body):
        return nullcontext(body)
    stream = body()
    return closing(stream) if hasattr(stream, "close") else nullcontext(stream)
