"""Announces the cost of a campaign before anything is sent to a platform that bills every task."""

from __future__ import annotations

from labelwright.campaigns.billing import bill_of, in_words, refuse_over_limit
from labelwright.platforms.protocol import BillsTasks
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext, credentials_of
from labelwright.tasks.reporting import announce, publish_table
from labelwright.tasks.retries import UNCACHED


def bills_tasks(title: str) -> bool:
    """Whether the campaign's platform charges for every image."""
    return isinstance(CampaignContext(title).platform, BillsTasks)


@task(task_run_name="announce the bill of {title}", **UNCACHED)
def announce_bill(title: str) -> int:
    """Announce how many tasks will be billed. Returns that number. Raises TooManyTasks when it exceeds the limit."""
    context = CampaignContext(title)
    limit = credentials_of(context.spec.connection_name, context.spec.platform).most_tasks
    bill = bill_of(context.platform, context.record.images or 0, limit)
    if bill is None:
        return 0
    announce(f"{title}: {in_words(bill)}")
    context.ledger.effects.intend(title, "tell bill")
    context.ledger.effects.settle(title, "tell bill", in_words(bill))
    shown_limit = "none" if bill.most is None else f"{bill.most}"
    rows = [{"billed tasks": bill.tasks, "limit": shown_limit, "key": bill.message}]
    publish_table(title, "bill", rows, f"What {title} costs")
    refuse_over_limit(title, context.platform.name, bill)
    return bill.tasks
