"""Prints a labeler's key and where the labeler can work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from labelwright.domain.commands import quoted
from labelwright.domain.errors import CannotRun

from .console import err, out, show_json

if TYPE_CHECKING:
    from labelwright.campaigns.kept_keys import KeptKeys
    from labelwright.campaigns.spec import CampaignSpec
    from labelwright.ledger import CampaignRecord
    from labelwright.platforms.protocol import LabelerAccess
    from labelwright.settings import Settings

EMBEDDED = "campaign_api"
"""The platform whose campaigns may be on the embedded service."""


def show_labeler_key(
    settings: Settings, spec: CampaignSpec, keys: KeptKeys, campaign_id: str | None, as_json: bool
) -> None:
    """Raises CannotRun when no key of the campaign's labeler is kept, or when this machine cannot read it."""
    from labelwright.campaigns.kept_keys import KeyNotHere

    try:
        access = keys.find(spec.connection_name, spec.labeler)
    except KeyNotHere as error:
        raise KeyNotHere(str(error).replace("TITLE", f"'{spec.title}'")) from None
    if access is None:
        raise CannotRun(_missing_key(spec, campaign_id))
    fields = {
        "labeler": access.email,
        "campaign_id": campaign_id,
        "key": access.key,
        "secret": access.secret.value if access.secret else None,
        "link": _link(settings, spec.connection_name, access, campaign_id) if spec.platform == EMBEDDED else None,
    }
    if as_json:
        show_json(fields)
        return
    fields["secret"] = fields["secret"] or "known to the labeler from an earlier campaign"
    for name, value in fields.items():
        if value:
            out.print(f"{name}: {escape(value)}")
    if access.secret and spec.platform == EMBEDDED and not fields["link"]:
        name = spec.connection_name.upper()
        setting = "the field Page of its block" if ":" in name else f"LABELWRIGHT_CONNECTIONS__{name}__PAGE"
        err.print(f"No link: if this is the embedded service, set {setting} to its address for labelers")


def _missing_key(spec: CampaignSpec, campaign_id: str | None) -> str:
    if campaign_id is None:
        return f"there is no key of {spec.labeler} yet: launch the campaign first"
    return (
        f"no key of {spec.labeler} is kept, neither in the ledger nor on this machine. If another machine launched the "
        "campaign with an earlier version of Labelwright, run this there once. Otherwise make a new key: labelwright "
        f"labeler-key {quoted(spec.title)} --rotate"
    )


def show_where_to_label(record: CampaignRecord, as_json: bool) -> None:
    if as_json:
        return
    err.print(where_to_label(record, on_terminal=err.is_terminal))
    err.print(
        "Waiting for the labels. Ctrl+C stops the waiting, nothing is lost: run the same command again to continue."
    )


def where_to_label(record: CampaignRecord, *, on_terminal: bool) -> str:
    """Says where the labeler can work: the link on a terminal, elsewhere the command that prints it.

    The link holds the labeler's secret, which must not get into a log.
    """
    labeler, title = str(record.spec["labeler"]), record.title
    command = f"{escape(labeler)} can label now; key and link: labelwright labeler-key {quoted(escape(title))}"
    if not on_terminal or record.spec["platform"] != EMBEDDED:
        return command
    from labelwright.campaigns.kept_keys import KeptKeys, KeyNotHere
    from labelwright.ledger import open_ledger
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.settings import SettingsError, settings

    connection, team_key = str(record.spec.get("connection") or EMBEDDED), settings().team_key
    if connection.startswith("block:") or (team_key and team_key.get_secret_value().startswith("block:")):
        return command  # it takes seconds to read a block
    try:
        keys = KeptKeys(settings(), open_ledger(settings().ledger_address()), CONNECTIONS)
        access = keys.find(connection, labeler)
    except (KeyNotHere, SettingsError):
        return command
    link = _link(settings(), connection, access, record.remote_id) if access is not None else None
    return f"{escape(labeler)} can label now:\n  {escape(link)}" if link else command


def _link(settings: Settings, connection: str, access: LabelerAccess, campaign_id: str | None) -> str | None:
    """The labeling page's address with the labeler's key, if the connection is to an embedded service.

    Raises SettingsError for a block that is gone.
    """
    from labelwright.campaigns.labeler_keys import labeling_link
    from labelwright.campaigns.spec import BLOCK
    from labelwright.prefect_integration.connections import CONNECTIONS

    if connection.startswith(BLOCK):
        host = CONNECTIONS.credentials_of(connection, EMBEDDED).page
    else:
        host = settings.labeling_page_host(connection)
    link = labeling_link(host, access, campaign_id) if host else None
    return link.value if link else None
