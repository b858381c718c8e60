"""Sonoma Creek 1.x and Intel Geti 2.x."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry


def load() -> Adapter:
    from .adapter import Geti, Options, connect

    return Adapter(Geti, Options, connect)


ENTRY = PlatformEntry(
    name="geti",
    description="Sonoma Creek 1.x and Intel Geti 2.x: a campaign is a project",
    load=load,
    needs=(Credential.URL,),
)
