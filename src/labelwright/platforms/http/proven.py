"""Connections to the embedded service, which proves its identity on them before anything else is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests
from urllib3.connectionpool import HTTPConnectionPool

from labelwright.platforms.errors import PlatformRefused
from labelwright.security.identity import NotProven, check

from .connections import TimedAdapter, TimedConnection


class ProvenAdapter(TimedAdapter):
    """An adapter for sessions of requests: the server proves that it has the key in `key_file`, and no proxy is used.

    Without that proof a request raises PlatformRefused before any of its headers are sent.
    """

    def __init__(self, platform: str, key_file: Path, *, threads: int = 32) -> None:
        class Connection(TimedConnection):
            def connect(self) -> None:
                super().connect()
                try:
                    check(self.sock, key_file)
                except NotProven as error:
                    self.close()
                    operation = "prove that it is the labeling service"
                    raise PlatformRefused(platform, operation, message=str(error), advice="Nothing was done.") from None
                except BaseException:
                    self.close()
                    raise

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        self._pool = Pool
        super().__init__(pool_connections=4, pool_maxsize=threads)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": self._pool}

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        return super().send(request, *arguments, **{**options, "proxies": {}})
