"""main.bicep, read by a parser of the language: no compiler can be had here, so types are judged by Azure alone."""

from __future__ import annotations

import json
import re
from typing import Any

from pycep import BicepParser

from labelwright.deploying import POOL
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
    given = set()
    for one in RESOURCES.values():
        if one["type"] == "Microsoft.Authorization/roleAssignments":
            properties = one["config"]["properties"]
            role = properties["roleDefinitionId"]["function"]["parameters"]["resource_name_1"]
            given.add((one["config"]["scope"], role))
            assert '"identity"' in json.dumps(properties["principalId"])
            # The name tells this assignment from any other: scope, identity and role are in it.
            name = json.dumps(one["config"]["name"])
            assert all(f'"{part}"' in name for part in (one["config"]["scope"], "identity", role))
    assert given == LEAST


def test_roles_are_ids_that_exist_once():
    ids = re.findall(r"var \w+ = '([0-9a-f-]{36})'", TEXT)
    assert len(ids) == len(set(ids)) == 4
    assert "Owner" not in TEXT


def test_storage_is_closed_to_all_but_identities():
    properties = RESOURCES["account"]["config"]["properties"]
    assert properties["allowBlobPublicAccess"] is False
    assert properties["allowSharedKeyAccess"] is False
    assert properties["minimumTlsVersion"] == "TLS1_2"


def test_every_parameter_and_variable_is_used_and_every_secret_is_marked():
    for name in (*DOCUMENT["parameters"], *DOCUMENT["variables"]):
        assert len(re.findall(rf"\b{name}\b", TEXT)) > 1, name
    assert re.search(r"@secure\(\)\nparam ledgerUrl", TEXT)
    assert not re.search(r"output \w+ string = .*(?:listKeys|ledgerUrl)", TEXT)


def names_used(text: str) -> set[str]:
    """What expressions refer to: no functions, no properties, no keys; of strings only what is filled in."""
    code = re.sub(r"//[^\n]*", "", text)
    filled = " ".join(f"({one})" for one in re.findall(r"\$\{([^}]*)\}", code))
    code = re.sub(r"'[^'\n]*'", "''", code)
    found = re.findall(r"(?:[(\[,=?!]|(?<=[\w'\]]):)\s*([a-zA-Z]\w*)\b(?![\w(:])", f"{code} {filled}")
    return set(found) - {"true", "false", "null"}


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
    names = {one["name"] for one in container["env"]}
    assert {"PREFECT_API_URL", "LABELWRIGHT_LEDGER_URL", "AZURE_CLIENT_ID"} <= names
    # The account takes no keys: campaigns' images are read by the identity, or not at all.
    (read_by,) = [one["value"] for one in container["env"] if one["name"] == "LABELWRIGHT_CONTAINER_IDENTITY"]
    assert Settings.model_validate({"container_identity": read_by}).container_identity
    (probe,) = container["probes"]
    port = next(one["value"] for one in container["env"] if one["name"] == "PREFECT_WORKER_WEBSERVER_PORT")
    assert str(probe["httpGet"]["port"]) == port
