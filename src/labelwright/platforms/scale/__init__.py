"""Platform adapter for Scale AI."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry


def load() -> Adapter:
    from .adapter import Options, Scale, connect

    return Adapter(Scale, Options, connect)


ENTRY = PlatformEntry(
    name="scale",
    description="Scale AI",
    load=load,
    needs=(Credential.URL, Credential.KEY),
    webhook_header="scale-callback-auth",
)
