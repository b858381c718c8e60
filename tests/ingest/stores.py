"""Real blob stores for the tests, each on a socket of its own."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

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

    def __init__(self, folder: Path, *, own_process: bool = True) -> None:
        program = os.environ.get("LABELWRIGHT_AZURITE") or shutil.which("azurite-blob")
        if not program:
            raise RuntimeError(
                "Azurite is not installed. Get it with `npm install --prefix FOLDER azurite` (Node 20 or newer) "
                "and set LABELWRIGHT_AZURITE=FOLDER/node_modules/.bin/azurite-blob."
            )
        log = folder / "azurite.log"
        options = ["--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
        with log.open("w") as out:
            self._process = subprocess.Popen([program, *options], stdout=out, stderr=out, cwd=folder)
        deadline = time.monotonic() + 60
        while not (address := re.search(r"successfully listens on (http://\S+)", log.read_text())):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"Azurite did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        self._address = address[1]

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
    """The embedded service, in a thread of this process."""

    def __init__(self, folder: Path, *, own_process: bool = False) -> None:
        raise RuntimeError("not merged yet")

    def new_container(self, rights: str = "rwdl", seconds: float = 3600) -> str:
        raise NotImplementedError

    def gone_container(self) -> str:
        raise NotImplementedError

    def stop(self) -> None:
        pass


STORES: dict[str, Callable[..., Store]] = {"service": Service, "azurite": Azurite}
