"""The Kubernetes manifests, held against Kubernetes' own schemas and against the code."""

from __future__ import annotations

import json
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from labelwright.deploying import POOL

from .test_compose import INFRA, SERVICES, check_command

FOLDER = INFRA / "kubernetes"
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "labelwright.yaml").read_text()))
TEMPLATE: dict[str, Any] = json.loads((FOLDER / "base-job-template.json").read_text())
VERSIONS = ["1.31", "1.34"]


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in MANIFESTS if one["kind"] == kind}


def job() -> dict[str, Any]:
    """The Job as Prefect makes it with the template's own defaults."""
    values: dict[str, Any] = {name: one.get("default") for name, one in TEMPLATE["variables"]["properties"].items()}
    values |= {"name": "brave-fox", "command": ["prefect", "flow-run", "execute"], "labels": {"a": "b"}, "env": []}

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        if isinstance(value, str) and (whole := re.fullmatch(r"{{ (\w+) }}", value)):
            return values[whole[1]]
        return re.sub(r"{{ (\w+) }}", lambda found: str(values[found[1]]), value) if isinstance(value, str) else value

    return filled(TEMPLATE["job_configuration"]["job_manifest"])


PODS = [one["spec"]["template"] for one in of("Deployment").values()] + [job()["spec"]["template"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_schemas_accept_every_manifest(version):
    for manifest in (*MANIFESTS, job()):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_what_is_wrong_is_refused_by_these_schemas():
    wrong = yaml.safe_load(json.dumps(of("Deployment")["service"]))
    wrong["spec"]["template"]["spec"]["contaners"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("name", sorted(of("Deployment")))
def test_every_command_is_one(name):
    (container,) = of("Deployment")[name]["spec"]["template"]["spec"]["containers"]
    check_command(container["command"])


def test_commands_ports_and_pool_are_those_of_compose():
    for name, one in of("Deployment").items():
        (container,) = one["spec"]["template"]["spec"]["containers"]
        if name != "worker":
            wanted = SERVICES[name]["command"]
            assert " ".join(container["command"]) in " ".join(wanted)
            assert f":{container['ports'][0]['containerPort']}:" in SERVICES[name]["ports"][0]
    command = of("Deployment")["worker"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[command.index("--pool") + 1] == POOL


def test_variables_are_those_of_compose():
    known = {name for one in SERVICES.values() for name in one.get("environment", {})} | {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL",
        "PREFECT_HOME",
    }
    text = (FOLDER / "labelwright.yaml").read_text()
    assert set(re.findall(r"\b(?:PREFECT|LABELWRIGHT)_[A-Z_]+", text)) <= known


def test_probes_ask_the_port_that_is_listened_on():
    for one in of("Deployment").values():
        (container,) = one["spec"]["template"]["spec"]["containers"]
        assert {"startupProbe", "livenessProbe"} <= container.keys()
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container:
                assert container[probe]["httpGet"]["port"] == container["ports"][0]["containerPort"]


def test_pods_have_no_rights_and_bounds_to_their_memory():
    for pod in PODS:
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]
        tells_kubernetes = pod["spec"].get("serviceAccountName") == "worker"
        assert tells_kubernetes or pod["spec"]["automountServiceAccountToken"] is False


def test_every_secret_file_is_mounted_where_it_is_read():
    config = of("ConfigMap")["labelwright"]["data"]
    for pod in PODS:
        (container,) = pod["spec"]["containers"]
        values = [one.get("value", "") for one in container.get("env") or []]
        values += config.values() if container.get("envFrom") else []
        read = set(re.findall(r"/run/secrets/labelwright/(\w+)", " ".join(values)))
        mounted = {
            item["path"]
            for volume in pod["spec"]["volumes"]
            if "secret" in volume
            for item in volume["secret"]["items"]
        }
        assert read == mounted


def test_names_that_manifests_use_are_there():
    claims = set(of("PersistentVolumeClaim"))
    for pod in PODS:
        names = {volume["name"] for volume in pod["spec"]["volumes"]}
        (container,) = pod["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == names
        for volume in pod["spec"]["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
    labels = {pod["metadata"]["labels"]["app"] for pod in PODS}
    text = json.dumps([*of("NetworkPolicy").values(), *of("Service").values()])
    assert set(re.findall(r'"app": "([\w-]+)"', text)) <= labels
    hosts = set(re.findall(r"http://(\w+):\d+", (FOLDER / "labelwright.yaml").read_text()))
    assert hosts <= set(of("Service"))


def test_the_templates_variables_are_all_used_and_all_there():
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(TEMPLATE["job_configuration"])))
    assert used == set(TEMPLATE["variables"]["properties"])


def test_prefect_takes_the_template():
    from prefect.client.schemas.actions import WorkPoolCreate

    WorkPoolCreate(name=POOL, type="kubernetes", base_job_template=TEMPLATE)
