"""Azure ML calls through azureml-core (SDK v1). A program of its own, which imports nothing of Labelwright.

It runs where azureml-core and azureml-dataprep are installed, mostly in its own environment: azureml-dataprep needs an
older cloudpickle than Prefect. Input and output are as in `sdk_v2.py`. The SDK repeats a call up to five times by
itself, which cannot be turned off; all calls made here may be repeated.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_WAITING = runpy.run_path(str(Path(__file__).with_name("waiting.py")))
_IDENTITY = runpy.run_path(str(Path(__file__).parents[2] / "security" / "azure_identity.py"))
"""By its path: this program imports nothing of Labelwright."""
_MAX_MESSAGE = 10_000
"""Characters of an error message. The caller masks its secrets before it shortens it further."""

_IDENTICAL = re.compile(r"name=\"(?P<name>[^\"]+)\", version=(?P<version>\d+)\)")
_STATUS = re.compile(r"(?:Request failed \(|Response status code: |Response Code: |status code: |ErrorCode: )(\d{3})")
_PATTERN = re.compile(r"(?:pattern|file|folder): \\?\"?azureml://[^\"\s]*/datastores/([^/\"\s]+)/paths/([^\"\s\\]*)")


class NameConflict(Exception):
    """The name exists in the workspace for something else."""


class Workspace:
    def __init__(self, options: Json) -> None:
        from azureml.core import Workspace as SdkWorkspace
        from azureml.core.authentication import TokenAuthentication

        credential = _IDENTITY["MachineIdentity"](authority=options["authority"])

        def token(audience: str) -> str:
            return str(credential.get_token(f"{audience.rstrip('/')}/.default").token)

        auth = TokenAuthentication(token, cloud=options["cloud"])
        if options["resource_manager"]:
            auth._cloud_type.endpoints.resource_manager = options["resource_manager"]
        self._workspace = SdkWorkspace(
            options["subscription_id"], options["resource_group"], options["workspace_name"], auth=auth
        )

    def datastore(self, request: Json) -> Json:
        """Creates the datastore if it does not exist. Raises NameConflict when it is another container."""
        from azureml.core import Datastore

        datastore, created = self._datastore(request["name"]), False
        if datastore is None:
            try:
                datastore = Datastore.register_azure_blob_container(
                    self._workspace,
                    request["name"],
                    request["container"],
                    request["account_name"],
                    sas_token=request["sas"] or None,
                    account_key=request["account_key"] or None,
                    protocol=request["protocol"],
                    endpoint=request["endpoint"],
                    create_if_not_exists=False,
                    skip_validation=True,
                )
                created = True
            except Exception:
                # Another run may have created it at the same time; it is checked below.
                datastore = self._datastore(request["name"])
                if datastore is None:
                    raise
        if (datastore.account_name, datastore.container_name) != (request["account_name"], request["container"]):
            raise NameConflict(
                f"the datastore '{request['name']}' is the container {datastore.container_name} of the account "
                f"{datastore.account_name}: name another datastore in the workspace's settings"
            )
        return {"created": created}

    def register(self, request: Json) -> Json:
        """Registers a version unless one with this path exists; the path contains the content hash.

        When two runs register at once, the service may create two versions of one path: both then return the older.
        """
        from azureml.core import Dataset, Datastore

        version, created = self._with_path(request), False
        if version is None:
            data_path = (Datastore.get(self._workspace, request["datastore"]), request["path"])
            if request["type"] == "tabular":
                dataset = Dataset.Tabular.from_delimited_files(
                    data_path, validate=False, infer_column_types=False, support_multi_line=True
                )
            else:
                dataset = Dataset.File.from_files(data_path, validate=False)
            try:
                dataset.register(
                    self._workspace,
                    request["name"],
                    description=request["description"],
                    tags=request["tags"],
                    create_new_version=True,
                )
                created = True
            except Exception as error:
                # "An identical dataset had already been registered": under this name it is the same dataset.
                identical = _IDENTICAL.search(str(error))
                if identical is None or identical["name"] != request["name"]:
                    raise
            version = self._with_path(request)
            if version is None:
                raise RuntimeError("the version that was just registered cannot be read")
        return version | {"created": created}

    def read(self, request: Json) -> Json | None:
        """Tags belong to the name and come with the latest version only: those of an older one are None."""
        dataset, latest = (self._version(request["name"], version) for version in (int(request["version"]), None))
        if dataset is None or latest is None:
            return None
        payload = _describe(dataset)
        return payload if latest.version == dataset.version else payload | {"tags": None}

    def versions(self, request: Json) -> list[Json]:
        """Oldest first."""
        return list(reversed(list(self._newest_first(request["name"]))))

    def _with_path(self, request: Json) -> Json | None:
        """The oldest version that points to the path."""
        path = f"azureml://datastores/{request['datastore']}/paths/{request['path']}".rstrip("/")
        matching = [version for version in self._newest_first(request["name"]) if version["path"].rstrip("/") == path]
        return matching[-1] if matching else None

    def _newest_first(self, name: str) -> Any:
        latest = self._version(name, None)
        if latest is None:
            return
        yield _describe(latest)
        for version in range(int(latest.version) - 1, 0, -1):
            dataset = self._version(name, version)
            if dataset is not None:
                yield _describe(dataset) | {"tags": None}

    def _version(self, name: str, version: int | None) -> Any:
        from azureml.core import Dataset

        return _none_if_missing(lambda: Dataset.get_by_name(self._workspace, name, version=version or "latest"))

    def _datastore(self, name: str) -> Any:
        from azureml.core import Datastore

        return _none_if_missing(lambda: Datastore.get(self._workspace, name))


def _none_if_missing(call: Callable[[], Any]) -> Any:
    from azureml._common.exceptions import AzureMLException

    try:
        return call()
    except Exception as error:
        if failure(error).get("status") == 404 or (
            isinstance(error, AzureMLException) and "Cannot find dataset registered with name" in str(error)
        ):
            return None
        raise


def _describe(dataset: Any) -> Json:
    path_match = _PATTERN.search(str(dataset._definition))
    if path_match is None:
        raise RuntimeError(f"version {dataset.version} of {dataset.name} has a definition without a datastore")
    return {
        "name": dataset.name,
        "version": str(dataset.version),
        "path": f"azureml://datastores/{path_match[1]}/paths/{path_match[2]}",
        "type": type(dataset).__name__,
        "tags": dict(dataset.tags or {}),
        "created": False,
    }


def _conflict_or_outage(error: BaseException) -> Json | None:
    if isinstance(error, NameConflict):
        return {"status": 409, "message": str(error)}
    outage = _IDENTITY["outage_of"](error)
    if outage is not None:
        return {"status": None, "message": outage.message, "retry_after": outage.retry_after}
    return None


def failure(error: BaseException) -> Json:
    """Status, message and Retry-After of an SDK error, which wraps the HTTP response in several layers."""
    known = _conflict_or_outage(error)
    if known is not None:
        return known
    import requests
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
    from azureml._common.exceptions import AzureMLException
    from msrest.exceptions import ClientException

    causes: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and inner not in causes:
        causes.append(inner)
        deeper = getattr(inner, "inner_exception", None)
        inner = deeper if isinstance(deeper, BaseException) else inner.__cause__ or inner.__context__
    for cause in causes:
        response = getattr(cause, "response", None)
        status = getattr(response, "status_code", None) or getattr(cause, "status_code", None)
        if isinstance(status, int):
            headers = getattr(response, "headers", None) or {}
            return {
                "status": status,
                "message": _error_message(response, cause),
                "retry_after": headers.get("Retry-After"),
            }
    for cause in causes:
        if isinstance(cause, ClientAuthenticationError):
            message, advice = _IDENTITY["no_token_message"](cause), _IDENTITY["no_token_advice"](cause)
            return {"status": 401, "message": message, "advice": advice}
        match = _STATUS.search(str(cause))
        if match is not None:
            return {"status": int(match[1]), "message": _error_message(None, cause)}
    refusal = _WAITING["last_refusal"]()
    if any(isinstance(cause, requests.RequestException | ClientException | HttpResponseError) for cause in causes):
        return {"status": refusal, "message": type(error).__name__ if refusal is None else _error_message(None, error)}
    if isinstance(error, AzureMLException):
        return {"status": refusal or 400, "message": _error_message(None, error)}
    raise error


def _error_message(response: Any, error: BaseException) -> str:
    try:
        return str(json.loads(response.content)["error"]["message"])[:_MAX_MESSAGE]
    except Exception:  # noqa: BLE001 - fall back to the first line of the error
        return str(getattr(error, "message", "") or error).partition("\n")[0][:_MAX_MESSAGE]


def main() -> None:
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Modules beside this file must not shadow those that the SDK imports.
    sys.path = [folder for folder in sys.path if folder != str(Path(__file__).parent)]
    request = json.load(sys.stdin)
    # The SDK caches workspace data in the home folder, unprotected and for ever.
    os.environ.setdefault("AZURE_CONFIG_DIR", str(Path.home() / ".azure"))
    os.environ["AZUREML_CURRENT_CLOUD"] = request["workspace"]["cloud"]
    with tempfile.TemporaryDirectory(dir=request["scratch"]) as home:
        os.environ["HOME"] = home
        for is_last_try in (False, True):
            response: Json = {}
            try:
                _WAITING["install"]()
                workspace = Workspace(request["workspace"])
                response = {"answers": [getattr(workspace, call["operation"])(call) for call in request["calls"]]}
            except _WAITING["RetryLater"] as wait:
                response = {"failure": wait.as_failure()}
            except ImportError as error:
                response = {"missing": error.name or "azureml-dataprep"}
            except Exception as error:  # noqa: BLE001 - reported, or raised again by failure()
                response = {"failure": failure(error)}
            # The token may have been revoked, or be too new for the server: try once with a new one.
            if response.get("failure", {}).get("status") != 401 or is_last_try:
                break
    json.dump(response, output)
    output.close()


if __name__ == "__main__":
    main()
