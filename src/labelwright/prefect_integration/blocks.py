"""Prefect block types for credentials: one a platform, one for an image container, one for an Azure ML workspace.

Blocks are created and edited in the Prefect UI and named in a campaign: `connection: block:NAME`. Prefect's server
stores their secrets encrypted; they are read inside the task that needs them, nowhere else.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, ValidationError

from labelwright.campaigns.spec import BLOCK, ImagesFrom
from labelwright.settings import ConnectionSettings, Settings, SettingsError, WorkspaceSettings, remember_secrets

if TYPE_CHECKING:
    from .busy_server import Patience

_AnyBlock = TypeVar("_AnyBlock", bound=Block)


def _only_by_reference(schema: dict[str, Any], model: type[Any]) -> None:
    """Lets a flow parameter accept a saved block only: secrets typed into the form are stored visibly with the run."""
    _prefect_schema_extra(schema, model)
    schema["not"] = {}


_prefect_schema_extra: Any = Block.model_config["json_schema_extra"]


class PlatformCredentials(Block):
    """The fields of a connection in the settings. Each platform's own block type requires those that it needs."""

    model_config = ConfigDict(json_schema_extra=_only_by_reference)

    _block_type_name: ClassVar[str] = "Labelwright connection"
    platform_name: ClassVar[str] = ""

    url: str = Field(title="Url")
    page: str | None = Field(
        None, title="Page", description="Address at which labelers reach the embedded service, if `url` is another one."
    )
    requests_per_second: float | None = Field(
        None, title="Requests per second", description="The platform's limit, for this process."
    )
    key: SecretStr | None = Field(None, title="Key")
    secret: SecretStr | None = Field(None, title="Secret")
    most_tasks: int | None = Field(
        None,
        title="Most tasks",
        description="Most tasks that a campaign may be billed, where every task costs money.",
    )

    def connection(self) -> ConnectionSettings:
        """Returns the same credentials as a connection of the settings."""
        return ConnectionSettings(
            platform=self.platform_name,
            url=self.url,
            page=self.page,
            requests_per_second=self.requests_per_second,
            key=self.key,
            secret=self.secret,
            most_tasks=self.most_tasks,
        )


class CampaignApiCredentials(PlatformCredentials):
    """Credentials for the labeling-campaign REST API, which `labelwright serve` speaks."""

    _block_type_name = "Labelwright campaign_api"
    _block_type_slug = "labelwright-campaign-api"
    _description = "Credentials for the labeling-campaign REST API, which `labelwright serve` speaks."
    platform_name = "campaign_api"

    key: SecretStr = Field(title="Key")
    secret: SecretStr = Field(title="Secret")


class RemoCredentials(PlatformCredentials):
    """Credentials for Remo, 0.3 and 0.6, on a server of your own."""

    _block_type_name = "Labelwright remo"
    _block_type_slug = "labelwright-remo"
    _description = "Credentials for Remo, 0.3 and 0.6, on a server of your own."
    platform_name = "remo"

    secret: SecretStr = Field(title="Secret")


class CvatCredentials(PlatformCredentials):
    """Credentials for CVAT, from 2.15 to the newest."""

    _block_type_name = "Labelwright cvat"
    _block_type_slug = "labelwright-cvat"
    _description = "Credentials for CVAT, from 2.15 to the newest."
    platform_name = "cvat"


class ScaleCredentials(PlatformCredentials):
    """Credentials for Scale AI."""

    _block_type_name = "Labelwright scale"
    _block_type_slug = "labelwright-scale"
    _description = "Credentials for Scale AI."
    platform_name = "scale"

    key: SecretStr = Field(title="Key")


class GetiCredentials(PlatformCredentials):
    """Credentials for Sonoma Creek 1.x and Intel Geti 2.x: a campaign is a project."""

    _block_type_name = "Labelwright geti"
    _block_type_slug = "labelwright-geti"
    _description = "Credentials for Sonoma Creek 1.x and Intel Geti 2.x: a campaign is a project."
    platform_name = "geti"


class LabelStudioCredentials(PlatformCredentials):
    """Credentials for Label Studio: the key is a personal access token."""

    _block_type_name = "Labelwright label_studio"
    _block_type_slug = "labelwright-label-studio"
    _description = "Credentials for Label Studio: the key is a personal access token."
    platform_name = "label_studio"

    key: SecretStr = Field(title="Key")


Credentials = (
    CampaignApiCredentials
    | RemoCredentials
    | CvatCredentials
    | ScaleCredentials
    | GetiCredentials
    | LabelStudioCredentials
)
"""The type of a flow's parameter: Prefect's form offers the blocks of these types."""

CREDENTIAL_BLOCKS: dict[str, type[PlatformCredentials]] = {
    block_type.platform_name: block_type
    for block_type in (
        CampaignApiCredentials,
        RemoCredentials,
        CvatCredentials,
        ScaleCredentials,
        GetiCredentials,
        LabelStudioCredentials,
    )
}
"""The block type that holds a platform's credentials, by the platform's name."""


class ImageContainerCredentials(Block):
    """The signature for reading images from an Azure container."""

    _block_type_name = "Labelwright image container"
    _block_type_slug = "labelwright-image-container"
    _description = "A shared access signature with the rights to read and to list, for campaigns' images."

    sas: SecretStr = Field(title="Signature", description="What follows the question mark in a signed URL.")
    key: SecretStr | None = Field(
        None, title="Account key", description="Signs addresses from which a platform fetches single images."
    )


class AzureMlWorkspace(Block):
    """An Azure ML workspace, the datastore in it, and the storage container behind the datastore."""

    _block_type_name = "Labelwright Azure ML workspace"
    _block_type_slug = "labelwright-azure-ml-workspace"
    _description = "Where datasets are registered, and the container that images and labels go to."

    subscription_id: str = Field(title="Subscription id")
    resource_group: str = Field(title="Resource group")
    workspace_name: str = Field(title="Workspace name")
    datastore: str = Field("labelwright", title="Datastore", pattern=r"^[a-z0-9_]{1,255}$")
    container: str = Field("extra-images", title="Container")
    account_url: str | None = Field(None, title="Account URL", description="https://ACCOUNT.blob.core.windows.net")
    connection_string: SecretStr | None = Field(None, title="Connection string", description="Instead of the URL.")
    sas: SecretStr | None = Field(None, title="Signature", description="For the container, beside the account's URL.")
    cloud: Literal["AzureCloud", "AzureChinaCloud", "AzureUSGovernment"] = Field("AzureCloud", title="Cloud")
    resource_manager: str | None = Field(None, title="Resource manager", description="Where it is another one.")


def register_blocks(limit: Patience | None = None) -> list[str]:
    """Register every block type with the configured Prefect server. Returns their slugs. Idempotent.

    limit: what is left of the time for a busy server; by default `prefect_busy_seconds`.

    Raises CannotRun, NotStarted.
    """
    from .busy_server import patience
    from .client import require_prefect_client

    require_prefect_client()
    block_types: list[type[Block]] = [*CREDENTIAL_BLOCKS.values(), ImageContainerCredentials, AzureMlWorkspace]
    with patience() if limit is None else nullcontext(limit) as remaining:
        for block_type in block_types:
            remaining.run(partial(block_type.register_type_and_schema, _sync=True))  # type: ignore[call-arg]
    return [block_type.get_block_type_slug() for block_type in block_types]


def name_of(block: Block) -> str:
    """Returns the connection name that a campaign records for a block. Raises SettingsError for an unsaved block."""
    name = block._block_document_name
    if not name:
        raise SettingsError("the credentials are not a saved block: save them under a name and choose that block")
    return f"{BLOCK}{name}"


def connection_in_block(connection: str, platform: str | None = None) -> ConnectionSettings:
    """Returns the credentials of `block:NAME`. Without a platform, the blocks of every platform are searched.

    Raises SettingsError when no block has that name, or several have.
    """
    name = connection.removeprefix(BLOCK)
    block_types = [CREDENTIAL_BLOCKS[platform]] if platform else list(CREDENTIAL_BLOCKS.values())
    blocks = [block for block_type in block_types if (block := _load(block_type, name)) is not None]
    if not blocks:
        kind = f"of type {block_types[0].get_block_type_slug()}" if platform else "of a platform"
        raise SettingsError(
            f"there is no block '{name}' {kind}. Make one in the Prefect UI under Blocks (types that are missing there "
            "are registered by: labelwright blocks)"
        )
    if len(blocks) > 1:
        raise SettingsError(f"'{name}' is the name of blocks of several platforms: give each block its own name")
    credentials = blocks[0].connection()
    remember_secrets(credentials)
    return credentials


def secret_in_block(secret: str) -> str:
    """Returns the value of `block:NAME`, a Secret block of Prefect's own. Raises SettingsError."""
    from prefect.blocks.system import Secret

    name = secret.removeprefix(BLOCK)
    block: Secret[Any] | None = _load(Secret, name)
    if block is None:
        raise SettingsError(f"there is no Secret block '{name}'. Make one in the Prefect UI under Blocks")
    return str(block.get())


def workspace_in_block(workspace: str, here: WorkspaceSettings) -> WorkspaceSettings:
    """Returns the workspace of `block:NAME`. Python programs and deadline are those of this machine, from `here`.

    Raises SettingsError.
    """
    name = workspace.removeprefix(BLOCK)
    block = _load(AzureMlWorkspace, name)
    if block is None:
        raise SettingsError(f"there is no block '{name}' of type {AzureMlWorkspace.get_block_type_slug()}")
    remember_secrets(block)
    try:
        return WorkspaceSettings(
            subscription_id=block.subscription_id,
            resource_group=block.resource_group,
            workspace_name=block.workspace_name,
            datastore=block.datastore,
            container=block.container,
            account_url=block.account_url,
            connection_string=block.connection_string,
            sas=block.sas,
            cloud=block.cloud,
            resource_manager=block.resource_manager,
            python_v1=here.python_v1,
            python_v2=here.python_v2,
            deadline=here.deadline,
        )
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors(include_input=False))
        raise SettingsError(f"the block '{name}' cannot be used: {faults}") from None


def with_signature(base: Settings, images: ImagesFrom) -> Settings:
    """Returns the settings with the signature of the container that a campaign names. Raises SettingsError."""
    if images.credentials is None:
        return base
    name = images.credentials.removeprefix(BLOCK)
    block = _load(ImageContainerCredentials, name)
    if block is None:
        raise SettingsError(f"there is no block '{name}' of type {ImageContainerCredentials.get_block_type_slug()}")
    remember_secrets(block)
    # The key of the settings is that of another container's account.
    return base.model_copy(update={"container_sas": block.sas, "container_key": block.key})


def _load(block_type: type[_AnyBlock], name: str) -> _AnyBlock | None:
    """Returns None when there is no such block. Raises SettingsError for a block that does not fit its type."""
    from prefect.exceptions import ObjectNotFound

    try:
        return block_type.load(name, _sync=True)  # type: ignore[call-arg,return-value]
    except ValueError as error:
        if isinstance(error.__cause__, ObjectNotFound):
            return None
        raise SettingsError(f"the block '{name}' cannot be used: {type(error).__name__}") from None
