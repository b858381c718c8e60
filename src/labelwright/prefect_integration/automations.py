"""Automations that tell people: the packaged template, filled with a notification block of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from labelwright.domain.errors import CannotRun
from labelwright.local.servers import NotStarted

from .deployments import packaged, require_prefect_client, write_new

_PLACE = "BLOCK"


def register_notifications(block: str) -> list[str]:
    """Create the automations on the Prefect server that is configured, or update those that are there.

    block: TYPE/NAME of a notification block, such as slack-webhook/my-team. Answers the automations' names.
    Raises CannotRun, NotStarted.
    """
    from prefect.events.schemas.automations import AutomationCore

    client = require_prefect_client()
    with client:
        made = [AutomationCore.model_validate(one) for one in _filled(_id_of(client, block))["automations"]]
        for automation in made:
            body = automation.model_dump(mode="json", exclude={"owner_resource"})
            known = _known(client, automation.name)
            if known:
                client.request("PUT", "/automations/{id}", path_params={"id": known[0]}, json=body)
            else:
                client.request("POST", "/automations/", json=body)
                known = _known(client, automation.name)
            # Prefect's client says a request again that a busy server answered by 503, after it may have acted.
            for double in known[1:]:
                client.request("DELETE", "/automations/{id}", path_params={"id": double})
    return [one.name for one in made]


def write_notifications(block: str, target: Path) -> None:
    """Write them for `prefect automation create --from-file`. Raises CannotRun rather than overwrite."""
    client = require_prefect_client()
    with client:
        template = packaged("notifications.yaml").read_text(encoding="utf-8")
        text = template.replace(f": {_PLACE}", f": {_id_of(client, block)}")
    write_new(target, text)


def _filled(block_id: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(packaged("notifications.yaml").read_text(encoding="utf-8"))
    for automation in document["automations"]:
        for action in automation["actions"]:
            action["block_document_id"] = block_id
    return document


def _id_of(client: Any, block: str) -> str:
    from httpx import HTTPError
    from prefect.exceptions import ObjectNotFound

    kind, slash, name = block.partition("/")
    if not (kind and slash and name):
        raise CannotRun(f"'{block}' is no block: give TYPE/NAME, such as slack-webhook/my-team")
    try:
        return str(client.read_block_document_by_name(name, kind, include_secrets=False).id)
    except ObjectNotFound:
        raise CannotRun(
            f"there is no block '{name}' of type '{kind}'. Make one in the Prefect UI under Blocks: slack-webhook, "
            "ms-teams-webhook, sendgrid-email, custom-webhook or another one that notifies"
        ) from None
    except HTTPError as error:
        raise NotStarted(f"the Prefect server did not answer: {type(error).__name__}") from None


def _known(client: Any, name: str) -> list[str]:
    """The ids of the automations of that name, the oldest first."""
    body = {"automations": {"name": {"any_": [name]}}}
    found = client.request("POST", "/automations/filter", json=body).json()
    return [str(one["id"]) for one in sorted(found, key=lambda one: str(one["created"]))]
