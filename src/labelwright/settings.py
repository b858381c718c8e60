"""The settings of a machine. The only module that reads environment variables.

Values come from variables that begin with LABELWRIGHT_ (nested with two underscores) and from settings.toml in the home
folder; variables win. A variable whose name ends in _FILE names a file that holds the value, as for the
secrets of containers: LABELWRIGHT_LEDGER_URL_FILE=/run/secrets/ledger_url.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as UnparsableSetting

from .security.credential_shapes import credential_in_url
from .security.identity import FILE as IDENTITY_FILE
from .security.masking import remember, remember_login
from .security.private_files import private_folder


class SettingsError(ValueError):
    """A setting that is missing or invalid. The message names it and says how to set it."""

    error_code = "LW1101"


class MissingSetting(SettingsError):
    """A setting that this machine lacks, and that another one of the team may have.

    setting: its name in the settings, such as `receiver.drop_container` or `connections.agency`.
    """

    error_code = "LW1102"

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


class EmbeddedServiceAway(SettingsError):
    """The embedded service has data here and no address at this moment: it is stopped, or being restarted."""

    error_code = "LW1103"


def _without_credential(url: str) -> str:
    credential = credential_in_url(url)
    if credential is not None or "?" in url:
        part = credential or "a query"
        raise ValueError(
            f"the address contains {part}, and addresses are shown to everybody: put a signature into its own setting "
            "(sas, connection_string or container_sas)"
        )
    return url


PlainUrl = Annotated[str, AfterValidator(_without_credential)]
"""An address without credentials, which may be shown to everybody."""


class _Environment(EnvSettingsSource):
    """Variables, and the files named by _FILE variables. A variable wins over its file."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        variables = super()._load_env_vars()
        file_variables = {name for name in variables if name.startswith("labelwright_") and name.endswith("_file")}
        read = {name.removesuffix("_file"): _content(name, variables[name] or "") for name in file_variables}
        return read | {name: value for name, value in variables.items() if name not in file_variables}


def _content(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(f"the file that {variable.upper()} names cannot be read: {why}") from None


class ConnectionSettings(BaseModel):
    """Address and credentials of a platform."""

    model_config = ConfigDict(extra="forbid")

    platform: str | None = Field(None, description="By default the connection's own name.")
    url: str | None = None
    page: PlainUrl | None = Field(None, description="The embedded service's address for labelers, if it is another.")
    requests_per_second: float | None = Field(None, gt=0, description="The platform's limit, for this process.")
    key: SecretStr | None = None
    secret: SecretStr | None = None
    most_tasks: int | None = Field(
        None, ge=0, description="Most tasks that a campaign may be billed, where every task costs money."
    )
    _identity: Path | None = PrivateAttr(None)

    @property
    def identity(self) -> Path | None:
        """Key file by which the embedded service proves its identity; None for any other platform."""
        return self._identity


class WorkspaceSettings(BaseModel):
    """An Azure ML workspace, its datastore, and the container behind the datastore."""

    model_config = ConfigDict(extra="forbid")

    config: Path | None = Field(
        None, description="A config.json from Azure ML Studio; the other settings here win over it."
    )
    subscription_id: str | None = None
    resource_group: str | None = None
    workspace_name: str | None = None
    datastore: str = Field("labelwright", pattern=r"^[a-z0-9_]{1,255}$", description="Created if it does not exist.")
    container: str = Field("extra-images", description="The main upload container.")
    account_url: PlainUrl | None = Field(None, description="https://ACCOUNT.blob.core.windows.net")
    connection_string: SecretStr | None = Field(None, description="Of the storage account, with its key in it.")
    sas: SecretStr | None = Field(None, description="Signature for the container: read, add, create, write, list.")
    uploads: str = Field("uploads", description="Folder of the container with the platform's own image sets, if any.")
    cloud: Literal["AzureCloud", "AzureChinaCloud", "AzureUSGovernment"] = "AzureCloud"
    resource_manager: PlainUrl | None = Field(None, description="Another address of the Azure Resource Manager.")
    python_v1: Path | None = Field(None, description="Python that has azureml-core and azureml-dataprep.")
    python_v2: Path | None = Field(None, description="Python that has azure-ai-ml; by default this one.")
    deadline: float = Field(600, gt=0, description="Seconds that Azure ML may take for one registration.")


class ServiceSettings(BaseModel):
    """The embedded service."""

    model_config = ConfigDict(extra="forbid")

    admin_key: str | None = Field(None, description="By default generated on the first start.")
    admin_secret: SecretStr | None = None
    database_url: SecretStr | None = Field(
        None, description="Postgres URL; by default an SQLite file in the data directory."
    )
    storage_connection_string: SecretStr | None = Field(
        None, description="Azure Blob account for images and labels files; by default they are in the data directory."
    )
    storage_account_url: PlainUrl | None = Field(None, description="The same by its URL and this machine's identity.")
    dropbox_lifetime: float = Field(7 * 86400, gt=0, description="Seconds that a dropbox URL is good for.")


class ResultsSettings(BaseModel):
    """The Azure Blob container that results of runs are kept in, for a team of workers."""

    model_config = ConfigDict(extra="forbid")

    container: str = Field("prefect-results", description="Created by `labelwright deploy` if it does not exist.")
    account_url: PlainUrl | None = Field(None, description="https://ACCOUNT.blob.core.windows.net, by this identity.")
    connection_string: SecretStr | None = Field(None, description="Of the storage account, with its key in it.")


class ReceiverSettings(BaseModel):
    """Address and secrets of `labelwright receive`."""

    model_config = ConfigDict(extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(8090, ge=0, le=65535, description="0 takes a free one.")
    event_grid_secret: SecretStr | None = Field(
        None, description="Secret that Azure Event Grid sends; without it /eventgrid refuses every request."
    )
    drop_container: PlainUrl | None = Field(
        None,
        description="https://ACCOUNT.blob.core.windows.net/CONTAINER: a campaign.yaml that arrives there is launched.",
    )


class OperationsSettings(BaseModel):
    """Who may look at the operations page, beside the admin of the embedded service."""

    model_config = ConfigDict(extra="forbid")

    reader_key: str | None = Field(None, min_length=1, description="Key of those who may look and change nothing.")
    reader_secret: SecretStr | None = Field(None, min_length=16, description="The secret to it.")
    user_header: str = Field(
        "",
        pattern=r"^[A-Za-z0-9-]*$",
        description="Header in which a proxy names the user that it has checked; by default none is trusted.",
    )
    admins: list[str] = Field([], description="Users of that header who may act; the others may look.")


class Settings(BaseSettings):
    """All settings of a machine."""

    model_config = SettingsConfigDict(env_prefix="LABELWRIGHT_", env_nested_delimiter="__", extra="ignore")

    home: Path = Field(
        default_factory=lambda: Path.home() / ".labelwright",
        description="Folder of the ledger, the service's data and working files.",
    )
    ledger_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL; by default an SQLite file in the home folder."
    )
    shared_folders: list[Path] = Field([], description="Folders that all machines of a team have at the same path.")
    team_key: SecretStr | None = Field(
        None,
        description="Encrypts labelers' keys in the ledger, so that every machine of a team has them: 32 random bytes "
        "in base64, or block:NAME for a Secret block of Prefect.",
    )
    connections: dict[str, ConnectionSettings] = Field({}, description="Credentials by name.")
    workspaces: dict[str, WorkspaceSettings] = Field({}, description="Azure ML workspaces by name.")
    container_sas: SecretStr | None = Field(None, description="Signature for reading images from an Azure container.")
    container_key: SecretStr | None = Field(
        None, description="Account key of that container, for signing addresses that platforms fetch images from."
    )
    container_identity: bool = Field(
        False, description="Read containers by this machine's identity where neither signature nor key is set."
    )
    image_url_days: float = Field(14, gt=0, le=365, description="How long such an address is good for.")
    service: ServiceSettings = Field(default_factory=ServiceSettings)
    operations: OperationsSettings = Field(default_factory=OperationsSettings)
    results: ResultsSettings | None = Field(None, description="When set, `labelwright deploy` saves a block for it.")
    receiver: ReceiverSettings | None = Field(None, description="When set, `labelwright up` also starts the receiver.")
    prefect_busy_seconds: float = Field(
        300,
        gt=0,
        description="Seconds for which `deploy`, `up`, `notify` and `blocks` repeat requests to a busy Prefect server.",
    )
    sweep_every: float = Field(900, ge=1, description="Seconds between two sweeps of the deployed schedule.")
    upload_threads: int = Field(16, ge=1, le=256)
    upload_engine: Literal["azure", "obstore"] = "azure"
    batch_size: int = Field(500, ge=1, le=5000, description="Images per task run.")
    dask_scheduler: str | None = Field(
        None, pattern=r"^(tcp|tls|ucx)://.+", description="tcp://HOST:8786 of a Dask cluster that also checks images."
    )
    labels_page_size: int = Field(1000, ge=1, le=10000, description="Images per page when labels are read.")
    retry_delays: list[float] = Field([2, 10, 30, 60, 120], description="Seconds between the tries of a task.")
    request_timeout: float = Field(60, gt=0, description="Time limit of one request, in seconds.")
    longest_wait: float = Field(
        300,
        ge=0,
        description="Longest Retry-After, in seconds, that a task waits for; a longer one is left to a later sweep.",
    )
    finish_by: Literal["sweep", "event"] = Field(
        "sweep",
        description="What starts the finishing run: the sweep, or an automation on the completed event.",
    )
    event_minutes: float = Field(
        10, gt=0, description="Minutes after which the sweep finishes a campaign whose event was lost."
    )
    looks_at_once: int = Field(
        8, ge=1, le=64, description="Campaigns of one connection that a sweep checks at the same time."
    )
    look_deadline: float = Field(300, gt=0, description="Time limit for checking one campaign, in seconds.")
    sweep_deadline: float = Field(
        3600, gt=0, description="Time limit of a sweep, in seconds; campaigns that are left wait for the next sweep."
    )
    restart_minutes: list[float] = Field(
        [1, 2, 5, 10, 30, 60],
        description="Minutes before a sweep restarts an interrupted launch or finish, by attempt.",
    )
    restarts: int = Field(24, ge=1, description="Attempts after which a campaign needs attention.")
    dead_run_minutes: float = Field(
        1.5,
        gt=0,
        description="Minutes after which a run that was started and has not taken up its work counts as crashed.",
    )
    retention_days: float = Field(
        30,
        ge=0,
        description="Days after which sweeps remove ended runs from Prefect, with logs and artifacts; 0 keeps all.",
    )
    quiet_sweep_hours: float = Field(
        24, gt=0, description="Hours after which the run of a sweep that found nothing changed is removed."
    )
    sealing_deadline: float = Field(
        6 * 3600, gt=0, description="Seconds that a platform may take to process an image set."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        variables = _Environment(settings_cls)
        home = variables().get("home") or Path.home() / ".labelwright"
        file = Path(home).expanduser() / "settings.toml"
        try:
            toml = TomlConfigSettingsSource(settings_cls, file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise SettingsError(f"{file} cannot be read: {why}") from None
        return init_settings, variables, toml

    def ledger_address(self) -> str:
        if self.ledger_url is not None:
            return self.ledger_url.get_secret_value()
        private_folder(self.home)
        return f"sqlite:///{self.home / 'ledger.db'}"

    def has_ledger_of_team(self) -> bool:
        """Whether several machines may use the ledger: it is no SQLite file."""
        return self.ledger_url is not None and not self.ledger_url.get_secret_value().startswith("sqlite")

    def is_shared(self, path: str | Path) -> bool:
        """Whether a path is in a folder that every machine has."""
        place = Path(path).resolve()
        return any(place.is_relative_to(folder.expanduser().resolve()) for folder in self.shared_folders)

    def campaign_folder(self, name: str) -> Path:
        """Folder of a campaign's working files on this machine."""
        return self.home / "campaigns" / name

    @property
    def frames_folder(self) -> Path:
        """Folder of the frames that were extracted from videos on this machine."""
        return self.home / "frames"

    def connection(self, name: str) -> ConnectionSettings:
        """The named connection. Defaults for `campaign_api` are those of the running embedded service.

        Raises SettingsError.
        """
        connection = self.connections.get(name.lower(), ConnectionSettings(platform=name))
        connection = connection.model_copy(update={"platform": connection.platform or name})
        if connection.url and connection.key is not None:
            return connection
        local = self.embedded_service() if connection.platform == "campaign_api" else None
        if local is not None:
            service = local.model_copy(update={"url": connection.url or local.url, "page": connection.page})
            # At another address (behind a proxy) the service sees another connection, and cannot prove its identity.
            if service.url != local.url and not _is_here(service.url or ""):
                service._identity = None
            return service
        if connection.platform == "campaign_api" and self.has_embedded_service():
            raise EmbeddedServiceAway(
                f"the labeling service of {self.home} is not running, or is being restarted: its address is not known. "
                "If nothing restarts it, start it again with: labelwright up"
            )
        if name == "campaign_api":
            raise MissingSetting(
                "connections.campaign_api",
                "no labeling service is configured. Start the embedded one with: labelwright serve. Or set "
                "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL, __KEY and __SECRET",
            )
        raise MissingSetting(
            f"connections.{name.lower()}",
            f"connection '{name}' is not complete. Set LABELWRIGHT_CONNECTIONS__{name.upper()}__URL, __KEY and "
            f"__SECRET, or put [connections.{name}] into {self.home / 'settings.toml'}",
        )

    def workspace(self, name: str) -> WorkspaceSettings:
        """The named Azure ML workspace. Raises SettingsError."""
        workspace = self.workspaces.get(name.lower())
        if workspace is None:
            variable = f"LABELWRIGHT_WORKSPACES__{name.upper()}"
            raise MissingSetting(
                f"workspaces.{name.lower()}",
                f"the Azure ML workspace '{name}' is not configured: set {variable}__CONFIG (or __SUBSCRIPTION_ID, "
                f"__RESOURCE_GROUP, __WORKSPACE_NAME) and {variable}__ACCOUNT_URL, or create a Prefect block and write "
                "workspace: block:NAME",
            )
        return workspace

    def labeling_page_host(self, name: str = "campaign_api") -> str | None:
        """The embedded service's address for labelers, if it is on this machine or the connection's `page` names it."""
        try:
            connection = self.connection(name)
        except SettingsError:
            return None
        if connection.page:
            return connection.page.rstrip("/").removesuffix("/label")
        url, local = connection.url or "", self.embedded_service()
        return url.removesuffix("/api/v1") if local is not None and local.url == url else None

    def has_embedded_service(self) -> bool:
        """Whether the embedded service has data in this home folder, running or not."""
        return (self.home / "service" / "admin.json").exists()

    def embedded_service(self) -> ConnectionSettings | None:
        """Connection to this home folder's embedded service, from the files it writes at its start."""
        try:
            admin = json.loads((self.home / "service" / "admin.json").read_text())
            address = json.loads((self.home / "service" / "service.json").read_text())["url"]
            url = f"{address}/api/v1"
            connection = ConnectionSettings(platform="campaign_api", url=url, key=admin["key"], secret=admin["secret"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # half written, or of another program
            return None
        connection._identity = self.home / "service" / IDENTITY_FILE
        remember_secrets(connection)
        return connection


def _is_here(url: str) -> bool:
    """Whether the URL is plain HTTP to this machine."""
    parts = urlsplit(url)
    try:
        ip = ip_address(parts.hostname or "")
    except ValueError:
        return parts.scheme == "http" and parts.hostname == "localhost"
    return parts.scheme == "http" and (ip.is_loopback or ip.is_unspecified)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process. Raises SettingsError."""
    try:
        loaded = Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_input=False)
        )
        raise SettingsError(f"the settings cannot be used: {faults}") from None
    except UnparsableSetting as error:  # its message names the setting, not the value
        raise SettingsError(f"the settings cannot be used: {error}: lists and groups are written as JSON") from None
    remember_secrets(loaded)
    return loaded.model_copy(update={"home": loaded.home.expanduser().resolve()})


def remember_secrets(value: object) -> None:
    """Masks every secret in the settings, or in a part of them, in all output of this process."""
    if isinstance(value, SecretStr):
        if not value.get_secret_value().startswith("block:"):
            remember(value.get_secret_value(), keep=True)
    elif isinstance(value, ConnectionSettings):
        key, secret = value.key, value.secret
        remember(value.url or "", keep=True)
        remember_login(key.get_secret_value() if key else "", secret.get_secret_value() if secret else "")
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            remember_secrets(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            remember_secrets(item)


def forget_settings() -> None:
    """Clears the cache: settings are read again at the next use."""
    settings.cache_clear()
