"""Images at http(s) URLs, fetched without reaching private networks and without revealing secrets."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import IO, Any, BinaryIO, cast
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from labelwright.domain import Reject, UnsafeName, safe_name
from labelwright.domain.image_limits import MOST_BYTES
from labelwright.ingest.checks.duplicates import FirstSeen
from labelwright.network.deadlines import Deadline, current_limit
from labelwright.network.timed_sockets import Phases, TimedResponse, connect, resolve
from labelwright.platforms.errors import PlatformUnavailable
from labelwright.platforms.http.error_messages import retry_after
from labelwright.platforms.protocol import Secret
from labelwright.security.credential_shapes import credential_in_url, secrets_in_url
from labelwright.security.masking import mask

from .local import CannotRead, SourceError, SourceFile, other_name, printable
from .public_addresses import is_public

_REDIRECTS = 5
_SLOWEST = 10  # a whole file may take this many times the timeout of one response
_PLATFORM = "image source"
_OPERATION = "send an image"


class UrlSource:
    """Images at the URLs, in the order given.

    A URL's user name, password and query (which holds signatures) are used for fetching only: locations, names and
    messages contain scheme, host and path. Opening needs a UrlSource built from the same list.

    `timeout`: seconds to connect, for response headers, and between two pieces of a file; a whole file with its
    redirects may take ten times that.
    """

    def __init__(
        self, urls: Iterable[str], max_bytes: int = MOST_BYTES, allow_private: bool = False, timeout: float = 30.0
    ) -> None:
        self._fetcher = UrlFetcher(max_bytes, allow_private, timeout)
        self._book = UrlBook()
        self._found: list[tuple[str, str] | Reject] = []
        for number, url in enumerate(urls, 1):
            try:
                self._found.append((self._book.enter(url), name_from_url(url)))
            except CannotRead as error:
                self._found.append(Reject(f"(URL {number})", str(error)))

    def find(self) -> Iterator[SourceFile | Reject]:
        if not self._found:
            raise SourceError("The list of URLs is empty. Name at least one image.")
        return self._list()

    def _list(self) -> Iterator[SourceFile | Reject]:
        with FirstSeen() as names:
            for entry in self._found:
                if isinstance(entry, Reject):
                    yield entry
                    continue
                location, name = entry
                try:
                    yield _named(name, location, names)
                except UnsafeName as error:
                    yield Reject(printable(name), f"{location}: {error}")

    def open(self, location: str) -> BinaryIO:
        return self._fetcher.fetch(self._book.full(location))

    def url_for(self, location: str, seconds: float) -> Secret | None:
        """The image's own URL with its signature, whose lifetime was set by the author of the list."""
        return Secret(self._book.full(location))


def _named(source_name: str, location: str, names: FirstSeen) -> SourceFile:
    """Raises UnsafeName."""
    safe = safe_name(source_name)
    unique = names.unique(safe)
    return SourceFile(unique, location, source_name=other_name(source_name, safe) if unique == safe else None)


class UrlBook:
    """Maps locations (URLs without secrets) to full URLs.

    A URL with secrets gets `#1`, `#2`, ... for each occurrence of its host and path, so that another process builds the
    same locations from the same list. Only such URLs are stored.
    """

    def __init__(self) -> None:
        self._full: dict[str, str] = {}
        self._count: dict[str, int] = {}

    def enter(self, url: str) -> str:
        """Returns the URL's location. Raises CannotRead for an invalid URL, and for one with a credential in its path,
        which is part of the location."""
        parts = _split(url)
        credential = credential_in_url(parts._replace(netloc=_host_and_port(parts), query="", fragment="").geturl())
        if credential is not None:
            raise CannotRead(f"contains {credential} in its path, which is shown to everybody: use a URL without it")
        bare = f"{parts.scheme}://{_host_and_port(parts)}{parts.path or '/'}"
        if not parts.query and "@" not in parts.netloc:
            return bare
        self._count[bare] = number = self._count.get(bare, 0) + 1
        location = f"{bare}#{number}"
        self._full[location] = parts._replace(fragment="").geturl()
        return location

    def full(self, location: str) -> str:
        return self._full.get(location, location)


def name_from_url(url: str) -> str:
    """The last part of the URL's path, decoded; 'image' when there is none. Not yet checked for safety."""
    try:
        last = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    except ValueError:
        return "image"
    return unquote(last).replace("/", "_").replace("\\", "_").strip() or "image"


class UrlFetcher:
    """Fetches a URL into a temporary file, and checks every IP address before it connects.

    `timeout` as above; `whole`: seconds for one file, by default ten times that.
    """

    def __init__(self, max_bytes: int, allow_private: bool, timeout: float, whole: float | None = None) -> None:
        self._max_bytes = max_bytes
        self._allow_private = allow_private
        self._timeout, self._whole = timeout, whole or _SLOWEST * timeout
        self._tls = ssl.create_default_context()

    def fetch(self, url: str) -> BinaryIO:
        """Returns the open file. Raises CannotRead, PlatformUnavailable (no response, 408, 429, 5xx)."""
        failure: PlatformUnavailable | CannotRead | None = None
        try:
            return self._fetch(url)
        except CannotRead as error:  # a server may repeat the request's secrets in a redirect URL
            failure = CannotRead(mask(str(error), secrets_in_url(url)))
        except PlatformUnavailable as error:
            failure = error
        except (OSError, http.client.HTTPException) as error:
            reason = "it took too long" if isinstance(error, TimeoutError) else _network_words(error)
        if failure is not None:
            raise failure
        # Raised outside the except block, so that the original error, which may contain the full URL, is not attached.
        raise PlatformUnavailable(_PLATFORM, _OPERATION, message=f"{_shown(url)}: {reason}", advice="Try again later.")

    def _fetch(self, url: str) -> BinaryIO:
        phases = Phases(Deadline(self._whole, current_limit()), self._timeout, self._timeout)
        origin = _split(url)
        here = origin
        for _ in range(_REDIRECTS + 1):
            connection = self._connect(here, phases)
            try:
                phases.whole.watch(connection.sock)
                connection.request("GET", _target(here), headers=_headers(here, origin))
                response = connection.getresponse()
                if response.status not in (301, 302, 303, 307, 308):
                    self._check_status(response, here, origin)
                    return self._receive(response, here)
                here = _redirected(here, response.headers.get("Location", ""))
            finally:
                connection.close()
        raise CannotRead(f"{_shown(url)} redirects more than {_REDIRECTS} times")

    def _connect(self, parts: SplitResult, phases: Phases) -> http.client.HTTPConnection:
        host, port = cast(str, parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
        connecting = Deadline(phases.connecting, phases.whole)
        connected = connect(self._addresses(host, port, connecting), connecting)
        # With a socket, http.client does not resolve the name again, so it connects to the checked address.
        if parts.scheme == "http":
            connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
            connection.sock = connected
        else:
            connection = http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)
            try:
                connection.sock = self._tls.wrap_socket(connected, server_hostname=host)
            except ssl.SSLCertVerificationError as problem:
                connected.close()
                raise CannotRead(f"{_shown(parts)}: its certificate is not valid ({problem.verify_message})") from None
            except OSError:
                connected.close()
                raise
        connection.response_class = cast("type[http.client.HTTPResponse]", partial(TimedResponse, phases=phases))
        return connection

    def _addresses(self, host: str, port: int, connecting: Deadline) -> list[Any]:
        """The addresses of the host. Raises CannotRead if any of them is private."""
        try:
            address_infos = resolve(host, port, connecting.left())
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise
            raise CannotRead(f"there is no server '{host}'") from None
        except UnicodeError:
            raise CannotRead(f"'{host}' is not the name of a server") from None
        if not self._allow_private and not all(is_public(str(address_info[4][0])) for address_info in address_infos):
            raise CannotRead(f"'{host}' is in a private network: set images.allow_private_addresses to allow it")
        return address_infos

    def _check_status(self, response: http.client.HTTPResponse, here: SplitResult, origin: SplitResult) -> None:
        if response.status == 200:
            return
        if response.status in (408, 429) or response.status >= 500:
            raise PlatformUnavailable(
                _PLATFORM,
                _OPERATION,
                status=response.status,
                message=mask(_shown(here), secrets_in_url(origin.geturl())),
                advice="Try again later.",
                retry_after=retry_after(cast("Mapping[str, str]", response.headers)),
            )
        means = {401: "needs a log-in", 403: "is not allowed", 404: "does not exist", 410: "is gone"}
        message = means.get(response.status, "cannot be fetched")
        raise CannotRead(f"{_shown(here)} {message} (the server answered {response.status})")

    def _receive(self, response: http.client.HTTPResponse, here: SplitResult) -> BinaryIO:
        if response.length is not None and response.length > self._max_bytes:
            raise self._too_large(here)
        file = tempfile.SpooledTemporaryFile(max_size=1024 * 1024)  # noqa: SIM115 - the caller closes it
        try:
            self._copy(response, file, here)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return cast(BinaryIO, file)

    def _copy(self, response: http.client.HTTPResponse, file: IO[bytes], here: SplitResult) -> None:
        size = 0
        while piece := response.read1(65536):
            size += len(piece)
            if size > self._max_bytes:
                raise self._too_large(here)
            file.write(piece)
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)

    def _too_large(self, here: SplitResult) -> CannotRead:
        return CannotRead(f"{_shown(here)} has more than the {self._max_bytes / 1024 / 1024:,.1f} MiB that are allowed")


def _split(url: str) -> SplitResult:
    """Raises CannotRead without the URL, which may contain a password."""
    parts = None
    with suppress(ValueError):
        candidate = urlsplit(url.strip())
        if candidate.port != 0:  # raises when it is no number
            parts = candidate
    if parts is None:
        raise CannotRead("is not a valid URL")
    if parts.scheme not in ("http", "https"):
        raise CannotRead("is not an http or https URL")
    if not parts.hostname or any(ord(character) <= 32 or ord(character) == 127 for character in parts.netloc):
        raise CannotRead("is a URL without a server's name")
    return parts


def _redirected(here: SplitResult, location: str) -> SplitResult:
    bare = here._replace(netloc=_host_and_port(here)).geturl()
    onward = _split(urljoin(bare, location)) if location else None
    if onward is None:
        raise CannotRead(f"{_shown(here)} redirects to nowhere")
    if (here.scheme, onward.scheme) == ("https", "http"):
        raise CannotRead(f"{_shown(here)} redirects from https to http, which anybody on the way could change")
    return onward


def _shown(url: str | SplitResult) -> str:
    parts = urlsplit(url) if isinstance(url, str) else url
    return f"{parts.scheme}://{_host_and_port(parts)}{parts.path}"


def _host_and_port(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _target(parts: SplitResult) -> str:
    """Path and query as they go over the wire: what is not ASCII, or a blank, percent-encoded."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(target, safe="".join(map(chr, range(33, 127))))


def _headers(here: SplitResult, origin: SplitResult) -> dict[str, str]:
    """User name and password go to the server that they were given for, and to none that it redirects to."""
    headers = {"Accept": "image/*,*/*;q=0.5", "User-Agent": "labelwright", "Accept-Encoding": "identity"}
    same = (here.scheme, _host_and_port(here)) == (origin.scheme, _host_and_port(origin))
    if same and origin.username is not None:
        pair = f"{unquote(origin.username)}:{unquote(origin.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return headers


def _network_words(error: Exception) -> str:
    """What happened, in words that cannot hold a URL."""
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut off"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
