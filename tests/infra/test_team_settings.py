"""Settings that several parts of a team need alike: each part of Compose and Kubernetes that needs one has it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

import pytest
import yaml

from .compose import DOCUMENTS, INFRA

DROP = "LABELWRIGHT_RECEIVER__DROP_CONTAINER"
SAS = "LABELWRIGHT_CONTAINER_SAS_FILE"
FINISH_BY, SWEEP_EVERY = "LABELWRIGHT_FINISH_BY", "LABELWRIGHT_SWEEP_EVERY"
LEDGER = "LABELWRIGHT_LEDGER_URL_FILE"


def of_compose(document: str) -> dict[str, dict[str, str]]:
    services = DOCUMENTS[document]["services"]
    return {name: services[name].get("environment", {}) for name in ("worker", "receiver", "deploy")}


def of_kubernetes() -> dict[str, dict[str, str]]:
    """The variables of runs and of the receiver, with what they take from config maps."""
    manifests = list(yaml.safe_load_all((INFRA / "kubernetes" / "labelwright.yaml").read_text()))
    maps = {item["metadata"]["name"]: item["data"] for item in manifests if item["kind"] == "ConfigMap"}
    (receiver,) = [
        item for item in manifests if item["kind"] == "Deployment" and item["metadata"]["name"] == "receiver"
    ]
    template = json.loads((INFRA / "kubernetes" / "base-job-template.json").read_text())
    (run,) = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"]

    def variables(container: dict[str, Any]) -> dict[str, str]:
        values: dict[str, str] = {}
        for source in container.get("envFrom", []):
            values |= maps.get(source["configMapRef"]["name"], {})
        for variable in container["env"] if isinstance(container["env"], list) else []:
            reference = variable.get("valueFrom", {}).get("configMapKeyRef")
            values[variable["name"]] = (
                maps[reference["name"]][reference["key"]] if reference else variable.get("value", "")
            )
        return values

    (container,) = receiver["spec"]["template"]["spec"]["containers"]
    return {"worker": variables(run), "receiver": variables(container)}


INSTALLED = {**{name: of_compose(name) for name in DOCUMENTS}, "kubernetes": of_kubernetes()}


@pytest.mark.parametrize("where", INSTALLED)
def test_receiver_and_workers_have_one_drop_container(where):
    parts = INSTALLED[where]
    assert parts["receiver"][DROP] == parts["worker"][DROP]
    # Only workers read it; the receiver, which strangers reach, has no credential for it.
    assert SAS in parts["worker"]
    assert not [name for name in parts["receiver"] if "CONTAINER_SAS" in name]


@pytest.mark.parametrize("where", INSTALLED)
def test_receiver_and_workers_have_a_ledger_in_a_database(where):
    assert all(INSTALLED[where][part][LEDGER].startswith("/run/secrets/") for part in ("worker", "receiver"))


@pytest.mark.parametrize("where", DOCUMENTS)
def test_what_is_deployed_agrees_with_what_workers_do(where):
    parts = INSTALLED[where]
    for name in (FINISH_BY, SWEEP_EVERY):
        assert parts["deploy"][name] == parts["worker"][name]


def test_one_variable_sets_the_drop_container_of_every_part():
    text = (INFRA / "compose.yaml").read_text()
    assert text.count(f"{DROP}:") == text.count("${DROP_CONTAINER:-}") == 1
    assert (INFRA / "kubernetes" / "labelwright.yaml").read_text().count(f"  {DROP}:") == 1


# Plain hosts

SCRIPT = (INFRA / "plain-hosts").read_text()
DOCS = INFRA.parent / "docs"


def exported() -> dict[str, str]:
    """Variables that the script sets, with what they are set to."""
    script = SCRIPT.partition("set -eu")[2]
    found = re.findall(r"\b((?:LABELWRIGHT|PREFECT)_[A-Z_]+)=(\"[^\"]*\"|'[^']*'|\S+)", script)
    return {name: " ".join(value.strip("'").split()) for name, value in found}


def test_plain_hosts_get_the_variables_of_compose():
    services = DOCUMENTS["scaled"]["services"]
    of_compose = {name for service in services.values() for name in service.get("environment", {})}
    of_compose |= set(
        re.findall(r"\b(PREFECT_[A-Z_]+)=", str([service.get("command") for service in services.values()]))
    )
    # Addresses of containers, and what only they need.
    elsewhere = {"PREFECT_API_URL", "PREFECT_UI_API_URL", "PREFECT_WORKER_WEBSERVER_PORT", "POSTGRES_PASSWORD_FILE"}
    assert exported().keys() == of_compose - elsewhere
    shared = services["services"]["environment"]
    assert {name: exported()[name] for name in shared} == shared


def test_plain_hosts_read_the_secrets_of_each_part():
    made = set(re.findall(r"^write(?:_url)? (\w+)", (INFRA / "make-secrets").read_text(), re.M))
    read = set(re.findall(r"\$secrets/(\w+)|\$\(secret (\w+)\)", SCRIPT))
    assert {first or second for first, second in read} <= made


def test_the_documentation_names_every_part_of_the_script():
    parts = set(re.findall(r"^  ([a-z]+)\)", SCRIPT, re.M))
    text = (DOCS / "plain-hosts.md").read_text()
    assert set(re.findall(r"plain-hosts ([a-z]+)", text)) == parts
    assert set(re.findall(r"^#   infra/plain-hosts ([a-z]+)", SCRIPT, re.M)) == parts


def test_a_part_without_its_settings_says_which(tmp_path):
    environment = {"PATH": os.environ["PATH"], "SECRETS": str(tmp_path)}

    def told(*words: str, **more: str) -> str:
        command = ["sh", INFRA / "plain-hosts", *words]
        completed = subprocess.run(command, capture_output=True, text=True, env=environment | more)
        assert completed.returncode in (1, 2)
        return completed.stderr

    assert "set PREFECT_API_URL for 'worker'" in told("worker", "one")
    assert "set NAME for 'worker'" in told("worker")
    assert "prefect_database_url cannot be read; infra/make-secrets makes it" in told("prefect")
    assert "infra/plain-hosts databases" in told("nonsense")


def test_every_deployment_is_in_the_documentation_with_its_limit():
    rows = re.findall(
        r"^\| (`[^|]*) \| [^|]* \| (no limit|\d+), ?(?:more wait|a late one is skipped) \|$|"
        r"^\| (`[^|]*) \| [^|]* \| (no limit) \|$",
        (DOCS / "deploying.md").read_text(),
        re.M,
    )
    documented = {
        name: limit or unlimited
        for names, limit, more, unlimited in rows
        for name in re.findall(r"`([a-z-]+)`", names or more)
    }
    deployments = yaml.safe_load((INFRA.parent / "deployments" / "prefect.yaml").read_text())["deployments"]
    assert documented == {
        item["name"]: str(item["concurrency_limit"]["limit"]) if "concurrency_limit" in item else "no limit"
        for item in deployments
    }
