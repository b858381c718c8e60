"""Azure ML calls through azure-ai-ml (SDK v2). A program of its own, which imports nothing of Labelwright.

The request is JSON on standard input, the response JSON on standard output; see `sdk_process.py`. What the SDK prints
goes to standard error. Secrets come on standard input only and are never part of a response.
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
_IDENTITY = runpy.run_path(str(Path(__file__).parents[2] / "security" / "azure_identity.py"))
"""By its path: this program imports nothing of Labelwright."""
_MAX_MESSAGE = 10_000
"""Characters of an error message. The caller masks its secrets before it shortens it further."""


class NameConflict(Exception):
    """The name exists in the workspace for something else."""


class Workspace:
    def __init__(self, options: Json) -> None:
        from azure.ai.ml import MLClient

        cloud, cloud_options = options["cloud"], {}
        if options["resource_manager"]:
            cloud, cloud_options = "Elsewhere", {"cloud_metadata": _endpoints(options)}
        self._client = MLClient(
            _IDENTITY["MachineIdentity"](authority=options["authority"]),
            options["subscription_id"],
            options["resource_group"],
            options["workspace_name"],
            cloud=cloud,
            enable_telemetry=False,
            show_progress=False,
            # Retries are the decision of the task.
            retry_total=0,
            connection_timeout=options["timeout"],
            read_timeout=options["timeout"],
            **cloud_options,
        )

    def datastore(self, request: Json) -> Json:
        """Creates the datastore if it does not exist. Raises NameConflict when it is another container."""
        from azure.ai.ml.entities import AccountKeyConfiguration, AzureBlobDatastore, SasTokenConfiguration

        datastore, created = self._none_if_missing(lambda: self._client.datastores.get(request["name"])), False
        if datastore is None:
            credentials: Any = None
            if request["account_key"]:
                credentials = AccountKeyConfiguration(account_key=request["account_key"])
            elif request["sas"]:
                credentials = SasTokenConfiguration(sas_token=request["sas"])
            new_datastore = AzureBlobDatastore(
                name=request["name"],
                description=request["description"],
                account_name=request["account_name"],
                container_name=request["container"],
                endpoint=request["endpoint"],
                protocol=request["protocol"],
                credentials=credentials,
            )
            try:
                datastore, created = self._client.datastores.create_or_update(new_datastore), True
            except Exception as error:
                # Another run may have created it at the same time; it is checked below.
                if failure(error)["status"] not in (400, 409):
                    raise
                datastore = self._none_if_missing(lambda: self._client.datastores.get(request["name"]))
                if datastore is None:
                    raise
        if (datastore.account_name, datastore.container_name) != (request["account_name"], request["container"]):
            raise NameConflict(
                f"the datastore '{request['name']}' is the container {datastore.container_name} of the account "
                f"{datastore.account_name}: name another datastore in the workspace's settings"
            )
        return {"created": created}

    def register(self, request: Json) -> Json:
        """Registers a version. An existing one is returned: the version is derived from the content."""
        from azure.ai.ml.entities import Data

        name, version = request["name"], request["version"]
        existing, created = self._version(name, version), False
        if existing is None or self._is_newer(request, existing):
            data = Data(
                name=name,
                version=version,
                type=request["type"],
                path=f"azureml://datastores/{request['datastore']}/paths/{request['path']}",
                description=request["description"],
                # When a version is exported again, only the tag with the serial number changes.
                tags=request["tags"] if existing is None else dict(existing.tags or {}) | self._newest_tag(request),
                properties=request["properties"],
                skip_validation=True,
                # Known here; the SDK finds them itself where it may read the blobs.
                referenced_uris=request["referenced_uris"] or None,
            )
            try:
                existing, created = self._client.data.create_or_update(data), existing is None
            except Exception as error:
                # Another run may have registered it at the same time.
                if failure(error)["status"] not in (400, 409):
                    raise
                existing = self._version(name, version)
                if existing is None:
                    raise
        return _describe(existing, created)

    @staticmethod
    def _newest_tag(request: Json) -> Json:
        return {request["newest_tag"]: request["tags"][request["newest_tag"]]}

    @staticmethod
    def _is_newer(request: Json, asset: Any) -> bool:
        """Whether this export is later than the one in the version's tag."""
        serial = str((asset.tags or {}).get(request["newest_tag"], "0"))
        return int(request["tags"][request["newest_tag"]]) > (int(serial) if serial.isdecimal() else 0)

    def read(self, request: Json) -> Json | None:
        asset = self._version(request["name"], request["version"])
        return None if asset is None else _describe(asset, False)

    def versions(self, request: Json) -> list[Json]:
        """Oldest first."""
        assets = self._none_if_missing(lambda: list(self._client.data.list(name=request["name"])))
        versions = [(str(asset.creation_context.created_at), _describe(asset, False)) for asset in assets or ()]
        return [version for _, version in sorted(versions, key=lambda pair: pair[0])]

    def _version(self, name: str, version: str) -> Any:
        return self._none_if_missing(lambda: self._client.data.get(name, version=version))

    @staticmethod
    def _none_if_missing(call: Callable[[], Any]) -> Any:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return call()
        except ResourceNotFoundError as error:
            # A missing workspace is an error; only a missing asset in it is None.
            if _code(error) in ("ResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound"):
                raise
            return None


def _describe(data: Any, created: bool) -> Json:
    return {
        "name": data.name,
        "version": str(data.version),
        "path": str(data.path),
        "type": str(data.type),
        "tags": dict(data.tags or {}),
        "created": created,
    }


def _endpoints(options: Json) -> Json:
    return {
        "azure_portal": options["resource_manager"],
        "resource_manager": options["resource_manager"],
        "active_directory": options["authority"],
        "aml_resource_id": options["audience"],
        "storage_endpoint": options["storage_endpoint"],
        "registry_discovery_endpoint": options["resource_manager"],
    }


def _code(error: Any) -> str:
    inner = getattr(error, "error", None)
    return str(getattr(inner, "code", "") or "")


def failure(error: BaseException) -> Json:
    """Status, message and Retry-After of an SDK error, without blob URLs, which may be signed.

    The SDK wraps HTTP errors in its own, or in a bare Exception: the innermost one counts.
    """
    if isinstance(error, NameConflict):
        return {"status": 409, "message": str(error)}
    outage = _IDENTITY["outage_of"](error)
    if outage is not None:
        return {"status": None, "message": outage.message, "retry_after": outage.retry_after}
    from azure.ai.ml.exceptions import MlException
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    causes: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and inner not in causes:
        causes.append(inner)
        inner = inner.__cause__ or inner.__context__
    for cause in causes:
        if isinstance(cause, HttpResponseError) and cause.status_code:
            details = getattr(cause, "error", None)
            message = str(getattr(details, "message", "") or cause.reason or "")
            headers = getattr(cause.response, "headers", None) or {}
            return {
                "status": cause.status_code,
                "message": message[:_MAX_MESSAGE],
                "retry_after": headers.get("Retry-After"),
            }
    for cause in causes:
        if isinstance(cause, ClientAuthenticationError):
            message, advice = _IDENTITY["no_token_message"](cause), _IDENTITY["no_token_advice"](cause)
            return {"status": 401, "message": message, "advice": advice}
        if isinstance(cause, MlException):  # without a status nothing was sent: the SDK itself refused
            message = str(cause.message).partition("\n")[0][:_MAX_MESSAGE]
            return {"status": _WAITING["last_refusal"](), "refused": True, "message": message}
    if isinstance(error, AzureError):
        return {"status": _WAITING["last_refusal"](), "message": type(error).__name__}
    raise error


def main() -> None:
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Modules beside this file must not shadow those that the SDK imports.
    sys.path = [folder for folder in sys.path if folder != str(Path(__file__).parent)]
    request = json.load(sys.stdin)
    try:
        for is_last_try in (False, True):
            response: Json = {}
            try:
                _WAITING["install"]()
                workspace = Workspace(request["workspace"])
                response = {"answers": [getattr(workspace, call["operation"])(call) for call in request["calls"]]}
            except _WAITING["RetryLater"] as wait:
                response = {"failure": wait.as_failure()}
            except ImportError as error:
                response = {"missing": error.name}
            except Exception as error:  # noqa: BLE001 - reported, or raised again by failure()
                response = {"failure": failure(error)}
            # The token may have been revoked, or be too new for the server: try once with a new one.
            if response.get("failure", {}).get("status") != 401 or is_last_try:
                break
        json.dump(response, output)
    finally:
        output.close()


if __name__ == "__main__":
    main()
