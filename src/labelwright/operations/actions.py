"""What a person can do about a campaign on the page: each action is a run of a deployment, and a command does the same.

The page checks the ledger's record before it starts a run; the run checks again, with the campaign's lease.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labelwright.campaigns.refusals import (
    NotLabeledYet,
    check_cancel,
    check_delivery,
    check_pause,
    check_resume,
    check_rotation,
)
from labelwright.campaigns.reopening import LONGEST_REASON, launched_id
from labelwright.domain.commands import quoted
from labelwright.domain.errors import CannotRun, text_with_code
from labelwright.ledger import CampaignRecord


@dataclass(frozen=True, slots=True)
class Choice:
    """A field of the form that asks for confirmation."""

    name: str
    """Also the name of the deployment's parameter."""
    label: str
    longest: int = 0
    """Characters of a text; 0: it is a box to tick."""


@dataclass(frozen=True, slots=True)
class Action:
    """A button of the page."""

    name: str
    button: str
    deployment: str
    """As FLOW/DEPLOYMENT."""
    effect: str
    """What it does, as a sentence."""
    command: str
    check: Callable[[CampaignRecord], object]
    """Raises CannotRun or NotLabeledYet when the campaign's state does not allow it."""
    choices: tuple[Choice, ...] = ()
    irreversible: bool = False

    def refusal(self, record: CampaignRecord, parameters: Mapping[str, bool | str] | None = None) -> str:
        """Why it cannot be done with these parameters; empty when it can."""
        try:
            self.check(record)
            if self.name == "cancel" and parameters and parameters.get("delete"):
                check_cancel(record, delete=True)
        except (CannotRun, NotLabeledYet) as refusal:
            return text_with_code(refusal)
        return ""

    def parameters(self, fields: Mapping[str, str]) -> dict[str, bool | str]:
        """The deployment's parameters from the fields of a form. Raises CannotRun for a text that is too long."""
        values: dict[str, bool | str] = {}
        for choice in self.choices:
            text = fields.get(choice.name, "").strip()
            if len(text) > choice.longest > 0:
                raise CannotRun(f"{choice.label}: {len(text):,} characters are too many, {choice.longest:,} are sent")
            values[choice.name] = text if choice.longest else bool(text)
        return values

    def command_line(self, title: str) -> str:
        """The command that does the same."""
        return f"labelwright {self.command.format(quoted(title))}"


ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        Action(
            "resume",
            "Resume",
            "resume-campaign/resume-campaign",
            "Goes on from where the campaign stopped. What is already done is not repeated.",
            "resume {}",
            check_resume,
        ),
        Action(
            "pause",
            "Pause",
            "pause-campaign/pause-campaign",
            "No run is started for the campaign until somebody resumes it.",
            "pause {}",
            check_pause,
        ),
        Action(
            "deliver",
            "Deliver",
            "deliver-campaign/deliver-campaign",
            "Registers what is labeled and valid now as a version of the datasets. Labelers can go on.",
            "deliver {}",
            check_delivery,
            (Choice("accept_partial", "Deliver what is ready, and list every other image"),),
        ),
        Action(
            "reopen",
            "Reopen",
            "reopen-campaign/reopen-campaign",
            "Returns the campaign to its labelers. It is finished and exported again afterwards.",
            "reopen {}",
            launched_id,
            (
                Choice("wrong", "Only images with shapes that a dataset must not have"),
                Choice("reason", "What labelers are to correct; they see it", LONGEST_REASON),
            ),
        ),
        Action(
            "rotate",
            "New labeler key",
            "rotate-labeler-key/rotate-labeler-key",
            "Makes a new key for the campaign's labeler. The old one stops working at once, in all of the labeler's "
            "campaigns on this platform. No page shows the new one: the command labeler-key prints it.",
            "labeler-key {} --rotate",
            check_rotation,
            irreversible=True,
        ),
        Action(
            "cancel",
            "Cancel",
            "cancel-campaign/cancel-campaign",
            "Nothing more is done with the campaign, and it cannot be resumed.",
            "cancel {}",
            check_cancel,
            (Choice("delete", "Also delete the campaign on its platform, with its labels"),),
            irreversible=True,
        ),
    )
}
"""By name, in the order of the buttons."""
