"""The Kubernetes manifests, held against Kubernetes' own schemas and against the code."""

from __future__ import annotations

import json
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from labelwright.prefect_integration.deployments import POOL

from .compose import DOCUMENTS, INFRA
from .test_compose import check_command

FOLDER = INFRA / "kubernetes"
TEXTS = {name: (FOLDER / name).read_text() for name in ("labelwright.yaml", "several-api-servers.yaml")}
MANIFESTS: list[dict[str, Any]] = [manifest for text in TEXTS.values() for manifest in yaml.safe_load_all(text)]
SERVICES: dict[str, Any] = DOCUMENTS["scaled"]["services"]
TEMPLATE: dict[str, Any] = json.loads((FOLDER / "base-job-template.json").read_text())
VERSIONS = ["1.31", "1.34"]


def of(kind: str) -> dict[str, dict[str, Any]]:
    """With both files applied: what stands in the second one under a name of the first replaces it."""
    return {manifest["metadata"]["name"]: manifest for manifest in MANIFESTS if manifest["kind"] == kind}


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def job() -> dict[str, Any]:
    """The Job as Prefect makes it with the template's own defaults."""
    values: dict[str, Any] = {
        name: variable.get("default") for name, variable in TEMPLATE["variables"]["properties"].items()
    }
    values |= {"name": "brave-fox", "command": ["prefect", "flow-run", "execute"], "labels": {"a": "b"}, "env": []}

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        if isinstance(value, str) and (whole := re.fullmatch(r"{{ (\w+) }}", value)):
            return values[whole[1]]
        return re.sub(r"{{ (\w+) }}", lambda result: str(values[result[1]]), value) if isinstance(value, str) else value

    return filled(TEMPLATE["job_configuration"]["job_manifest"])


DEPLOYMENTS = [manifest for manifest in MANIFESTS if manifest["kind"] in ("Deployment", "Job")]
"""Everything that is applied and makes pods; a Job of a flow run is made by the template."""
PODS = [manifest["spec"]["template"] for manifest in DEPLOYMENTS] + [job()["spec"]["template"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_schemas_accept_every_manifest(version):
    for manifest in (*MANIFESTS, job()):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_what_is_wrong_is_refused_by_these_schemas():
    wrong = yaml.safe_load(json.dumps(of("Deployment")["service"]))
    wrong["spec"]["template"]["spec"]["contaners"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda manifest: manifest["metadata"]["name"])
def test_every_command_is_one(deployment):
    for container in containers(deployment["spec"]["template"]):
        if not container["image"].startswith("redis@"):
            check_command(container["command"])


def test_commands_ports_and_pool_are_those_of_compose():
    names = {"prefect-services": "services"}
    for manifest in DEPLOYMENTS:
        name = manifest["metadata"]["name"]
        first, *_ = manifest["spec"]["template"]["spec"]["containers"]
        if name not in ("worker", "redis"):
            expected = " ".join(SERVICES[names.get(name, name)]["command"])
            # Of both files: the first one's API server runs the services too.
            assert " ".join(first["command"]).replace(" --no-services", "") in expected.replace(" --no-services", "")
        if "ports" in first and name not in ("worker", "redis"):
            assert f":{first['ports'][0]['containerPort']}:" in SERVICES[name]["ports"][0]
    command = of("Deployment")["worker"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[command.index("--pool") + 1] == POOL


def test_background_services_run_once_beside_api_servers():
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
        payload = {manifest["name"] for manifest in container["env"]}
        assert payload == set(re.findall(r"\b(PREFECT_\w+)=", SERVICES["services"]["command"][2]))


def test_variables_are_those_of_compose():
    payload = {name for value in SERVICES.values() for name in value.get("environment", {})}
    payload |= set(re.findall(r"\b(PREFECT_\w+)=", str([value.get("command") for value in SERVICES.values()])))
    observed = set(re.findall(r"\b(?:PREFECT|LABELWRIGHT)_[A-Z_]+", "".join(TEXTS.values())))
    only_here = {"PREFECT_HOME", "LABELWRIGHT_DEAD_RUN_MINUTES"}  # a pod takes minutes to start
    assert observed - only_here <= payload


def test_config_maps_that_pods_read_are_there():
    for pod in PODS:
        for container in containers(pod):
            for manifest in container.get("envFrom", []):
                assert manifest["configMapRef"]["name"] in of("ConfigMap")


def test_every_image_of_ours_is_that_of_compose():
    ours = {container["image"].partition("@")[0] for pod in PODS for container in containers(pod)}
    assert ours == {"labelwright", "redis", "prefecthq/prefect"}
    # The versions that `pin-images` looks up are those of Compose and of the lock.
    script = (INFRA / "pin-images").read_text()
    lock = (INFRA / "requirements.lock").read_text()
    (version,) = re.findall(r"^prefect==(\S+)", lock, re.M)
    assert f"prefecthq/prefect:{version}-python3.11-kubernetes" in script


def test_every_image_is_named_by_its_digest():
    images = [container["image"] for pod in PODS for container in containers(pod)]
    assert images
    assert [image for image in images if not re.fullmatch(r"[\w./:-]+@sha256:[0-9a-f]{64}", image)] == []


def test_probes_ask_the_port_that_is_listened_on():
    for manifest in DEPLOYMENTS:
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        if manifest["metadata"]["name"] in ("prefect-services", "ledger"):
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
        values = [variable.get("value", "") for variable in container.get("env") or []]
        for source in container.get("envFrom", []):
            values += of("ConfigMap")[source["configMapRef"]["name"]]["data"].values()
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


# Secrets and networks


def secrets_of(pod: dict[str, Any]) -> set[str]:
    """Secret objects that a pod reads, from volumes and from variables."""
    payload = {volume["secret"]["secretName"] for volume in pod["spec"]["volumes"] if "secret" in volume}
    text = json.dumps(pod)
    return payload | set(re.findall(r'"secretKeyRef": {"name": "([\w-]+)"', text))


def test_every_part_reads_a_secret_of_its_own():
    read = {pod["metadata"]["labels"]["app"]: secrets_of(pod) for pod in PODS}
    assert read == {
        "prefect": {"prefect"},
        "prefect-services": {"prefect"},
        "redis": {"prefect"},
        "service": {"service"},
        "receiver": {"receiver"},
        "ledger": {"ledger-owner"},
        "worker": set(),
        "labelwright-run": {"labelwright"},
    }


def test_the_receiver_knows_no_connection_and_shares_no_folder():
    pod = of("Deployment")["receiver"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert "envFrom" not in container
    assert not [manifest for manifest in container["env"] if "CONNECTIONS" in manifest["name"]]
    assert not [volume for volume in pod["spec"]["volumes"] if "persistentVolumeClaim" in volume]


def test_runs_share_their_home_and_several_pods_can_write_it():
    (volume,) = [
        manifest for manifest in job()["spec"]["template"]["spec"]["volumes"] if "persistentVolumeClaim" in manifest
    ]
    claim = of("PersistentVolumeClaim")[volume["persistentVolumeClaim"]["claimName"]]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_every_scratch_volume_is_bounded():
    for pod in PODS:
        for volume in pod["spec"]["volumes"]:
            if "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"], volume


def policies_of(app: str) -> list[dict[str, Any]]:
    return [
        manifest["spec"]
        for manifest in MANIFESTS
        if manifest["kind"] == "NetworkPolicy" and manifest["spec"]["podSelector"] == {"matchLabels": {"app": app}}
    ]


def apps_in(rules: list[dict[str, Any]], side: str) -> set[tuple[str, int]]:
    """Parts and ports that rules name."""
    return {
        (peer["podSelector"]["matchLabels"]["app"], port["port"])
        for rule in rules
        for peer in rule[side]
        if "podSelector" in peer
        for port in rule["ports"]
    }


def outside_of(app: str) -> set[int]:
    """Ports on which a part reaches other hosts."""
    return {
        port["port"]
        for spec in policies_of(app)
        for rule in spec.get("egress", [])
        if any("ipBlock" in peer for peer in rule["to"])
        for port in rule["ports"]
    }


def test_nothing_comes_in_or_goes_out_by_default():
    default = of("NetworkPolicy")["nothing-by-default"]["spec"]
    assert default == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, manifest in of("NetworkPolicy").items():
        if name != "names":
            assert manifest["spec"]["policyTypes"] == ["Ingress", "Egress"], name
        for rule in manifest["spec"].get("egress", []):
            assert rule["to"], name
            assert rule["ports"], name


def test_every_pod_has_a_policy():
    for pod in PODS:
        assert policies_of(pod["metadata"]["labels"]["app"]), pod["metadata"]


def test_both_ends_of_every_way_allow_it():
    apps = {pod["metadata"]["labels"]["app"] for pod in PODS}
    goes = {(app, *to) for app in apps for spec in policies_of(app) for to in apps_in(spec.get("egress", []), "to")}
    comes = {
        (who, app, port)
        for app in apps
        for spec in policies_of(app)
        for who, port in apps_in(spec.get("ingress", []), "from")
    }
    assert goes == comes
    assert ("receiver", "prefect", 4200) in goes
    assert {to for who, to, _ in goes if who == "receiver"} == {"prefect"}
    assert {who for who, to, _ in goes if to == "service"} == {"labelwright-run"}


def test_only_runs_and_the_worker_reach_other_hosts_than_postgres():
    assert outside_of("labelwright-run") == {5432, 80, 443}
    assert outside_of("worker") == {443, 6443}
    for app in ("prefect", "prefect-services", "service", "receiver", "ledger"):
        assert outside_of(app) == {5432}, app
    assert outside_of("redis") == set()
    for app in ("labelwright-run", "worker"):  # a run that is told to fetch an address must not fetch credentials
        rules = [rule for spec in policies_of(app) for rule in spec["egress"]]
        wide = [rule for rule in rules if {"protocol": "TCP", "port": 443} in rule["ports"]]
        assert wide
        for peer in (peer for rule in wide for peer in rule["to"]):
            assert {"169.254.0.0/16", "168.63.129.16/32", "192.0.0.192/32", "100.100.100.200/32"} <= set(
                peer["ipBlock"]["except"]
            )
