"""Prefect's servers of infra/ keep events as that of `labelwright up` does."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from labelwright.local.prefect_events import event_retention

from .compose import DOCUMENTS, INFRA

OVERRIDES = "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES"


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((INFRA / "kubernetes" / name).read_text()))


def environments() -> dict[str, dict[str, Any]]:
    (prefect,) = [
        entry
        for entry in manifests("labelwright.yaml")
        if (entry["kind"], entry["metadata"]["name"]) == ("Deployment", "prefect")
    ]
    (container,) = prefect["spec"]["template"]["spec"]["containers"]
    (shared,) = [
        entry
        for entry in manifests("several-api-servers.yaml")
        if (entry["kind"], entry["metadata"]["name"]) == ("ConfigMap", "prefect-shared")
    ]
    found = {
        "kubernetes": {entry["name"]: entry.get("value") for entry in container["env"]},
        "several API servers": shared["data"],
    }
    for name, document in DOCUMENTS.items():
        for service, entry in document["services"].items():
            environment = entry.get("environment", {})
            if "PREFECT_SERVER_DATABASE_CONNECTION_URL" in str(entry.get("command")) and "server start" in str(
                entry["command"]
            ):
                found[f"{name} {service}"] = environment
    return found


@pytest.mark.parametrize("place", sorted(environments()))
def test_servers_keep_events_as_those_of_up(place):
    environment = environments()[place]
    expected = dict(event_retention(30))
    assert json.loads(environment[OVERRIDES]) == json.loads(expected.pop(OVERRIDES))
    assert {name: environment[name] for name in expected} == expected
