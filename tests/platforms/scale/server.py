"""A fake server of Scale's REST API on a real socket, with or without TLS and with programmable faults.

    with ScaleServer() as server:
        client = scaleapi.ScaleClient("test_key", api_instance_url=server.url)
        server.live.complete(task, {"annotations": []})

Run as a program it serves until it is interrupted: `python -m tests.platforms.scale.server --port 8751 [--tls]`.
"""

from __future__ import annotations

import argparse
import json
import re
import ssl
import tempfile
import threading
import time
from base64 import b64decode
from dataclasses import dataclass
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .state import Answer, Json, State, bad

V1 = "/v1"


@dataclass
class Fault:
    """What goes wrong: `status` is answered instead of what the call gives, or nothing at all (0: the connection is
    cut). With `after` the server has acted by then."""

    method: str
    path: str
    """Searched in the path with its query."""
    status: int
    times: int = 1
    after: bool = False
    retry_after: str | None = None
    seconds: float = 0.0
    body: bytes = b""
    """What the request's body has to hold."""
    met: int = 0


class ScaleServer:
    """`url` ends with /v1. Keys are any that begin with test_ or live_, or end with |test or |live; `test` and `live`
    are what the two kinds see. With `tls` a certificate authority of its own is made: its file is `ca`."""

    def __init__(self, *, tls: bool = False, port: int = 0) -> None:
        self.test, self.live = State(test=True), State(test=False)
        self.callback_key = "callback-key-of-the-stand-in"
        self.requests: list[tuple[str, str, int]] = []
        """Method, path with query, status."""
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="scale-")
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self.port = self._server.server_address[1]
        self.ca: str | None = None
        if tls:
            self.ca, certificate, key = make_certificates(Path(self._folder.name))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}{V1}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> ScaleServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()

    def fail(self, method: str, path: str, status: int, **more: Any) -> Fault:
        fault = Fault(method, path, status, **more)
        self._faults.append(fault)
        return fault

    def heal(self) -> None:
        self._faults.clear()

    def statuses_of(self, method: str, path: str) -> list[int]:
        """Returns the status of each request with that method and a path that matches."""
        return [status for used, url, status in self.requests if used == method and re.search(path, url)]

    def call_back(self, world: State, id: str, *, key: str | None = None, tries: int = 20) -> list[int]:
        """Post a task to its callback_url as Scale does, again and again until somebody answers 2xx. Answers the
        statuses (0: nobody was there). `key` is the account's callback key."""
        import requests

        task, statuses = world.task(id), []
        payload = {"task": task, "response": task.get("response"), "task_id": id, "status": task["status"]}
        headers = {"scale-callback-auth": self.callback_key if key is None else key}
        for _ in range(tries):
            try:
                response = requests.post(task["callback_url"], json=payload, headers=headers, timeout=60)
                statuses.append(response.status_code)
            except requests.RequestException:
                statuses.append(0)
            if 200 <= statuses[-1] < 300:
                break
        task["callback_succeeded"] = 200 <= statuses[-1] < 300
        return statuses

    def fault_for(self, method: str, path: str, body: bytes) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                meant = fault.method == method and re.search(fault.path, path) and fault.body in body
                if meant and fault.met < fault.times:
                    fault.met += 1
                    return fault
        return None

    def world(self, key: str) -> State:
        if key.startswith("test_") or key.endswith("|test"):
            return self.test
        if key.startswith("live_") or key.endswith("|live"):
            return self.live
        raise Answer(401, "Invalid API key.")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave, and handshakes that fail, are part of the tests."""


class _Cut(Exception):
    """The connection ends without an answer."""


class _Handler(BaseHTTPRequestHandler):
    owner: ScaleServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size else b""
        fault = self.owner.fault_for(self.command, self.path, body)
        more: dict[str, str] = {}
        try:
            status, payload = self._fail(fault) if fault is not None and not fault.after else self._act(body)
            if fault is not None and fault.after:
                status, payload = self._fail(fault)
            if fault is not None and fault.retry_after is not None:
                more["Retry-After"] = fault.retry_after
        except _Cut:
            self.owner.requests.append((self.command, self.path, 0))
            self.close_connection = True
            self.connection.close()
            return
        self.owner.requests.append((self.command, self.path, status))
        data = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    do_POST = do_PUT = do_DELETE = do_GET

    def _fail(self, fault: Fault) -> tuple[int, Json]:
        time.sleep(fault.seconds)
        if not fault.status:
            raise _Cut
        return fault.status, {"status_code": fault.status, "error": f"This is fault {fault.status}."}

    def _act(self, body: bytes) -> tuple[int, Any]:
        try:
            world = self.owner.world(self._key())
            with world.lock:
                # Written while nobody else changes it.
                return 200, json.loads(json.dumps(self._route(world, body)))
        except Answer as response:
            return response.status, {"status_code": response.status, "error": response.error}

    def _key(self) -> str:
        kind, _, credentials = self.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = b64decode(credentials, validate=True).decode().partition(":")
        except ValueError:
            user, password = "", "?"
        if kind.lower() != "basic" or password or not user:
            raise Answer(401, "No valid API key was given.")
        return user

    def _route(self, world: State, body: bytes) -> Any:
        parts = urlsplit(self.path)
        if not parts.path.startswith(f"{V1}/"):
            raise Answer(404, "There is nothing here.")
        steps = [unquote(step) for step in parts.path.removeprefix(f"{V1}/").split("/")]
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        if steps == ["files", "upload"] and self.command == "POST":
            return world.upload(*self._form(body))
        return self._verb(world, steps, query, self._json(body))

    def _verb(self, world: State, steps: list[str], query: Any, body: Any) -> Any:
        match (self.command, *steps):
            case ("POST", "projects"):
                return world.create_project(_body(body))
            case ("GET", "projects"):
                return list(world.projects.values())
            case ("GET", "projects", name):
                return world.project(name)
            case ("POST", "projects", name, "setParams"):
                return world.set_params(name, _body(body))
            case ("POST", "batches"):
                return world.create_batch(_body(body))
            case ("GET", "batches"):
                return world.list_batches(query)
            case ("GET", "batches", name):
                return world.batch(name)
            case ("GET", "batches", name, "status"):
                return world.batch_status(name)
            case ("POST", "batches", name, "finalize"):
                return world.finalize(name)
            case ("POST", "batches", name, "setMetadata"):
                return world.set_batch_metadata(name, body)
            case ("POST", "files", "import"):
                return world.import_file(_body(body))
            case ("GET", "teams"):
                return list(world.teammates.values())
            case ("POST", "teams", "invite"):
                return world.invite(_body(body))
            case ("POST", "teams", "set_role"):
                return world.set_roles(_body(body))
        return self._task_verb(world, steps, query, body)

    def _task_verb(self, world: State, steps: list[str], query: Any, body: Any) -> Any:
        match (self.command, *steps):
            case ("GET", "tasks"):
                return world.list_tasks(query)
            case ("POST", "task", kind):
                return world.create_task(kind, _body(body))
            case ("GET", "task", id):
                return world.task(id)
            case ("POST", "task", id, "cancel"):
                return world.cancel(id, query)
            case ("POST", "task", id, "unique_id"):
                return world.set_unique_id(id, _body(body))
            case ("DELETE", "task", id, "unique_id"):
                return world.clear_unique_id(id)
            case ("POST", "task", id, "setMetadata"):
                return world.set_task_metadata(id, body)
            case ("POST" | "PUT" | "DELETE", "task", id, "tags"):
                return world.set_tags(id, self.command, body)
            case ("POST", "task", id, "audit"):
                return world.audit(id, _body(body))
        raise Answer(404, "There is nothing here.")

    def _json(self, body: bytes) -> Any:
        if not body:
            return None
        if "json" not in self.headers.get("Content-Type", ""):
            raise bad("The body must be JSON.")
        try:
            return json.loads(body)
        except ValueError:
            raise bad("The body is no JSON.") from None

    def _form(self, body: bytes) -> tuple[dict[str, str], bytes | None]:
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            raise bad("A file is sent as multipart/form-data.")
        message: Any = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
        fields: dict[str, str] = {}
        file = None
        for part in message.get_payload():
            name = part.get_param("name", header="content-disposition")
            data = part.get_payload(decode=True)
            if name == "file":
                file = data
            else:
                fields[str(name)] = data.decode()
        return fields, file


def _body(body: Any) -> Json:
    if not isinstance(body, dict):
        raise bad("The body must be a JSON object.")
    return body


def make_certificates(folder: Path) -> tuple[str, str, str]:
    """An authority, and a server's certificate for 127.0.0.1 with its key: three PEM files, good for a day."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    def certificate(name: str, key: Any, by: str, with_key: Any, *more: tuple[Any, bool]) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(by)).public_key(key.public_key())
        )
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        for extension, critical in more:
            builder = builder.add_extension(extension, critical)
        return builder.sign(with_key, hashes.SHA256())

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    us = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    them = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    authority = certificate(
        "stand-in CA",
        authority_key,
        "stand-in CA",
        authority_key,
        (x509.BasicConstraints(True, None), True),
        (usage, True),
        (us, False),
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")])
    server = certificate("127.0.0.1", key, "stand-in CA", authority_key, (names, False), (them, False))
    files = [folder / name for name in ("ca.pem", "server.pem", "server.key")]
    pem = serialization.Encoding.PEM
    files[0].write_bytes(authority.public_bytes(pem))
    files[1].write_bytes(server.public_bytes(pem))
    files[2].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return str(files[0]), str(files[1]), str(files[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8751)
    parser.add_argument("--tls", action="store_true")
    arguments = parser.parse_args()
    with ScaleServer(tls=arguments.tls, port=arguments.port) as server:
        print(server.url, f"CA: {server.ca}" if server.ca else "", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
