"""Asked of Azure ML through azureml-core (SDK v1). A program of its own: it imports nothing of Labelwright.

It runs where azureml-core and azureml-dataprep are installed, mostly an environment of its own: azureml-dataprep wants
an older cloudpickle than Prefect. Otherwise as `azure_ml_v2`. The SDK repeats a call up to five times by itself, which
cannot be turned off; all calls made here may be repeated.
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
"""By its path: this program imports nothing of Labelwright."""
_MOST = 10_000
"""Characters of an error that are passed on: whoever asked masks its secrets first, and cuts it then."""

_IDENTICAL = re.compile(r"name=\"(?P<name>[^\"]+)\", version=(?P<version>\d+)\)")
_STATUS = re.compile(r"(?:Request failed \(|Response status code: |Response Code: |status code: |ErrorCode: )(\d{3})")
_PATTERN = re.compile(r"(?:pattern|file|folder): \\?\"?azureml://[^\"\s]*/datastores/([^/\"\s]+)/paths/([^\"\s\\]*)")


class Another(Exception):
    """The workspace has something else under a name than what was meant."""


class Workspace:
    def __init__(self, given: Json) -> None:
        from azure.identity import DefaultAzureCredential
        from azureml.core import Workspace as Found
        from azureml.core.authentication import TokenAuthentication

        credential = DefaultAzureCredential(authority=given["authority"])

        def token(audience: str) -> str:
            return str(credential.get_token(f"{audience.rstrip('/')}/.default").token)

        auth = TokenAuthentication(token, cloud=given["cloud"])
        if given["resource_manager"]:
            auth._cloud_type.endpoints.resource_manager = given["resource_manager"]
        self._found = Found(given["subscription_id"], given["resource_group"], given["workspace_name"], auth=auth)

    def datastore(self, wanted: Json) -> Json:
        """Makes the datastore when it is not there. Raises Another when it is not the container that is meant."""
        from azureml.core import Datastore

        found, created = self._datastore(wanted["name"]), False
        if found is None:
            try:
                found = Datastore.register_azure_blob_container(
                    self._found,
                    wanted["name"],
                    wanted["container"],
                    wanted["account_name"],
                    sas_token=wanted["sas"] or None,
                    account_key=wanted["account_key"] or None,
                    protocol=wanted["protocol"],
                    endpoint=wanted["endpoint"],
                    create_if_not_exists=False,
                    skip_validation=True,
                )
                created = True
            except Exception:
                # Another run was quicker: what it made is looked at like anything that was there.
                found = self._datastore(wanted["name"])
                if found is None:
                    raise
        if (found.account_name, found.container_name) != (wanted["account_name"], wanted["container"]):
            raise Another(
                f"the datastore '{wanted['name']}' is the container {found.container_name} of the account "
                f"{found.account_name}: name another datastore in the workspace's settings"
            )
        return {"created": created}

    def register(self, wanted: Json) -> Json:
        """The service numbers versions, so the one with this content is looked for by its path, which holds the hash.

        When two runs register at once the service may make two versions of one path: both then answer the older one.
        """
        from azureml.core import Dataset, Datastore

        found, created = self._with_path(wanted), False
        if found is None:
            place = (Datastore.get(self._found, wanted["datastore"]), wanted["path"])
            if wanted["type"] == "tabular":
                dataset = Dataset.Tabular.from_delimited_files(
                    place, validate=False, infer_column_types=False, support_multi_line=True
                )
            else:
                dataset = Dataset.File.from_files(place, validate=False)
            try:
                dataset.register(
                    self._found,
                    wanted["name"],
                    description=wanted["description"],
                    tags=wanted["tags"],
                    create_new_version=True,
                )
                created = True
            except Exception as error:
                # "An identical dataset had already been registered": under this name it is the one that was meant.
                identical = _IDENTICAL.search(str(error))
                if identical is None or identical["name"] != wanted["name"]:
                    raise
            found = self._with_path(wanted)
            if found is None:
                raise RuntimeError("the version that was just registered cannot be read back")
        return found | {"created": created}

    def read(self, wanted: Json) -> Json | None:
        """Tags are kept with the name and told with the latest version: of an older one they are None."""
        found, latest = (self._version(wanted["name"], one) for one in (int(wanted["version"]), None))
        if found is None or latest is None:
            return None
        told = _told(found)
        return told if latest.version == found.version else told | {"tags": None}

    def versions(self, wanted: Json) -> list[Json]:
        """Oldest first."""
        return list(reversed(list(self._newest_first(wanted["name"]))))

    def _with_path(self, wanted: Json) -> Json | None:
        """The oldest version that points to the path."""
        path = f"azureml://datastores/{wanted['datastore']}/paths/{wanted['path']}".rstrip("/")
        there = [one for one in self._newest_first(wanted["name"]) if one["path"].rstrip("/") == path]
        return there[-1] if there else None

    def _newest_first(self, name: str) -> Any:
        latest = self._version(name, None)
        if latest is None:
            return
        yield _told(latest)
        for version in range(int(latest.version) - 1, 0, -1):
            found = self._version(name, version)
            if found is not None:
                yield _told(found) | {"tags": None}

    def _version(self, name: str, version: int | None) -> Any:
        from azureml.core import Dataset

        return _unless_absent(lambda: Dataset.get_by_name(self._found, name, version=version or "latest"))

    def _datastore(self, name: str) -> Any:
        from azureml.core import Datastore

        return _unless_absent(lambda: Datastore.get(self._found, name))


def _unless_absent(call: Callable[[], Any]) -> Any:
    from azureml._common.exceptions import AzureMLException

    try:
        return call()
    except Exception as error:
        if failure(error).get("status") == 404 or (
            isinstance(error, AzureMLException) and "Cannot find dataset registered with name" in str(error)
        ):
            return None
        raise


def _told(dataset: Any) -> Json:
    place = _PATTERN.search(str(dataset._definition))
    if place is None:
        raise RuntimeError(f"version {dataset.version} of {dataset.name} has a definition that names no datastore")
    return {
        "name": dataset.name,
        "version": str(dataset.version),
        "path": f"azureml://datastores/{place[1]}/paths/{place[2]}",
        "type": type(dataset).__name__,
        "tags": dict(dataset.tags or {}),
        "created": False,
    }


def failure(error: BaseException) -> Json:
    """Status, words and Retry-After of what the SDK raised; it wraps answers in several layers of its own."""
    if isinstance(error, Another):
        return {"status": 409, "message": str(error)}
    import requests
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
    from azureml._common.exceptions import AzureMLException
    from msrest.exceptions import ClientException

    seen: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and inner not in seen:
        seen.append(inner)
        deeper = getattr(inner, "inner_exception", None)
        inner = deeper if isinstance(deeper, BaseException) else inner.__cause__ or inner.__context__
    for one in seen:
        response = getattr(one, "response", None)
        status = getattr(response, "status_code", None) or getattr(one, "status_code", None)
        if isinstance(status, int):
            headers = getattr(response, "headers", None) or {}
            return {"status": status, "message": _words(response, one), "retry_after": headers.get("Retry-After")}
    for one in seen:
        if isinstance(one, ClientAuthenticationError):
            return {"status": 401, "message": "no identity gave a token: " + str(one).partition("\n")[0][:_MOST]}
        told = _STATUS.search(str(one))
        if told is not None:
            return {"status": int(told[1]), "message": _words(None, one)}
    refusal = _WAITING["last_refusal"]()
    if any(isinstance(one, requests.RequestException | ClientException | HttpResponseError) for one in seen):
        return {"status": refusal, "message": type(error).__name__ if refusal is None else _words(None, error)}
    if isinstance(error, AzureMLException):
        return {"status": refusal or 400, "message": _words(None, error)}
    raise error


def _words(response: Any, error: BaseException) -> str:
    try:
        return str(json.loads(response.content)["error"]["message"])[:_MOST]
    except Exception:  # noqa: BLE001 - whatever the answer is, the error's own first line will do
        return str(getattr(error, "message", "") or error).partition("\n")[0][:_MOST]


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # The folder of this file holds modules that are none of the SDK's business.
    sys.path = [one for one in sys.path if one != str(Path(__file__).parent)]
    asked = json.load(sys.stdin)
    # The SDK keeps what it learns of a workspace in the home folder, for everybody and for good.
    os.environ.setdefault("AZURE_CONFIG_DIR", str(Path.home() / ".azure"))
    os.environ["AZUREML_CURRENT_CLOUD"] = asked["workspace"]["cloud"]
    with tempfile.TemporaryDirectory(dir=asked["scratch"]) as home:
        os.environ["HOME"] = home
        for last in (False, True):
            told: Json = {}
            try:
                _WAITING["install"]()
                workspace = Workspace(asked["workspace"])
                told = {"answers": [getattr(workspace, call["operation"])(call) for call in asked["calls"]]}
            except _WAITING["AskedToWait"] as wait:
                told = {"failure": wait.as_failure()}
            except ImportError as error:
                told = {"missing": error.name or "azureml-dataprep"}
            except Exception as error:  # noqa: BLE001 - told, or raised again with its traceback
                told = {"failure": failure(error)}
            # A token that was withdrawn, or a key server that was slow to know it: asked for anew, once.
            if told.get("failure", {}).get("status") != 401 or last:
                break
    json.dump(told, answers)
    answers.close()


if __name__ == "__main__":
    main()
