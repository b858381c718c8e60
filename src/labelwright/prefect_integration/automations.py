"""Notification automations: the packaged template, with the id of a notification block filled in."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from labelwright.domain.errors import BlockMissing

from .busy_server import patience
from .client import require_prefect_client
from .deployments import packaged, write_new

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import Automation, AutomationCore

_PLACEHOLDER = "BLOCK"


def register_notifications(block: str) -> list[str]:
    """Creates or updates the automations on the configured Prefect server. Returns their names. Idempotent.

    block: TYPE/NAME of a notification block, such as slack-webhook/my-team. A busy server gets `prefect_busy_seconds`.

    Raises CannotRun, NotStarted.
    """
    block_type, block_name = _split_block_name(block)
    with require_prefect_client() as client, patience() as limit:
        automations = _automations_notifying(limit.run(lambda: _block_id(client, block_type, block_name)))
        for automation in automations:
            limit.run(partial(_put_automation, client, automation))
    return [automation.name for automation in automations]


def _put_automation(client: SyncPrefectClient, automation: AutomationCore) -> None:
    """Creates or updates the automation of that name, and leaves one. Idempotent."""
    existing = _automations_named(client, automation.name)
    if existing:
        client.update_automation(existing[0].id, automation)
    else:
        client.create_automation(automation)
        existing = _automations_named(client, automation.name)
    # A request that failed with a 503 is repeated, although the server may have carried it out.
    for duplicate in existing[1:]:
        client.delete_automation(duplicate.id)


def write_notifications(block: str, target: Path) -> None:
    """Writes a file for `prefect automation create --from-file`. Raises CannotRun when the file exists."""
    block_type, block_name = _split_block_name(block)
    with require_prefect_client() as client, patience() as limit:
        block_id = limit.run(lambda: _block_id(client, block_type, block_name))
    write_new(target, _template().replace(f": {_PLACEHOLDER}", f": {block_id}"))


def _template() -> str:
    return packaged("notifications.yaml").read_text(encoding="utf-8")


def _automations_notifying(block_id: str) -> list[AutomationCore]:
    """Returns the packaged automations, each with its actions sent through that block."""
    from prefect.events.schemas.automations import AutomationCore

    document = yaml.safe_load(_template())
    for automation in document["automations"]:
        for action in automation["actions"]:
            action["block_document_id"] = block_id
    return [AutomationCore.model_validate(automation) for automation in document["automations"]]


def _split_block_name(block: str) -> tuple[str, str]:
    """Returns type and name. Raises CannotRun."""
    block_type, slash, name = block.partition("/")
    if not (block_type and slash and name):
        raise BlockMissing(f"'{block}' is no block: give TYPE/NAME, such as slack-webhook/my-team")
    return block_type, name


def _block_id(client: SyncPrefectClient, block_type: str, name: str) -> str:
    """Raises CannotRun when there is no such block."""
    from prefect.exceptions import ObjectNotFound

    try:
        return str(client.read_block_document_by_name(name, block_type, include_secrets=False).id)
    except ObjectNotFound:
        raise BlockMissing(
            f"there is no block '{name}' of type '{block_type}'. Make one in the Prefect UI under Blocks: "
            "slack-webhook, ms-teams-webhook, sendgrid-email, custom-webhook or another one that notifies"
        ) from None


def _automations_named(client: SyncPrefectClient, name: str) -> list[Automation]:
    """Returns the automations of that name, oldest first."""
    from prefect.client.schemas.sorting import AutomationSort
    from prefect.events.filters import AutomationFilter, AutomationFilterName

    by_name = AutomationFilter(name=AutomationFilterName(any_=[name]))
    return list(reversed(client.read_automations(automations=by_name, sort=AutomationSort.CREATED_DESC)))
