"""The storage account of an Azure ML workspace, read from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from labelwright.settings import SettingsError, WorkspaceSettings


@dataclass(frozen=True, slots=True)
class Account:
    """Container URL and credentials of a workspace's storage account."""

    name: str
    container_url: str
    """Without a signature."""
    endpoint: str
    """The host without `ACCOUNT.blob.`, as datastores expect it."""
    protocol: str
    key: str | None = None
    sas: str | None = None

    def __repr__(self) -> str:
        return f"Account({self.container_url!r})"


def account_of(workspace: WorkspaceSettings) -> Account:
    """Reads the account. Raises SettingsError when the settings name none, or two ways to reach it."""
    if workspace.connection_string is not None:
        if workspace.account_url or workspace.sas:
            raise SettingsError("a workspace has either connection_string, or account_url with or without sas")
        connection_string = workspace.connection_string.get_secret_value()
        parts = dict(part.strip().split("=", 1) for part in connection_string.split(";") if "=" in part)
        name, suffix = parts.get("AccountName", ""), parts.get("EndpointSuffix", "core.windows.net")
        url = parts.get("BlobEndpoint") or f"{parts.get('DefaultEndpointsProtocol', 'https')}://{name}.blob.{suffix}"
        key, sas = parts.get("AccountKey"), parts.get("SharedAccessSignature")
        if not (key and name) and not sas:
            raise SettingsError("the workspace's connection_string has neither AccountName and AccountKey nor a SAS")
    elif workspace.account_url:
        name, key, url = "", None, workspace.account_url
        sas = workspace.sas.get_secret_value() if workspace.sas else None
        if "?" in url:
            raise SettingsError("a workspace's account_url must not hold a signature: put it into sas")
    else:
        raise SettingsError(
            "a workspace needs its storage account: connection_string, or account_url with sas, or account_url alone "
            "for this machine's identity"
        )
    parsed = urlsplit(url.rstrip("/"))
    host = parsed.hostname or ""
    inner = parsed.path.strip("/")  # Azurite and its like have the account in the path
    name = name or inner or host.partition(".")[0]
    endpoint = parsed.netloc
    if not inner and host.startswith(f"{name}.blob."):
        endpoint = parsed.netloc.removeprefix(f"{name}.blob.")
    container_url = f"{url.rstrip('/')}/{workspace.container}"
    return Account(name, container_url, endpoint, parsed.scheme, key, sas.removeprefix("?") if sas else None)
