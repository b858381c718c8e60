"""The command for labelers' notes: list them, answer one."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from labelwright.domain.commands import quoted
from labelwright.domain.errors import CannotRun, PlatformLacks, WrongState

from .options import AsJson, Title


def notes(
    title: Title,
    answer: Annotated[
        str | None, typer.Option("--answer", help="Answer the note of this number, with --text.", metavar="NOTE")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="The answer, which the labeler sees.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the notes of a campaign's labelers, or answer one."""
    from labelwright.campaigns.spec import stored_spec
    from labelwright.ledger import open_ledger
    from labelwright.platforms.errors import NotFound, PlatformError
    from labelwright.platforms.protocol import KeepsNotes
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.settings import settings

    from .output.console import show_done
    from .output.notes import show_notes

    if (answer is None) != (text is None):
        raise CannotRun(f"an answer has a note and a text: labelwright notes {quoted(title)} --answer NOTE --text TEXT")
    campaigns = open_ledger(settings().ledger_address()).campaigns
    record = campaigns.get(title)
    if record.remote_id is None:
        raise WrongState(f"'{title}' is not on its platform yet: launch the campaign first")
    platform = CONNECTIONS.platform_for(stored_spec(record.spec))
    if not isinstance(platform, KeepsNotes):
        raise PlatformLacks(f"labelers write no notes on {platform.name}: ask them in another way")
    if answer is None or text is None:
        listed = list(platform.list_notes(record.remote_id))
        campaigns.record_unanswered_notes(title, sum(note.answer is None for note in listed))
        show_notes(title, listed, as_json)
        return
    if not text.strip():
        raise CannotRun("the answer is blank: write it behind --text")
    try:
        platform.answer_note(record.remote_id, answer, text)
    except NotFound:
        message = f"'{title}' has no note {answer}: their numbers are in labelwright notes {quoted(title)}"
        raise CannotRun(message) from None
    show_done(f"note {answer} of '{title}' is answered", as_json)
    with suppress(PlatformError):  # the answer is sent: the next sweep counts what is left
        left = sum(note.answer is None for note in platform.list_notes(record.remote_id))
        campaigns.record_unanswered_notes(title, left)
