"""Asked of Azure ML through azure-ai-ml (SDK v2). A program of its own: it imports nothing of Labelwright.

The question comes as JSON on standard input, the answer goes as JSON to standard output; see `azure_ml_calls`. What the
SDK prints goes to standard error. Secrets come in on standard input only and are never part of an answer.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_WAITING = runpy.run_path(str(Path(__file__).with_name("waiting.py")))
"""By its path: this program imports nothing of Labelwright."""
_MOST = 10_000
"""Characters of an error that are passed on: whoever asked masks its secrets first, and cuts it then."""


class Another(Exception):
    """The workspace has something else under a name than what was meant."""


class Workspace:
    def __init__(self, given: Json) -> None:
        from azure.ai.ml import MLClient
        from azure.identity import DefaultAzureCredential

        cloud, where = given["cloud"], {}
        if given["resource_manager"]:
            cloud, where = "Elsewhere", {"cloud_metadata": _endpoints(given)}
        self._client = MLClient(
            DefaultAzureCredential(authority=given["authority"]),
            given["subscription_id"],
            given["resource_group"],
            given["workspace_name"],
            cloud=cloud,
            enable_telemetry=False,
            show_progress=False,
            # Every retry has to be seen by who counts retries.
            retry_total=0,
            connection_timeout=given["timeout"],
            read_timeout=given["timeout"],
            **where,
        )

    def datastore(self, wanted: Json) -> Json:
        """Makes the datastore when it is not there. Raises Another when it is not the container that is meant."""
        from azure.ai.ml.entities import AccountKeyConfiguration, AzureBlobDatastore, SasTokenConfiguration

        found, created = self._found(lambda: self._client.datastores.get(wanted["name"])), False
        if found is None:
            credentials: Any = None
            if wanted["account_key"]:
                credentials = AccountKeyConfiguration(account_key=wanted["account_key"])
            elif wanted["sas"]:
                credentials = SasTokenConfiguration(sas_token=wanted["sas"])
            made = AzureBlobDatastore(
                name=wanted["name"],
                description=wanted["description"],
                account_name=wanted["account_name"],
                container_name=wanted["container"],
                endpoint=wanted["endpoint"],
                protocol=wanted["protocol"],
                credentials=credentials,
            )
            try:
                found, created = self._client.datastores.create_or_update(made), True
            except Exception as error:
                # Another run was quicker: what it made is looked at like anything that was there.
                if failure(error)["status"] not in (400, 409):
                    raise
                found = self._found(lambda: self._client.datastores.get(wanted["name"]))
                if found is None:
                    raise
        if (found.account_name, found.container_name) != (wanted["account_name"], wanted["container"]):
            raise Another(
                f"the datastore '{wanted['name']}' is the container {found.container_name} of the account "
                f"{found.account_name}: name another datastore in the workspace's settings"
            )
        return {"created": created}

    def register(self, wanted: Json) -> Json:
        """A version that exists is answered as it is: the version is made of the content, so it is the same one."""
        from azure.ai.ml.entities import Data

        name, version = wanted["name"], wanted["version"]
        found, created = self._version(name, version), False
        if found is None or self._is_newer(wanted, found):
            data = Data(
                name=name,
                version=version,
                type=wanted["type"],
                path=f"azureml://datastores/{wanted['datastore']}/paths/{wanted['path']}",
                description=wanted["description"],
                # A version that is exported again: only the tag of its export changes.
                tags=wanted["tags"] if found is None else dict(found.tags or {}) | self._newest_tag(wanted),
                properties=wanted["properties"],
                skip_validation=True,
                # Known here; the SDK finds them itself where it may read the blobs.
                referenced_uris=wanted["referenced_uris"] or None,
            )
            try:
                found, created = self._client.data.create_or_update(data), found is None
            except Exception as error:
                # Another run was quicker: what it registered is looked at like anything that was there.
                if failure(error)["status"] not in (400, 409):
                    raise
                found = self._version(name, version)
                if found is None:
                    raise
        return _told(found, created)

    @staticmethod
    def _newest_tag(wanted: Json) -> Json:
        return {wanted["newest_tag"]: wanted["tags"][wanted["newest_tag"]]}

    @staticmethod
    def _is_newer(wanted: Json, found: Any) -> bool:
        """Whether this export comes after the one that the version's tag tells of."""
        told = str((found.tags or {}).get(wanted["newest_tag"], "0"))
        return int(wanted["tags"][wanted["newest_tag"]]) > (int(told) if told.isdecimal() else 0)

    def read(self, wanted: Json) -> Json | None:
        found = self._version(wanted["name"], wanted["version"])
        return None if found is None else _told(found, False)

    def versions(self, wanted: Json) -> list[Json]:
        """Oldest first."""
        found = self._found(lambda: list(self._client.data.list(name=wanted["name"])))
        told = [(str(one.creation_context.created_at), _told(one, False)) for one in found or ()]
        return [one for _, one in sorted(told, key=lambda pair: pair[0])]

    def _version(self, name: str, version: str) -> Any:
        return self._found(lambda: self._client.data.get(name, version=version))

    @staticmethod
    def _found(call: Callable[[], Any]) -> Any:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return call()
        except ResourceNotFoundError as error:
            # That the workspace is not there is another thing: a "no" to a thing in it is Azure ML's own error.
            if _code(error) in ("ResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound"):
                raise
            return None


def _told(data: Any, created: bool) -> Json:
    return {
        "name": data.name,
        "version": str(data.version),
        "path": str(data.path),
        "type": str(data.type),
        "tags": dict(data.tags or {}),
        "created": created,
    }


def _endpoints(given: Json) -> Json:
    return {
        "azure_portal": given["resource_manager"],
        "resource_manager": given["resource_manager"],
        "active_directory": given["authority"],
        "aml_resource_id": given["audience"],
        "storage_endpoint": given["storage_endpoint"],
        "registry_discovery_endpoint": given["resource_manager"],
    }


def _code(error: Any) -> str:
    inner = getattr(error, "error", None)
    return str(getattr(inner, "code", "") or "")


def failure(error: BaseException) -> Json:
    """Status, words and Retry-After of what the SDK raised. No URL of a blob is taken over: it may be signed.

    The SDK wraps answers of the server in errors of its own, or in a bare Exception: the innermost answer counts.
    """
    if isinstance(error, Another):
        return {"status": 409, "message": str(error)}
    from azure.ai.ml.exceptions import MlException
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    chain: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and inner not in chain:
        chain.append(inner)
        inner = inner.__cause__ or inner.__context__
    for one in chain:
        if isinstance(one, HttpResponseError) and one.status_code:
            told = getattr(one, "error", None)
            message = str(getattr(told, "message", "") or one.reason or "")
            headers = getattr(one.response, "headers", None) or {}
            return {"status": one.status_code, "message": message[:_MOST], "retry_after": headers.get("Retry-After")}
    for one in chain:
        if isinstance(one, ClientAuthenticationError):
            return {"status": 401, "message": "no identity gave a token: " + str(one).partition("\n")[0][:_MOST]}
        if isinstance(one, MlException):  # without a status nothing was sent: the SDK itself refuses
            message = str(one.message).partition("\n")[0][:_MOST]
            return {"status": _WAITING["last_refusal"](), "refused": True, "message": message}
    if isinstance(error, AzureError):
        return {"status": _WAITING["last_refusal"](), "message": type(error).__name__}
    raise error


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # The folder of this file holds modules that are none of the SDK's business.
    sys.path = [one for one in sys.path if one != str(Path(__file__).parent)]
    asked = json.load(sys.stdin)
    try:
        for last in (False, True):
            told: Json = {}
            try:
                _WAITING["install"]()
                workspace = Workspace(asked["workspace"])
                told = {"answers": [getattr(workspace, call["operation"])(call) for call in asked["calls"]]}
            except _WAITING["AskedToWait"] as wait:
                told = {"failure": wait.as_failure()}
            except ImportError as error:
                told = {"missing": error.name}
            except Exception as error:  # noqa: BLE001 - told, or raised again with its traceback
                told = {"failure": failure(error)}
            # A token that was withdrawn, or a key server that was slow to know it: asked for anew, once.
            if told.get("failure", {}).get("status") != 401 or last:
                break
        json.dump(told, answers)
    finally:
        answers.close()


if __name__ == "__main__":
    main()
