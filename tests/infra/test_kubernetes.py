"""The Kubernetes manifests, held against Kubernetes' own schemas and against the code."""

from __future__ import annotations

import json
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from labelwright.deploying import POOL

from .compose import DOCUMENTS, INFRA
from .test_compose import check_command

FOLDER = INFRA / "kubernetes"
TEXTS = {name: (FOLDER / name).read_text() for name in ("labelwright.yaml", "several-api-servers.yaml")}
MANIFESTS: list[dict[str, Any]] = [one for text in TEXTS.values() for one in yaml.safe_load_all(text)]
SERVICES: dict[str, Any] = DOCUMENTS["scaled"]["services"]
TEMPLATE: dict[str, Any] = json.loads((FOLDER / "base-job-template.json").read_text())
VERSIONS = ["1.31", "1.34"]


def of(kind: str) -> dict[str, dict[str, Any]]:
    """With both files applied: what stands in the second one under a name of the first replaces it."""
    return {one["metadata"]["name"]: one for one in MANIFESTS if one["kind"] == kind}


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


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


DEPLOYMENTS = [one for one in MANIFESTS if one["kind"] == "Deployment"]
PODS = [one["spec"]["template"] for one in DEPLOYMENTS] + [job()["spec"]["template"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_schemas_accept_every_manifest(version):
    for manifest in (*MANIFESTS, job()):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_what_is_wrong_is_refused_by_these_schemas():
    wrong = yaml.safe_load(json.dumps(of("Deployment")["service"]))
    wrong["spec"]["template"]["spec"]["contaners"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["metadata"]["name"])
def test_every_command_is_one(deployment):
    for container in containers(deployment["spec"]["template"]):
        if container["image"] != "redis:7.2":
            check_command(container["command"])


def test_commands_ports_and_pool_are_those_of_compose():
    names = {"prefect-services": "services"}
    for one in DEPLOYMENTS:
        name = one["metadata"]["name"]
        first, *_ = one["spec"]["template"]["spec"]["containers"]
        if name not in ("worker", "redis"):
            wanted = " ".join(SERVICES[names.get(name, name)]["command"])
            # Of both files: the first one's API server runs the services too.
            assert " ".join(first["command"]).replace(" --no-services", "") in wanted.replace(" --no-services", "")
        if "ports" in first and name not in ("worker", "redis"):
            assert f":{first['ports'][0]['containerPort']}:" in SERVICES[name]["ports"][0]
    command = of("Deployment")["worker"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[command.index("--pool") + 1] == POOL


def test_several_api_servers_run_no_services_and_the_services_run_once():
    api, services = (of("Deployment")[name]["spec"] for name in ("prefect", "prefect-services"))
    assert api["replicas"] > 1
    assert "--no-services" in api["template"]["spec"]["containers"][0]["command"]
    assert services["replicas"] == 1
    assert services["strategy"] == {"type": "Recreate"}
    (migrate,) = services["template"]["spec"]["initContainers"]
    assert " ".join(migrate["command"]) in " ".join(SERVICES["migrate"]["command"])
    assert of("ConfigMap")["prefect-shared"]["data"] == SERVICES["services"]["environment"]
    for spec in (api, services):
        (container,) = spec["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "prefect-shared"}}]
        given = {one["name"] for one in container["env"]}
        assert given == set(re.findall(r"\b(PREFECT_\w+)=", SERVICES["services"]["command"][2]))


def test_variables_are_those_of_compose():
    known = {name for one in SERVICES.values() for name in one.get("environment", {})}
    known |= set(re.findall(r"\b(PREFECT_\w+)=", str([one.get("command") for one in SERVICES.values()])))
    found = set(re.findall(r"\b(?:PREFECT|LABELWRIGHT)_[A-Z_]+", "".join(TEXTS.values())))
    assert found - {"PREFECT_HOME"} <= known


def test_config_maps_that_pods_read_are_there():
    for pod in PODS:
        for container in containers(pod):
            for one in container.get("envFrom", []):
                assert one["configMapRef"]["name"] in of("ConfigMap")


def test_every_image_of_ours_is_that_of_compose():
    ours = {container["image"] for pod in PODS for container in containers(pod)}
    assert ours <= {one["image"] for one in SERVICES.values()} | {"prefecthq/prefect:3.8.8-python3.11-kubernetes"}


def test_probes_ask_the_port_that_is_listened_on():
    for one in DEPLOYMENTS:
        (container,) = one["spec"]["template"]["spec"]["containers"]
        if one["metadata"]["name"] == "prefect-services":
            assert "ports" not in container
            continue
        assert {"startupProbe", "livenessProbe"} <= container.keys()
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if "httpGet" in container.get(probe, {}):
                assert container[probe]["httpGet"]["port"] == container["ports"][0]["containerPort"]
            elif probe in container:
                assert container[probe]["exec"]["command"] == ["redis-cli", "ping"]


def test_pods_have_no_rights_and_bounds_to_their_memory():
    for pod in PODS:
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in containers(pod):
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["cpu"]
        tells_kubernetes = pod["spec"].get("serviceAccountName") == "worker"
        assert tells_kubernetes or pod["spec"]["automountServiceAccountToken"] is False


def test_every_secret_file_is_mounted_where_it_is_read():
    for pod in PODS:
        (container,) = pod["spec"]["containers"]
        values = [one.get("value", "") for one in container.get("env") or []]
        for one in container.get("envFrom", []):
            values += of("ConfigMap")[one["configMapRef"]["name"]]["data"].values()
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
    hosts = set(re.findall(r"http://(\w+):\d+", "".join(TEXTS.values())))
    assert hosts <= set(of("Service"))


def test_the_templates_variables_are_all_used_and_all_there():
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(TEMPLATE["job_configuration"])))
    assert used == set(TEMPLATE["variables"]["properties"])


def test_prefect_takes_the_template():
    from prefect.client.schemas.actions import WorkPoolCreate

    WorkPoolCreate(name=POOL, type="kubernetes", base_job_template=TEMPLATE)
