"""Records deliveries in the ledger, and what follows from them for the campaign's state."""

from __future__ import annotations

from typing import Any

from labelwright.campaigns.refusals import check_delivery
from labelwright.datasets.delivery import Delivery
from labelwright.domain import OPEN, State
from labelwright.ledger import CampaignRecord, EffectItem, Ledger
from labelwright.platforms.protocol import RemoteState
from labelwright.tasks.campaign.excluded_images import delivery_of
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import announce
from labelwright.tasks.retries import UNCACHED

STEP = "deliver"
"""The step of the ledger's effects that records each delivery, with its counts; `attempt` numbers them."""


def early_step(when: float) -> str:
    """The step of the ledger's effects that records the delivery at a share of labeled images."""
    return f"deliver at {when:g} %"


def is_early_delivery_due(ledger: Ledger, record: CampaignRecord, when: float) -> bool:
    """Whether the share of labeled images is reached, and no delivery was made since."""
    if not _is_share_reached(record, when):
        return False
    effect = ledger.effects.find(record.title, early_step(when))
    return effect is None or effect.done_at is None


def refuse_undeliverable(title: str) -> None:
    """Raises NotLabeledYet before labelers can work on the campaign, CannotRun when it was cancelled."""
    check_delivery(the_ledger().campaigns.get(title))


@task(task_run_name="begin a delivery of {title}", **UNCACHED)
def begin_delivery(title: str) -> None:
    """Record in the ledger that datasets are about to be registered; an interrupted delivery is begun again."""
    effects = the_ledger().effects
    effects.intend(title, STEP, _item(the_ledger(), title))
    for step in _early_steps(CampaignContext(title)):
        effects.intend(title, step)


@task(task_run_name="record the delivery of {title}", **UNCACHED)
def record_delivery(title: str, datasets: list[dict[str, Any]]) -> str:
    """Record which version holds how many images, and how many are listed for which reason. Returns the sentence."""
    context = CampaignContext(title)
    effects, delivery = context.ledger.effects, delivery_of(context)
    versions = ", ".join(f"{dataset['name']} version {dataset['version']}" for dataset in datasets)
    outcome = f"{versions}: {_counts(delivery)}" if delivery is not None else versions
    item = _item(context.ledger, title)
    if any(effect.outcome == outcome for effect in effects.of_step(title, STEP)[-2:] if effect.done_at is not None):
        effects.forget(title, STEP, item)  # the same delivery once more: nothing changed
    else:
        effects.settle(title, STEP, outcome, item)
    for step in _early_steps(context):
        effects.settle(title, step, outcome)
    announce(f"{title}: {outcome}")
    return outcome


@task(task_run_name="conclude the delivery of {title}", **UNCACHED)
def conclude_delivery(title: str) -> str:
    """Move a campaign that is completely labeled to "exported", and leave one whose labelers are at work as it is.

    A delivery that leaves images out does not close the campaign on its platform: they can still be corrected there.
    One that needs attention because it was closed there too early is exported: a person accepted that. Returns the
    campaign's state.
    """
    context = CampaignContext(title)
    record, delivery = context.record, delivery_of(context)
    complete = delivery is None or delivery.complete
    ended = record.state_before if record.state is State.NEEDS_ATTENTION else record.state
    why = _counts(delivery) if delivery is not None else None
    if ended is State.FINISHED or (ended is State.COMPLETED and not complete):
        return context.ledger.campaigns.move(title, State.EXPORTED, why).value
    if ended is State.COMPLETED:  # the next finish closes it and exports the same version
        return context.ledger.campaigns.move(title, State.COMPLETED, why).value
    if record.state is State.NEEDS_ATTENTION and ended in OPEN and _is_closed(context):
        return context.ledger.campaigns.move(title, State.EXPORTED, why).value
    return record.state.value


def _is_closed(context: CampaignContext) -> bool:
    """Whether labelers cannot go on with the campaign on its platform."""
    remote = context.platform.read_campaign(context.remote_id)
    return remote.state in (RemoteState.COMPLETED, RemoteState.FINISHED)


def _item(ledger: Ledger, title: str) -> EffectItem:
    """The delivery under way: the one that was begun and not settled, or the next one."""
    earlier = ledger.effects.of_step(title, STEP)
    unsettled = [effect.item for effect in earlier if effect.done_at is None]
    return unsettled[0] if unsettled else EffectItem(attempt=len(earlier) + 1)


def _early_steps(context: CampaignContext) -> list[str]:
    """The step of `export.when`, once its share is reached: any delivery after that counts as the early one."""
    when = context.spec.export.when
    return [early_step(when)] if when is not None and _is_share_reached(context.record, when) else []


def _is_share_reached(record: CampaignRecord, when: float) -> bool:
    images = record.images or record.total
    return bool(images) and 100 * record.done >= when * images


def _counts(delivery: Delivery) -> str:
    """For people: "60 of 100 images; the other 40: 35 not labeled, 3 skipped, 2 shape refused"."""
    return delivery.sentence().replace(" are ready", "")
