"""main.bicep, read by a parser of the language: no compiler can be had here, so types are judged by Azure alone."""

from __future__ import annotations

import json
import re
from typing import Any

from pycep import BicepParser

from labelwright.prefect_integration.deployments import POOL
from labelwright.settings import Settings

from .test_compose import INFRA, check_command

TEXT = (INFRA / "azure" / "main.bicep").read_text()
DOCUMENT: dict[str, Any] = BicepParser().parse(text=TEXT)
RESOURCES: dict[str, Any] = DOCUMENT["resources"]

LEAST = {
    ("images", "blobDataReader"),
    ("datasets", "blobDataContributor"),
    ("results", "blobDataContributor"),
    ("account", "blobDelegator"),
    ("workspace", "machineLearningDataScientist"),
}
"""Every right that the identity has, and on what: docs/operating.md says what each is for."""


def test_the_identity_has_these_rights_and_no_others():
    assignments = set()
    for resource in RESOURCES.values():
        if resource["type"] == "Microsoft.Authorization/roleAssignments":
            properties = resource["config"]["properties"]
            role = properties["roleDefinitionId"]["function"]["parameters"]["resource_name_1"]
            assignments.add((resource["config"]["scope"], role))
            assert '"identity"' in json.dumps(properties["principalId"])
            # The name tells this assignment from any other: scope, identity and role are in it.
            name = json.dumps(resource["config"]["name"])
            assert all(f'"{part}"' in name for part in (resource["config"]["scope"], "identity", role))
    assert assignments == LEAST


def test_roles_are_ids_that_exist_once():
    ids = re.findall(r"var \w+ = '([0-9a-f-]{36})'", TEXT)
    assert len(ids) == len(set(ids)) == 4
    assert "Owner" not in TEXT


def test_storage_is_closed_to_all_but_identities():
    properties = RESOURCES["account"]["config"]["properties"]
    assert properties["allowBlobPublicAccess"] is False
    assert properties["allowSharedKeyAccess"] is False
    assert properties["minimumTlsVersion"] == "TLS1_2"


def test_parameters_are_used_and_secrets_are_marked():
    for name in (*DOCUMENT["parameters"], *DOCUMENT["variables"]):
        assert len(re.findall(rf"\b{name}\b", TEXT)) > 1, name
    assert re.search(r"@secure\(\)\nparam ledgerUrl", TEXT)
    assert not re.search(r"output \w+ string = .*(?:listKeys|ledgerUrl)", TEXT)


def names_used(text: str) -> set[str]:
    """What expressions refer to: no functions, no properties, no keys; of strings only what is filled in."""
    code = re.sub(r"//[^\n]*", "", text)
    filled = " ".join(f"({entry})" for entry in re.findall(r"\$\{([^}]*)\}", code))
    code = re.sub(r"'[^'\n]*'", "''", code)
    result = re.findall(r"(?:[(\[,=?!]|(?<=[\w'\]]):)\s*([a-zA-Z]\w*)\b(?![\w(:])", f"{code} {filled}")
    loops = set(re.findall(r"\[for (\w+) in ", code))
    # `az` is where functions are that a resource of ours shares its name with.
    return set(result) - {"true", "false", "null", "az", "for"} - loops


def test_every_name_that_is_used_is_declared():
    declared = set(re.findall(r"^(?:param|var|resource) (\w+)", TEXT, re.M))
    used = names_used(TEXT)
    assert {"identity", "account", "blobs", "location", "workspace"} <= used
    assert used <= declared, used - declared
    assert names_used(TEXT.replace("parent: blobs", "parent: blob")) - declared == {"blob"}


def test_the_worker_is_that_of_compose():
    (container,) = RESOURCES["worker"]["config"]["properties"]["template"]["containers"]
    check_command(container["command"])
    assert container["command"][container["command"].index("--pool") + 1] == POOL
    names = {entry["name"] for entry in container["env"]}
    assert {"PREFECT_API_URL", "LABELWRIGHT_LEDGER_URL", "AZURE_CLIENT_ID"} <= names
    (shared,) = [entry["value"] for entry in container["env"] if entry["name"] == "LABELWRIGHT_SHARED_FOLDERS"]
    assert json.loads(shared) == [mount["mountPath"] for mount in container["volumeMounts"]]
    # The account takes no keys: campaigns' images are read by the identity, or not at all.
    (read_by,) = [entry["value"] for entry in container["env"] if entry["name"] == "LABELWRIGHT_CONTAINER_IDENTITY"]
    assert Settings.model_validate({"container_identity": read_by}).container_identity
    (probe,) = container["probes"]
    port = next(entry["value"] for entry in container["env"] if entry["name"] == "PREFECT_WORKER_WEBSERVER_PORT")
    assert str(probe["httpGet"]["port"]) == port


def properties_of(name: str) -> dict[str, Any]:
    return dict(RESOURCES[name]["config"]["properties"])


def test_storage_and_secrets_are_limited_to_the_workers_subnet():
    closed = {
        name: properties_of(name)["networkAcls"]
        for name, entry in RESOURCES.items()
        if entry["type"] in ("Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults")
    }
    assert closed.keys() == {"account", "homeAccount", "vault"}
    for name, rules in closed.items():
        assert rules["defaultAction"] == "Deny", name
        (subnet,) = rules["virtualNetworkRules"]
        assert '"workersSubnet"' in json.dumps(subnet["id"]), name
        # Azure ML is a trusted service; nobody but workers has business in their home.
        assert rules["bypass"] == ("None" if name == "homeAccount" else "AzureServices"), name
    # Addresses from outside only where somebody names them.
    assert re.search(r"^param allowedAddresses array = \[\]$", TEXT, re.M)
    assert TEXT.count("ipRules:") == 1
    endpoints = {serviceEndpoint["service"] for serviceEndpoint in properties_of("workersSubnet")["serviceEndpoints"]}
    assert endpoints == {"Microsoft.Storage", "Microsoft.KeyVault"}


def test_blobs_have_a_private_address_in_the_network():
    (service,) = properties_of("blobEndpoint")["privateLinkServiceConnections"]
    assert service["properties"]["groupIds"] == ["blob"]
    assert '"account"' in json.dumps(service["properties"]["privateLinkServiceId"])
    assert '"endpointsSubnet"' in json.dumps(properties_of("blobEndpoint")["subnet"])
    assert '"network"' in json.dumps(properties_of("blobNamesInNetwork")["virtualNetwork"])
    assert '"blobNames"' in json.dumps(properties_of("blobNamesOfEndpoint"))


def test_workers_use_their_subnet_and_listed_ports_only():
    network = properties_of("environment")["vnetConfiguration"]
    assert '"workersSubnet"' in json.dumps(network["infrastructureSubnetId"])
    assert network["internal"] is True
    assert '"workersRules"' in json.dumps(properties_of("workersSubnet")["networkSecurityGroup"])
    rules = [entry["properties"] for entry in properties_of("workersRules")["securityRules"]]
    *allowed, last = sorted(rules, key=lambda entry: int(entry["priority"]))
    assert (last["access"], last["destinationAddressPrefix"]) == ("Deny", "Internet")
    for entry in allowed:
        assert entry["direction"] == "Outbound"
        ports = set(entry.get("destinationPortRanges", [entry.get("destinationPortRange")]))
        within = entry["destinationAddressPrefix"] == "VirtualNetwork"
        assert within or ports <= {"80", "443", "5432", "2049", "53", "123"}, entry


def test_workers_share_their_home_folder():
    template = properties_of("worker")["template"]
    (volume,) = template["volumes"]
    (container,) = template["containers"]
    (mount,) = container["volumeMounts"]
    assert mount["volumeName"] == volume["name"]
    assert volume["storageType"] == "NfsAzureFile"
    assert '"home"' in json.dumps(volume["storageName"])
    dockerfile = (INFRA / "Dockerfile").read_text()
    assert f"LABELWRIGHT_HOME={mount['mountPath']}/" in dockerfile
    assert properties_of("home")["nfsAzureFile"]["accessMode"] == "ReadWrite"
    assert properties_of("homeShare")["enabledProtocols"] == "NFS"


def test_the_image_is_named_by_its_digest():
    assert re.search(r"image: '\$\{imageRepository\}@\$\{imageDigest\}'", TEXT)
    digest = "sha256:" + "0" * 64
    assert f"@minLength({len(digest)})\n@maxLength({len(digest)})\nparam imageDigest string\n" in TEXT
