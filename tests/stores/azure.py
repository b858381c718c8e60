"""Azurite, the stand-in for Azure ML, and what the unchanged SDKs need to find both: shared by the marked tests."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import urlsplit

from azure.storage.blob import ContainerClient

from labelwright.settings import forget_settings
from tests.ingest.stores import Azurite

from .azure_ml.stand_in import GROUP, SUBSCRIPTION, WORKSPACE, AzureMl, azure_ml_at_hand

ADVICE = (
    "The environment of the Azure ML SDK {engine} is not there. Make it with `python -m "
    "labelwright.stores.azure_ml.environment {engine} FOLDER{more}` and set LABELWRIGHT_AZUREML_{upper} to the Python "
    "that it prints."
)


def python_of(engine: str) -> str:
    """The Python that has the SDK. Fails with advice where there is none."""
    python = os.environ.get(f"LABELWRIGHT_AZUREML_{engine.upper()}")
    if not python or not Path(python).exists():
        more = " mltable 'azureml-dataprep[pandas]'" if engine == "v1" else ""
        raise RuntimeError(ADVICE.format(engine=engine, upper=engine.upper(), more=more))
    return python


class Azure:
    """One workspace, and the container behind its datastore."""

    def __init__(self, ml: AzureMl, connection_string: str) -> None:
        self.ml = ml
        self.connection_string = connection_string
        self.container = ContainerClient.from_connection_string(connection_string, "extra-images")

    def names(self, start: str = "") -> list[str]:
        return sorted(blob.name for blob in self.container.list_blobs(name_starts_with=start))

    def read(self, name: str) -> bytes:
        return self.container.download_blob(name).readall()


@contextmanager
def azure_at_hand(folder: Path) -> Iterator[tuple[Azure, dict[str, str]]]:
    """Both, and the environment that leads there; the settings' workspaces of every name are made by `workspace`."""
    with ExitStack() as stack:
        ml, environment = stack.enter_context(azure_ml_at_hand(folder))
        azurite = Azurite(folder, on_disk=True, certificate=(folder / "certificate.pem", folder / "key.pem"))
        stack.callback(azurite.stop)
        port = urlsplit(dict(_parts(azurite.connection_string))["BlobEndpoint"]).port or 0
        proxy = stack.enter_context(_proxy_to(port, ml))
        environment |= {"HTTPS_PROXY": proxy}
        # Our own client, too, trusts the certificate by the environment.
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            # By name, since SDKs put the account before it: requests reads "no proxy for 127.0.0.1" as an ending.
            azure = Azure(ml, azurite.connection_string.replace("//127.0.0.1:", "//localhost:"))
            azure.container.create_container()
            stack.callback(azure.container.close)
            yield azure, environment
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def workspace(azure: Azure, name: str = "DEFAULT", **pythons: str) -> dict[str, str]:
    """The variables that describe the workspace to Labelwright."""
    start = f"LABELWRIGHT_WORKSPACES__{name}__"
    variables = {
        "SUBSCRIPTION_ID": SUBSCRIPTION,
        "RESOURCE_GROUP": GROUP,
        "WORKSPACE_NAME": WORKSPACE,
        "CONNECTION_STRING": azure.connection_string,
        "RESOURCE_MANAGER": azure.ml.address,
        "DEADLINE": "120",
    }
    forget_settings()
    return {start + key: value for key, value in (variables | pythons).items()}


def _parts(connection_string: str) -> list[tuple[str, str]]:
    return [(name, value) for part in connection_string.split(";") if part for name, _, value in [part.partition("=")]]


@contextmanager
def _proxy_to(port: int, ml: AzureMl) -> Iterator[str]:
    """SDKs make up an account's host, ``ACCOUNT.blob.<endpoint>``: a proxy leads it to Azurite, and nowhere else."""

    class Connect(StreamRequestHandler):
        def handle(self) -> None:
            method, target, _ = self.rfile.readline().decode().split(" ", 2)
            while self.rfile.readline().strip():
                pass
            ml.calls.append((method, target))
            if method != "CONNECT" or target not in (f"localhost:{port}", f"devstoreaccount1.blob.localhost:{port}"):
                self.wfile.write(b"HTTP/1.1 403 not to be reached from a test\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", port), 10) as onward:
                self.wfile.write(b"HTTP/1.1 200 connected\r\n\r\n")
                back = Thread(target=_pour, args=(onward, self.connection), daemon=True)
                back.start()
                _pour(self.connection, onward)
                back.join(10)

    server = ThreadingTCPServer(("127.0.0.1", 0), Connect)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
