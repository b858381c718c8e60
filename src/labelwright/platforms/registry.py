"""Which platforms there are, and what each can do. Adapters are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from labelwright.security.masking import remember, remember_login

from . import protocol
from .errors import PlatformRefused
from .http import rate_limit as rates
from .protocol import Platform, Secret


@dataclass(frozen=True, slots=True)
class Connection:
    """How a platform is reached. Its repr shows neither key nor secret."""

    url: str = field(repr=False)  # may hold a user and a password
    key: str = field(default="", repr=False)
    secret: Secret | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Those of the platform's own options model."""
    labels: tuple[str, ...] = ()
    """The campaign's own names of labels, for platforms that change their spelling."""
    labeler: str = ""
    """Of the campaign: for platforms that no longer know it when they are to assign work again."""
    recorded: Callable[[str], Collection[str]] = field(default=lambda _: (), repr=False)
    """For a campaign's id on the platform: what the platform calls the parts that hold its images, as the ledger knows
    them (the first part of images' ids, before a slash)."""
    identity: Path | None = None
    """The file of the key by which the embedded service proves who it is."""
    requests_per_second: float | None = None
    """What this process may ask of the server, all its threads together."""


class Credential(StrEnum):
    """What a connection has to hold for a platform."""

    URL = "url"
    KEY = "key"
    SECRET = "secret"  # noqa: S105 - the name of a setting


@dataclass(frozen=True, slots=True)
class PlatformEntry:
    """An adapter by the names of its module, its class, its options model and its `connect` function."""

    name: str
    says: str
    module: str
    adapter_name: str
    needs: tuple[Credential, ...]
    webhook_header: str = ""
    """In which a platform's own requests prove where they come from, in lower case; "" where there are none."""

    def adapter(self) -> type[Platform]:
        """The class that the protocols are read from."""
        return cast("type[Platform]", getattr(import_module(self.module), self.adapter_name))

    def options(self) -> type[BaseModel]:
        """The pydantic model of the platform's own options; unknown ones are refused by it."""
        return cast("type[BaseModel]", import_module(self.module).Options)

    def connect(self, connection: Connection) -> Platform:
        """The adapter for this connection; nothing is asked of the platform yet.

        Raises PlatformRefused when a credential is missing or the address is none, pydantic.ValidationError for
        options that the model refuses.
        """
        missing = [str(one) for one in self.needs if not _given(connection, one)]
        if missing:
            told = f"the settings hold no {' and no '.join(missing)} for it"
            raise PlatformRefused(self.name, "connect", message=told, advice="Set what is missing.")
        remember(connection.url, keep=True)  # of an address: the user and the password in it
        remember_login(connection.key, connection.secret.value if connection.secret is not None else "")
        if connection.url:
            rates.limit(connection.url, connection.requests_per_second)
        return cast("Platform", import_module(self.module).connect(connection))


_HERE = "labelwright.platforms"

PLATFORMS: dict[str, PlatformEntry] = {
    entry.name: entry
    for entry in (
        PlatformEntry(
            name="campaign_api",
            says="the labeling-campaign REST API, which `labelwright serve` speaks",
            module=f"{_HERE}.campaign_api.adapter",
            adapter_name="CampaignApi",
            needs=(Credential.URL, Credential.KEY, Credential.SECRET),
        ),
        PlatformEntry(
            name="remo",
            says="Remo, 0.3 and 0.6, on a server of your own",
            module=f"{_HERE}.remo.adapter",
            adapter_name="Remo",
            needs=(Credential.URL, Credential.SECRET),
        ),
        PlatformEntry(
            name="cvat",
            says="CVAT, from 2.15 to the newest",
            module=f"{_HERE}.cvat.adapter",
            adapter_name="Cvat",
            needs=(Credential.URL,),
            webhook_header="x-signature-256",
        ),
        PlatformEntry(
            name="scale",
            says="Scale AI",
            module=f"{_HERE}.scale.adapter",
            adapter_name="Scale",
            needs=(Credential.URL, Credential.KEY),
            webhook_header="scale-callback-auth",
        ),
        PlatformEntry(
            name="geti",
            says="Sonoma Creek 1.x and Intel Geti 2.x: a campaign is a project",
            module=f"{_HERE}.geti.adapter",
            adapter_name="Geti",
            needs=(Credential.URL,),
        ),
    )
}


def protocols() -> dict[str, tuple[str, ...]]:
    """The protocols of `protocol.py`, each with the verbs that make it up."""
    return {
        name: tuple(
            operation for operation, member in vars(kind).items() if not operation.startswith("_") and callable(member)
        )
        for name, kind in vars(protocol).items()
        if isinstance(kind, type) and getattr(kind, "_is_protocol", False) and kind.__module__ == protocol.__name__
    }


def capabilities() -> dict[str, dict[str, bool]]:
    """For every platform and every protocol: whether the adapter has all its verbs."""
    return {name: abilities(entry.adapter()) for name, entry in PLATFORMS.items()}


def abilities(adapter: type | object) -> dict[str, bool]:
    """For every protocol: whether this class (or object) has all its verbs."""
    return {
        name: all(callable(getattr(adapter, operation, None)) for operation in verbs)
        for name, verbs in protocols().items()
    }


def _given(connection: Connection, credential: Credential) -> bool:
    value = getattr(connection, credential)
    return bool(value.value if isinstance(value, Secret) else value)
