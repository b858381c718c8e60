"""Prefect's API asked over HTTP, as its UI does it, and with the patience of its own client.

On SQLite the server answers 503 to what met another writer, has changed nothing then, and wants to be asked again.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

_AGAIN = Retry(
    total=None,
    connect=0,
    read=0,
    redirect=0,
    status=8,
    status_forcelist=(503,),
    allowed_methods=None,
    backoff_factor=0.1,
)


def ask(method: str, path: str, body: object | None = None, api: str | None = None) -> requests.Response:
    """Whatever the server answers in the end; `api` names another server than that of the tests' session."""
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=_AGAIN))
        return session.request(method, f"{api or os.environ['PREFECT_API_URL']}{path}", json=body, timeout=60)


def get(path: str, api: str | None = None) -> Any:
    response = ask("GET", path, api=api)
    response.raise_for_status()
    return response.json()


def create(path: str, body: object, api: str | None = None) -> Any:
    response = ask("POST", path, body, api)
    assert response.status_code == 201, f"{path}: {response.status_code} {response.text}"
    return response.json()


def post(path: str, body: object, api: str | None = None) -> Any:
    response = ask("POST", path, body, api)
    assert response.ok, f"{path}: {response.status_code} {response.text}"
    return response.json()


def every_run(api: str | None = None) -> list[dict[str, Any]]:
    """All flow runs, page by page: the server of the session keeps those of other tests, by the hundred."""
    runs: dict[str, dict[str, Any]] = {}
    for offset in itertools.count(step=200):
        page = post("/flow_runs/filter", {"offset": offset, "limit": 200}, api)
        runs |= {run["id"]: run for run in page}
        if len(page) < 200:
            return list(runs.values())
    raise AssertionError("pages without an end")


def runs_of(deployment: str, api: str | None = None) -> list[dict[str, Any]]:
    return list(post("/flow_runs/filter", {"deployments": {"name": {"any_": [deployment]}}}, api))
