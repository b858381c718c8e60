"""What the registry knows of a platform, and the connection that its adapter is created from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from labelwright.security.masking import remember, remember_login

from .errors import PlatformRefused
from .http import rate_limit
from .image_limits import NO_LIMITS, ImageLimits
from .label_names import ANY_NAME, LabelNames
from .label_support import FULL, LabelSupport
from .protocol import Platform
from .values import Secret

if TYPE_CHECKING:
    from labelwright.domain import LabelSchema


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and credentials of a platform, and what an adapter has to know of its campaign.

    Its repr shows neither key nor secret.
    """

    url: str = field(repr=False)  # may hold a user and a password
    key: str = field(default="", repr=False)
    secret: Secret | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Values for the platform's own options model."""
    labels: tuple[str, ...] = ()
    """The campaign's own label names, for platforms that change their spelling."""
    labeler: str = ""
    """The campaign's labeler, for platforms that do not return it when more work is assigned."""
    recorded: Callable[[str], Collection[str]] = field(default=lambda _: (), repr=False)
    """Takes a campaign's id on the platform and returns the ids of the parts that hold its images according to the
    ledger (what stands before the slash in image ids)."""
    identity: Path | None = None
    """The file of the key by which the embedded service proves who it is."""
    requests_per_second: float | None = None
    """Limit of requests to the server, for all threads of this process together."""


class Credential(StrEnum):
    """Fields of a connection that a platform may require."""

    URL = "url"
    KEY = "key"
    SECRET = "secret"  # noqa: S105 - the name of a setting

    def is_set(self, connection: Connection) -> bool:
        if self is Credential.SECRET:
            return connection.secret is not None and bool(connection.secret.value)
        return bool(connection.url if self is Credential.URL else connection.key)


@dataclass(frozen=True, slots=True)
class Adapter:
    """The parts of a platform's adapter module."""

    platform: type[Platform]
    """The class, whose class line names the protocols it implements."""
    options: type[BaseModel]
    """The model of the platform's own options, which refuses unknown ones."""
    connect: Callable[[Connection], Platform]
    """Creates the adapter. Sends no request."""
    check_labels: Callable[[LabelSchema, Mapping[str, Any]], None] = lambda _labels, _options: None
    """Takes a campaign's labels and options. Raises PlatformRefused for labels that no campaign can be created with.
    Sends no request."""
    image_limits: Callable[[ImageLimits, Mapping[str, Any]], ImageLimits] = lambda limits, _options: limits
    """Takes the limits of the registry and a campaign's options. Returns the limits of such a campaign."""


@dataclass(frozen=True, slots=True)
class PlatformEntry:
    """A platform in the registry. The adapter's module is imported when it is first used."""

    name: str
    description: str
    load: Callable[[], Adapter]
    """Imports the adapter's module."""
    needs: tuple[Credential, ...]
    webhook_header: str = ""
    """Name (in lower case) of the header that proves where the platform's webhooks come from; "" without webhooks."""
    title: str = ""
    """The platform's name in messages; by default `name`."""
    labels: LabelSupport = FULL
    """What its labelers get to see of a campaign's labels."""
    images: ImageLimits = NO_LIMITS
    """Which images it accepts."""
    names: LabelNames = ANY_NAME
    """Which names of labels and attributes it stores as they are."""
    assigns_labelers: bool = True
    """Whether campaigns are given to their labeler there; False: everybody with access may label."""
    unchangeable: str = "Change it there, then run the command again with --ledger-only"
    """Where campaigns cannot be changed by the adapter: why, and what to do instead."""

    @property
    def shown_name(self) -> str:
        return self.title or self.name

    def adapter(self) -> type[Platform]:
        """Returns the adapter's class: `issubclass` tells what the platform can do."""
        return self.load().platform

    def options(self) -> type[BaseModel]:
        """Returns the model of the platform's own options, which refuses unknown ones."""
        return self.load().options

    def check_labels(self, labels: LabelSchema, options: Mapping[str, Any]) -> None:
        """Raises PlatformRefused for labels that no campaign can be created with, however little of them is shown.

        Sends no request. Raises pydantic.ValidationError for options that the model refuses.
        """
        self.load().check_labels(labels, options)

    def connect(self, connection: Connection) -> Platform:
        """Returns the adapter for a connection. Sends no request.

        Raises PlatformRefused when a credential is missing or the URL is not valid, pydantic.ValidationError for
        options that the model refuses.
        """
        missing = [credential.value for credential in self.needs if not credential.is_set(connection)]
        if missing:
            message = f"the settings hold no {' and no '.join(missing)} for it"
            raise PlatformRefused(self.name, "connect", message=message, advice="Set what is missing.")
        remember(connection.url, keep=True)  # masks the user and the password in it
        remember_login(connection.key, connection.secret.value if connection.secret is not None else "")
        if connection.url:
            rate_limit.limit(connection.url, connection.requests_per_second)
        return self.load().connect(connection)
