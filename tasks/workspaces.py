"""An Azure ML workspace by its name: from the settings, or from a Prefect block; resolved inside the task."""

from __future__ import annotations

from typing import Literal

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from labelwright.settings import Settings, SettingsError, WorkspaceSettings


class AzureMlWorkspace(Block):
    """An Azure ML workspace, the datastore in it, and the storage container behind the datastore."""

    _block_type_name = "Azure ML workspace of Labelwright"
    _block_type_slug = "labelwright-azure-ml-workspace"
    _description = "Where Labelwright registers datasets. Secrets stay on the Prefect server, encrypted."

    subscription_id: str
    resource_group: str
    workspace_name: str
    datastore: str = Field(default="labelwright", pattern=r"^[a-z0-9_]{1,255}$")
    container: str = "extra-images"
    account_url: str | None = Field(default=None, description="https://ACCOUNT.blob.core.windows.net")
    connection_string: SecretStr | None = Field(default=None, description="Of the storage account, with its key.")
    sas: SecretStr | None = Field(default=None, description="Signature for the container.")
    cloud: Literal["AzureCloud", "AzureChinaCloud", "AzureUSGovernment"] = "AzureCloud"
    resource_manager: str | None = None


def workspace_named(name: str, settings: Settings) -> WorkspaceSettings:
    """The settings' workspace of this name; where there is none, the Prefect block's. Raises SettingsError.

    Which Python has the SDK is said by the machine, so of a block it comes from the settings' workspace `default`.
    """
    found = settings.workspaces.get(name.lower())
    if found is not None:
        return found
    try:
        block = AzureMlWorkspace.load(name)
    except ValueError:
        variable = f"LABELWRIGHT_WORKSPACES__{name.upper()}"
        raise SettingsError(
            f"no Azure ML workspace '{name}' is known: set {variable}__CONFIG (or __SUBSCRIPTION_ID, __RESOURCE_GROUP, "
            f"__WORKSPACE_NAME) and {variable}__ACCOUNT_URL, or make a Prefect block '{name}' of the type "
            f"{AzureMlWorkspace._block_type_slug}"
        ) from None
    machine = settings.workspaces.get("default", WorkspaceSettings())
    fields = {field: getattr(block, field) for field in AzureMlWorkspace.model_fields}
    return WorkspaceSettings(
        **fields, python_v1=machine.python_v1, python_v2=machine.python_v2, deadline=machine.deadline
    )
