"""Remo 0.3 and 0.6."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry


def load() -> Adapter:
    from .adapter import Options, Remo, connect

    return Adapter(Remo, Options, connect)


ENTRY = PlatformEntry(
    name="remo",
    description="Remo, 0.3 and 0.6, on a server of your own",
    load=load,
    needs=(Credential.URL, Credential.SECRET),
)
