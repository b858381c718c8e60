"""Credentials as Prefect blocks: one small block a platform, one for the signature of an image container,
and one for an Azure ML workspace.

Made and changed in the Prefect UI, chosen by name: `connection: block:NAME` in a campaign. Their secrets are kept
encrypted by Prefect's server and read inside the task that needs them, nowhere else.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from operator import or_
from types import new_class
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, ValidationError

from labelwright.campaigns.spec import BLOCK, ImagesFrom
from labelwright.local.servers import NotStarted
from labelwright.platforms.registry import PLATFORMS, PlatformEntry
from labelwright.settings import ConnectionSettings, Settings, SettingsError, WorkspaceSettings, remember_secrets


def _only_by_reference(schema: dict[str, Any], model: type[Any]) -> None:
    """A parameter of such a type names a block: secrets in its place would be kept with the run, for all to see."""
    _as_prefect_has_it(schema, model)
    schema["not"] = {}


_as_prefect_has_it: Any = Block.model_config["json_schema_extra"]


class PlatformCredentials(Block):
    """What all platforms' blocks are: the fields of a connection in the settings, those required that are needed."""

    model_config = ConfigDict(json_schema_extra=_only_by_reference)

    _block_type_name: ClassVar[str] = "Labelwright connection"
    platform_name: ClassVar[str] = ""

    def connection(self) -> ConnectionSettings:
        own = type(self).model_fields
        values = {name: getattr(self, name) for name in ConnectionSettings.model_fields if name in own}
        return ConnectionSettings(platform=self.platform_name, **values)


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


@lru_cache(maxsize=100)
def block_type(platform: str) -> type[PlatformCredentials]:
    """The block that holds credentials for a platform."""
    return _made_for(PLATFORMS[platform])


def _made_for(entry: PlatformEntry) -> type[PlatformCredentials]:
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": f"Credentials for {entry.description}.",
        "__annotations__": {},
        "_block_type_name": f"Labelwright {entry.name}",
        "_block_type_slug": f"labelwright-{entry.name.replace('_', '-')}",
        "_description": f"Credentials for {entry.description}.",
        "platform_name": entry.name,
    }
    needed = {str(one) for one in entry.needs}
    for name, field in ConnectionSettings.model_fields.items():
        if name == "platform":
            continue
        kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)] or [field.annotation]
        kind: Any = kinds[0]
        title = name.replace("_", " ").capitalize()
        if name in needed:
            namespace["__annotations__"][name] = kind
            namespace[name] = Field(title=title, description=field.description)
        else:
            namespace["__annotations__"][name] = kind | None
            namespace[name] = Field(None, title=title, description=field.description)
    namespace["__annotations__"] |= {
        "_block_type_name": ClassVar[str],
        "_block_type_slug": ClassVar[str],
        "_description": ClassVar[str],
        "platform_name": ClassVar[str],
    }
    name = "".join(part.capitalize() for part in entry.name.split("_")) + "Credentials"
    return new_class(name, (PlatformCredentials,), {}, lambda body: body.update(namespace))


if TYPE_CHECKING:
    Credentials = PlatformCredentials
else:
    Credentials = reduce(or_, (block_type(name) for name in PLATFORMS))
    """The type of a flow's parameter: Prefect's form offers the blocks of these types."""


def register_blocks() -> list[str]:
    """Make every block type known to the Prefect server that is configured. Answers their slugs.

    Raises CannotRun, NotStarted.
    """
    from httpx import HTTPError

    from .deployments import require_prefect_client

    require_prefect_client()
    kinds: list[type[Block]] = [*(block_type(name) for name in PLATFORMS), ImageContainerCredentials, AzureMlWorkspace]
    try:
        for kind in kinds:
            kind.register_type_and_schema(_sync=True)  # type: ignore[call-arg]
    except HTTPError as error:
        raise NotStarted(f"the Prefect server did not answer: {type(error).__name__}") from None
    return [kind.get_block_type_slug() for kind in kinds]


def name_of(block: Block) -> str:
    """The connection name by which a campaign remembers a block. Raises SettingsError."""
    name = block._block_document_name
    if not name:
        raise SettingsError("the credentials were not saved as a block: save them under a name and choose that")
    return f"{BLOCK}{name}"


def connection_in_block(connection: str, platform: str | None = None) -> ConnectionSettings:
    """The credentials of `block:NAME`, for a platform; without one the block of that name decides.

    Raises SettingsError when there is none of that name, or several.
    """
    name = connection.removeprefix(BLOCK)
    found = [block for one in ([platform] if platform else PLATFORMS) if (block := _load(block_type(one), name))]
    if not found:
        kind = f"of type {block_type(platform).get_block_type_slug()}" if platform else "of a platform"
        raise SettingsError(
            f"there is no block '{name}' {kind}. Make one in the Prefect UI under Blocks (types that are missing there "
            "are registered by: labelwright blocks)"
        )
    if len(found) > 1:
        raise SettingsError(f"'{name}' is the name of blocks of several platforms: give them names of their own")
    chosen: PlatformCredentials = found[0]
    stored = chosen.connection()
    remember_secrets(stored)
    return stored


def workspace_in_block(workspace: str, here: WorkspaceSettings) -> WorkspaceSettings:
    """The workspace of `block:NAME`. Which Python has the SDK is this machine's business: that comes from `here`.

    Raises SettingsError.
    """
    name = workspace.removeprefix(BLOCK)
    block = _load(AzureMlWorkspace, name)
    if block is None:
        raise SettingsError(f"there is no block '{name}' of type {AzureMlWorkspace.get_block_type_slug()}")
    own = {
        field: getattr(block, field) for field in WorkspaceSettings.model_fields if field in type(block).model_fields
    }
    remember_secrets(block)
    try:
        return WorkspaceSettings(**own, python_v1=here.python_v1, python_v2=here.python_v2, deadline=here.deadline)
    except ValidationError as error:
        faults = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors(include_input=False))
        raise SettingsError(f"the block '{name}' cannot be used: {faults}") from None


def with_signature(found: Settings, images: ImagesFrom) -> Settings:
    """The settings with the signature of the container that a campaign names. Raises SettingsError."""
    if images.credentials is None:
        return found
    name = images.credentials.removeprefix(BLOCK)
    block = _load(ImageContainerCredentials, name)
    if block is None:
        raise SettingsError(f"there is no block '{name}' of type {ImageContainerCredentials.get_block_type_slug()}")
    remember_secrets(block)
    # The key of the settings is that of another container's account.
    return found.model_copy(update={"container_sas": block.sas, "container_key": block.key})


def _load(kind: type[Any], name: str) -> Any:
    """None when there is no such block. Raises SettingsError for one that does not fit."""
    from prefect.exceptions import ObjectNotFound

    try:
        return kind.load(name, _sync=True)
    except ValueError as error:
        if isinstance(error.__cause__, ObjectNotFound):
            return None
        raise SettingsError(f"the block '{name}' cannot be used: {type(error).__name__}") from None
