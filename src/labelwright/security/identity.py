"""Challenge-response by which the embedded service proves its identity before a client sends it credentials.

The service's data directory holds a key that never leaves it. A client sends a nonce on a new connection and receives
an HMAC, with that key, of the nonce and of both ends of the connection as the service sees them. A program without the
key cannot compute the code, and a code that it relays from the real service belongs to another connection.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

PATH = "/identity"
FILE = "identity.key"
Address = tuple[str, int]

_KEY_BYTES = 32
_SECONDS = 10.0
_LONGEST = 16 * 1024
_NONCE = re.compile(r"[0-9a-f]{64}")


class NotProven(Exception):
    """The program at an address is not the expected service. The message describes it."""

    error_code = "LW6012"

    def __init__(self, message: str, *, older: bool = False) -> None:
        super().__init__(message)
        self.older = older
        """Whether it looks like a service of a version without this proof."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The response of the program at the address."""

    status: int
    server: str
    body: bytes
    whole: bool
    """False when the connection or the time ended before the response was complete."""


def make_key(data_dir: Path) -> bytes:
    """The key of this data directory; created on the first start."""
    path = data_dir / FILE
    draft = data_dir / f"{FILE}.{secrets.token_hex(4)}.new"
    if not path.exists():
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(draft, path)  # atomic, and never replaces one that another process created
        finally:
            draft.unlink(missing_ok=True)
    return bytes.fromhex(path.read_text().strip())


def is_nonce(text: str) -> bool:
    """Whether the text is a valid nonce."""
    return _NONCE.fullmatch(text) is not None


def code_of(key: bytes, nonce: str, service: Address, client: Address) -> str:
    """The code for one connection, from the addresses of its two ends."""
    text = f"labelwright identity 1\n{nonce}\n{_plain(service)}\n{_plain(client)}"
    return hmac.digest(key, text.encode(), "sha256").hex()


def _plain(address: Address) -> str:
    """The same text for an IPv4 address and for its form inside IPv6, which the other end may see."""
    ip = ip_address(address[0].partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return f"{ip.ipv4_mapped}:{address[1]}"
    return f"{ip}:{address[1]}"


def check(connection: socket.socket, key_file: Path) -> None:
    """Verifies the program at the other end of a new connection, which can be used for requests afterwards.

    Raises NotProven for a wrong response, OSError for none or an incomplete one, as from a service that is stopping.
    """
    port = connection.getpeername()[1]
    nonce = secrets.token_hex(32)
    request = f"GET {PATH}?nonce={nonce} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n\r\n"
    before = connection.gettimeout()
    try:
        connection.settimeout(_SECONDS)
        connection.sendall(request.encode())
        reply = _reply(connection)
    finally:
        connection.settimeout(before)
    if not reply.whole:
        raise ConnectionResetError(f"what listens on port {port} did not answer whether it is the labeling service")
    try:
        key = bytes.fromhex(key_file.read_text().strip())
        code = json.loads(reply.body)["code"]
        service, client = connection.getpeername()[:2], connection.getsockname()[:2]
        genuine = hmac.compare_digest(code_of(key, nonce, service, client).encode(), str(code).encode())
        genuine = genuine and len(key) >= _KEY_BYTES  # an empty file would be a key that everybody knows
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        genuine = False
    if not genuine:
        raise _not_proven(port, reply, key_file)


def check_address(host: str, port: int, key_file: Path) -> None:
    """As `check`, on a connection of its own. Raises NotProven, OSError."""
    with socket.create_connection((host, port), timeout=_SECONDS) as connection:
        check(connection, key_file)


def _reply(connection: socket.socket) -> Reply:
    """The response to one request, as far as it arrived within our limits of time and size."""
    received, ends = b"", time.monotonic() + _SECONDS
    with suppress(OSError):  # another program may not speak HTTP
        while len(received) < _LONGEST and time.monotonic() < ends and not _is_whole(received):
            if not b"HTTP/".startswith(received[:5]) and not received.startswith(b"HTTP/"):
                break
            connection.settimeout(max(0.01, ends - time.monotonic()))
            data = connection.recv(4096)
            if not data:
                break
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    server = re.search(rb"(?im)^server:[ \t]*([\x20-\x7e]{1,80})", head)
    foreign = bool(received) and not b"HTTP/".startswith(received[:5])
    name = server[1].decode().strip() if server else ""
    return Reply(int(status[1]) if status else 0, name, body, foreign or _is_whole(received))


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length:[ \t]*(\d{1,9})", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def _not_proven(port: int, reply: Reply, key_file: Path) -> NotProven:
    older = reply.status == 404 and b'"code":"not_found"' in reply.body
    details = [f"It answered with status {reply.status}" if reply.status else "It does not answer in HTTP"]
    if reply.server:
        details.append(f"Server: {reply.server}")
    if process := listener(port):
        details.append(f"process {process}")
    if older:
        advice = "It looks like a labeling service of an older version of Labelwright: stop it and start it again"
    else:
        advice = (
            "Stop that program, or start the labeling service anew (labelwright serve), which takes another port. If "
            "it is a proxy of yours, set LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__KEY and __SECRET"
        )
    return NotProven(
        f"the program that listens on port {port} is not this home's labeling service: it did not prove that it knows "
        f"{key_file}, so it was sent no key and no secret. {', '.join(details)}. {advice}",
        older=older,
    )


def listener(port: int) -> str:
    """Number and name of the process that listens on a local port; empty when unknown (Linux only)."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError, ValueError, IndexError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for entry in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        with suppress(OSError):
            if str(entry.readlink()) in sockets:
                process = entry.parent.parent
                name = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f"{process.name} ({_shown(name)})"
    return ""


def _shown(command: str) -> str:
    """The program and its first argument; the rest of the command may contain secrets."""
    return " ".join(word for word in command.split()[:2] if word.isprintable())[:120]
