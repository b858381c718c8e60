"""Platform adapter for CVAT."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry


def load() -> Adapter:
    from .adapter import Cvat, Options, connect

    return Adapter(Cvat, Options, connect)


ENTRY = PlatformEntry(
    name="cvat",
    description="CVAT, from 2.15 to the newest",
    load=load,
    needs=(Credential.URL,),
    webhook_header="x-signature-256",
)
