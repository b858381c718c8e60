"""Real blob stores for the tests, each on a socket of its own."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

_ADMIN = ("admin-of-the-tests", "a secret of the tests")
_ACCOUNT = "devstoreaccount1"
# The key of every Azurite there is, printed in its documentation.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Store(Protocol):
    def new_container(self, rights: str = "rwdl", seconds: float = 3600) -> str:
        """The URL of an empty container with a SAS."""
        ...

    def gone_container(self) -> str:
        """The URL, with a valid SAS, of a container that is no longer there."""
        ...

    def stop(self) -> None: ...


class Azurite:
    """Microsoft's own stand-in for Azure Storage, strict (not --loose)."""

    def __init__(
        self,
        folder: Path,
        *,
        own_process: bool = True,
        on_disk: bool = False,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        """In memory, or on disk in the folder; with TLS when a certificate and its key are given."""
        program = os.environ.get("LABELWRIGHT_AZURITE") or shutil.which("azurite-blob")
        if not program:
            raise RuntimeError(
                "Azurite is not installed. Get it with `npm install --prefix FOLDER azurite` (Node 20 or newer) "
                "and set LABELWRIGHT_AZURITE=FOLDER/node_modules/.bin/azurite-blob."
            )
        log = folder / "azurite.log"
        options, environment = ["--blobPort", "0", "--skipApiVersionCheck", "--disableTelemetry"], dict(os.environ)
        options += ["--location", str(folder / "blobs")] if on_disk else ["--inMemoryPersistence"]
        if certificate is not None:
            chain, key = map(str, certificate)
            # With TLS it takes identities too: it looks at a token's issuer, audience and time, not at its signature.
            options += ["--cert", chain, "--key", key, "--oauth", "basic"]
            # Asked for a copy, it asks itself for the source.
            environment["NODE_EXTRA_CA_CERTS"] = chain
        with log.open("w") as out:
            self._process = subprocess.Popen([program, *options], stdout=out, stderr=out, cwd=folder, env=environment)
        deadline = time.monotonic() + 240
        while not (address := re.search(r"successfully listens on (https?://\S+)", log.read_text())):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"Azurite did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        self._address = address[1]
        self.connection_string = (
            f"DefaultEndpointsProtocol={self._address.partition(':')[0]};AccountName={_ACCOUNT};AccountKey={_KEY};"
            f"BlobEndpoint={self._address}/{_ACCOUNT};"
        )

    def new_container(self, rights: str = "rwdl", seconds: float = 3600) -> str:
        from azure.storage.blob import ContainerClient, generate_container_sas

        name = f"dropbox-{uuid.uuid4().hex[:12]}"
        with ContainerClient(f"{self._address}/{_ACCOUNT}", name, credential=_KEY) as client:
            client.create_container()
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        sas = generate_container_sas(_ACCOUNT, name, account_key=_KEY, permission=rights, expiry=until)
        return f"{self._address}/{_ACCOUNT}/{name}?{sas}"

    def gone_container(self) -> str:
        from azure.storage.blob import ContainerClient

        url = self.new_container()
        name = url.partition("?")[0].rpartition("/")[2]
        with ContainerClient(f"{self._address}/{_ACCOUNT}", name, credential=_KEY) as client:
            client.delete_container()
        return url

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


class Service:
    """The embedded service: in a thread, or in a process of its own as measurements need it."""

    def __init__(self, folder: Path, *, own_process: bool = False) -> None:
        from labelwright.service import ServiceConfig
        from labelwright.service.blobs.sas import Signer
        from labelwright.service.run import serving

        self._stack = ExitStack()
        self._folder = folder
        if own_process:
            self._address = self._stack.enter_context(_served_apart(folder))
        else:
            config = ServiceConfig(folder, admin_key=_ADMIN[0], admin_secret=_ADMIN[1])
            self._address = self._stack.enter_context(serving(config))
        self._signer = Signer.of(folder)

    def new_container(self, rights: str = "rwdl", seconds: float = 3600) -> str:
        import requests

        response = requests.post(
            f"{self._address}/api/v1/image_sets",
            json={"title": f"set {uuid.uuid4().hex[:12]}", "metadata": {}},
            headers={"Authentication-Key": _ADMIN[0], "Authentication-Secret": _ADMIN[1]},
            timeout=30,
        )
        response.raise_for_status()
        url = str(response.json()["dropbox_url"])
        return url if (rights, seconds) == ("rwdl", 3600) else self._signed(url, rights, seconds)

    def gone_container(self) -> str:
        return self._signed(f"{self._address}/blob/dropbox-that-never-was", "rwdl", 3600)

    def _signed(self, url: str, rights: str, seconds: float) -> str:
        bare = url.partition("?")[0]
        lifetime = datetime.timedelta(seconds=seconds)
        return f"{bare}?{self._signer.sign(bare.rpartition('/')[2], None, rights, lifetime)}"

    def stop(self) -> None:
        self._stack.close()


@contextmanager
def _served_apart(folder: Path) -> Iterator[str]:
    code = (
        "import sys, pathlib; from labelwright.service import ServiceConfig; from labelwright.service.run import serve;"
        "serve(ServiceConfig(pathlib.Path(sys.argv[1]), admin_key=sys.argv[2], admin_secret=sys.argv[3]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder), *_ADMIN])
    try:
        deadline, payload = time.monotonic() + 240, folder / "service.json"
        while not payload.exists() or not payload.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the embedded service did not start")
            time.sleep(0.05)
        yield str(json.loads(payload.read_text())["url"])
    finally:
        process.terminate()
        process.wait(20)


STORES: dict[str, Callable[..., Store]] = {"service": Service, "azurite": Azurite}
