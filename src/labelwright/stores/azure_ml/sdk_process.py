"""Runs Azure ML SDK calls in a separate process, with the Python that has the SDK.

azureml-core (v1) with azureml-dataprep cannot be installed beside Prefect, and Microsoft advises against both SDKs in
one environment. So neither is imported here: the Python that the settings name (by default this one) runs `sdk_v2.py`
or `sdk_v1.py`, which reads its request as JSON from standard input and writes its response as JSON. A process can also
be stopped at a deadline, which a call inside an SDK cannot.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Any

from labelwright.ingest.upload.azure_client import seconds_in
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.security.azure_identity import says_expired
from labelwright.security.masking import mask, remember
from labelwright.settings import SettingsError, WorkspaceSettings

AZURE_ML = "Azure ML"
LONGEST_WAIT = 60.0
"""Seconds of a Retry-After that are waited here; a longer one is left to the caller."""

_MAX_MESSAGE = 500

_AUTHORITIES = {
    "AzureCloud": ("https://login.microsoftonline.com", "https://ml.azure.com/"),
    "AzureChinaCloud": ("https://login.chinacloudapi.cn", "https://ml.azure.cn/"),
    "AzureUSGovernment": ("https://login.microsoftonline.us", "https://ml.azure.us/"),
}
_PROGRAMS = {"sdk_v1": "sdk_v1.py", "sdk_v2": "sdk_v2.py"}
_ADVICE = {
    "sdk_v1": "make an environment with `python -m labelwright.stores.azure_ml.environment v1 FOLDER` and name its "
    "Python in the workspace's python_v1",
    "sdk_v2": "pip install 'labelwright[azureml-v2]', or name a Python that has azure-ai-ml in the workspace's "
    "python_v2",
}
_ACCESS_ADVICE = {
    401: "The token was not accepted: check that the identity belongs to the workspace's tenant and cloud.",
    403: "The identity needs the role AzureML Data Scientist in the workspace (see docs/azure.md).",
}


@dataclass(frozen=True, slots=True)
class WorkspaceId:
    """A workspace of Azure ML: subscription, resource group, name."""

    subscription_id: str
    resource_group: str
    workspace_name: str

    def uri(self, datastore: str) -> str:
        """Prefix of paths in the datastore, in the form that is valid in every workspace."""
        return (
            f"azureml://subscriptions/{self.subscription_id}/resourcegroups/{self.resource_group}"
            f"/workspaces/{self.workspace_name}/datastores/{datastore}/paths/"
        )


def workspace_id(settings: WorkspaceSettings) -> WorkspaceId:
    """The workspace of the settings, or of the config.json that they name. Raises SettingsError."""
    config: Mapping[str, Any] = {}
    if settings.config is not None:
        try:
            config = json.loads(settings.config.expanduser().read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"the workspace's config.json {settings.config} cannot be read: {error}") from None
        if not isinstance(config, dict):
            raise SettingsError(f"{settings.config} is not a config.json of Azure ML")
    values = {}
    for name in ("subscription_id", "resource_group", "workspace_name"):
        value = getattr(settings, name) or config.get(name)
        if not value:
            raise SettingsError(f"the workspace has no {name}: set it, or name a config.json")
        values[name] = str(value)
    return WorkspaceId(**values)


@dataclass(frozen=True)
class Calls:
    """Calls one SDK. Raises PlatformError; SettingsError when the SDK is not installed."""

    engine: str
    settings: WorkspaceSettings
    timeout: float
    """Seconds that one request may take."""
    endpoint: str = "core.windows.net"
    python: str = field(init=False)

    def __post_init__(self) -> None:
        python = self.settings.python_v1 if self.engine == "sdk_v1" else self.settings.python_v2
        object.__setattr__(self, "python", str(python.expanduser()) if python else sys.executable)

    def ask(self, operation: str, calls: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Returns one result per call. `operation` is shown in error messages."""
        place, (authority, audience) = workspace_id(self.settings), _AUTHORITIES[self.settings.cloud]
        workspace = {
            "subscription_id": place.subscription_id,
            "resource_group": place.resource_group,
            "workspace_name": place.workspace_name,
            "cloud": self.settings.cloud,
            "authority": authority,
            "audience": audience,
            "resource_manager": self.settings.resource_manager,
            "storage_endpoint": self.endpoint,
            "timeout": self.timeout,
        }
        program = Path(__file__).with_name(_PROGRAMS[self.engine])
        remember(*(str(call[name]) for call in calls for name in ("account_key", "sas") if call.get(name)))
        try:
            # A process that is killed at its deadline does not remove its temporary folder, so it gets one of ours.
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
                request = {"workspace": workspace, "calls": list(calls), "scratch": scratch}
                process = subprocess.run(
                    [self.python, str(program)],
                    input=json.dumps(request),
                    capture_output=True,
                    text=True,
                    encoding="utf-8",
                    timeout=self.settings.deadline,
                    check=False,
                )
        except subprocess.TimeoutExpired as timeout:
            message, status = f"it took more than {self.settings.deadline:g} seconds", _last_status(timeout.stderr)
            raise PlatformUnavailable(
                AZURE_ML, operation, status=status, message=message, advice="Try again."
            ) from None
        except OSError as error:
            raise SettingsError(f"{self.python} cannot be run: {error.strerror}") from None
        try:
            response = json.loads(process.stdout)
        except ValueError:
            last = mask(_last_line(process.stderr))
            message = f"the program of {self.engine} ended with {process.returncode}: {last[:500]}"
            raise PlatformRefused(AZURE_ML, operation, message=message) from None
        if "missing" in response:
            raise SettingsError(f"{self.python} has no {response['missing']}: {_ADVICE[self.engine]}")
        if "failure" in response:
            # SDKs quote their arguments, and URLs made of them. Masked before it is cut.
            message = mask(str(response["failure"]["message"]))[:_MAX_MESSAGE]
            raise self._error(operation, response["failure"] | {"message": message})
        return list(response["answers"])

    def _error(self, operation: str, failure: Mapping[str, Any]) -> PlatformError:
        status, message = failure["status"], str(failure["message"])
        if status == 401 and says_expired(message):
            advice = "Try again, which takes a new token. If it stays so, check this machine's clock."
            return PlatformUnavailable(AZURE_ML, operation, status=status, message=message, advice=advice)
        if status in (401, 403):
            advice = str(failure.get("advice") or _ACCESS_ADVICE[status])
            without_token = "advice" in failure  # then nothing was asked of Azure ML
            return AccessDenied(
                AZURE_ML, operation, status=None if without_token else status, message=message, advice=advice
            )
        if status == 404:
            advice = "Check subscription, resource group and workspace."
            return NotFound(AZURE_ML, operation, status=status, message=message, advice=advice)
        if failure.get("refused"):
            return PlatformRefused(AZURE_ML, operation, status=status, message=message)
        if status is None or status in (408, 425, 429) or status >= 500:
            wait = seconds_in(failure.get("retry_after"))
            unavailable = PlatformUnavailable(
                AZURE_ML, operation, status=status, message=message, advice="Try again.", retry_after=wait
            )
            if wait is not None and wait <= LONGEST_WAIT:
                sleep(wait)  # commands outside of a task have no retry policy that would wait
            return unavailable
        return PlatformRefused(AZURE_ML, operation, status=status, message=message)


def _last_status(stderr: str | bytes | None) -> int | None:
    """The last HTTP error status that a stopped process reported on standard error; see `waiting.py`."""
    text = stderr.decode("utf-8", "replace") if isinstance(stderr, bytes) else stderr or ""
    statuses = re.findall(r"labelwright: the server answered (\d{3})", text)
    return int(statuses[-1]) if statuses else None


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
