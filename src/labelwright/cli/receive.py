"""`labelwright receive`: the receiver of webhooks and Event Grid in the foreground."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def receive(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one. [default: 8090]", min=0, max=65535)
    ] = None,
) -> None:
    """Receive webhooks of platforms and Azure Event Grid's notices of new blobs, and send them to Prefect as events."""
    receive_until_stopped(host, port)


def receive_until_stopped(host: str | None, port: int | None) -> None:
    """Receives until Ctrl+C or SIGTERM. Raises CannotRun."""
    from labelwright.domain.errors import AddressInUse
    from labelwright.ledger import open_ledger
    from labelwright.local import interruptions
    from labelwright.prefect_integration.client import require_prefect_client
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.prefect_integration.events import send_to_prefect
    from labelwright.prefect_integration.team_settings import RECEIVER, keep_recording
    from labelwright.receiver.run import serve
    from labelwright.security.private_files import private_folder
    from labelwright.settings import ReceiverSettings, settings

    from .listening import is_address_error
    from .output import console

    require_prefect_client()
    home = settings().home
    receiver = settings().receiver or ReceiverSettings()
    options = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    receiver = receiver.model_copy(update=options)
    os.umask(0o077)
    private_folder(home)
    ledger = open_ledger(settings().ledger_address())
    interruptions.hang_up_as_terminate()
    keep_recording(settings(), RECEIVER, ledger.identity())
    try:
        serve(
            ledger,
            receiver,
            home / "receiver.json",
            console.show_receiver,
            connections=CONNECTIONS,
            send=send_to_prefect,
        )
    except KeyboardInterrupt:
        console.note("the receiver is stopped")
    except OSError as error:
        if not is_address_error(error):
            raise
        raise AddressInUse(
            f"cannot listen on {receiver.host}:{receiver.port}: {error.strerror}. Give another --port"
        ) from None
