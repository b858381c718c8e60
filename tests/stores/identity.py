"""Loopback stand-ins for the token endpoint of a virtual machine and for a blob account behind TLS."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from .azure_ml.stand_in import make_certificate


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yields the port of a server that ends with the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class TokenEndpoint:
    """Issues tokens, unless `status` says otherwise; `silent` closes the connection without a response."""

    def __init__(self) -> None:
        self.status, self.silent = 200, False
        self.headers: dict[str, str] = {}
        self.url = ""
        self.issued = 0

    @contextmanager
    def running(self) -> Iterator[TokenEndpoint]:
        endpoint = self

        class Handler(_Handler):
            def do_GET(self) -> None:
                if endpoint.silent:
                    self.close_connection = True
                    self.connection.close()
                elif self.headers.get("Metadata") != "true":  # a probe, whether somebody listens
                    self.send(400, b'{"error": "invalid_request"}', {"Content-Type": "application/json"})
                elif endpoint.status != 200:
                    body = json.dumps({"error": "unknown", "error_description": "on purpose"}).encode()
                    self.send(endpoint.status, body, {"Content-Type": "application/json"} | endpoint.headers)
                else:
                    endpoint.issued += 1
                    token = {"access_token": f"token-{endpoint.issued}", "expires_in": "3600", "token_type": "Bearer"}
                    token |= {"expires_on": str(int(time.time()) + 3600), "resource": "https://storage.azure.com/"}
                    self.send(200, json.dumps(token).encode(), {"Content-Type": "application/json"})

        with serving(Handler) as port:
            self.url = f"http://127.0.0.1:{port}"
            yield self


class BlobAccount:
    """Refuses every request with `status` and `code`; without them it holds nothing."""

    def __init__(self) -> None:
        self.status, self.code, self.detail = 404, "BlobNotFound", ""
        self.url = ""

    def refuse(self, status: int, code: str, detail: str = "") -> None:
        self.status, self.code, self.detail = status, code, detail

    @contextmanager
    def running(self, folder: Path) -> Iterator[BlobAccount]:
        account = self
        certificate, key = make_certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.certificate = certificate

        class Handler(_Handler):
            def do_GET(self) -> None:
                if not self.headers.get("Authorization", "").startswith("Bearer token-"):
                    self.send(403, b"", {"x-ms-error-code": "AuthenticationFailed"})
                    return
                detail = f"<AuthenticationErrorDetail>{account.detail}</AuthenticationErrorDetail>"
                body = f"<?xml version='1.0'?><Error><Code>{account.code}</Code><Message>no</Message>{detail}</Error>"
                headers = {"x-ms-error-code": account.code, "Content-Type": "application/xml"}
                self.send(account.status, body.encode(), headers)

            do_HEAD = do_PUT = do_GET

        with serving(Handler, context) as port:
            self.url = f"https://127.0.0.1:{port}/account/images"
            yield self
