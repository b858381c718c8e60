"""Connections whose credentials may be Prefect blocks. Prefect is imported when a block is read, not before."""

from __future__ import annotations

from labelwright.campaigns.connections import Connections
from labelwright.campaigns.spec import ImagesFrom
from labelwright.domain.errors import CannotRun
from labelwright.settings import ConnectionSettings, Settings, SettingsError


class PrefectBlocks:
    """Reads credentials from the blocks of the Prefect server that is configured (a `BlockReader`)."""

    def connection(self, name: str, platform: str | None) -> ConnectionSettings:
        from .blocks import connection_in_block

        return connection_in_block(name, platform)

    def with_container_key(self, settings: Settings, images: ImagesFrom) -> Settings:
        from .blocks import with_signature

        return with_signature(settings, images)

    def secret(self, name: str) -> str:
        from .blocks import secret_in_block
        from .client import require_prefect_client

        try:
            require_prefect_client()
        except CannotRun as error:
            raise SettingsError(f"{name} is a block of Prefect, and {error}") from None
        return secret_in_block(name)


CONNECTIONS = Connections(PrefectBlocks())
"""By the settings and the Prefect blocks of this process."""
