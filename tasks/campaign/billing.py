"""Before anything is sent to a platform that bills every task."""

from __future__ import annotations

from prefect import task

from labelwright.campaigns.billing import bill_of, in_words, refuse_over_limit
from labelwright.platforms.protocol import BillsTasks
from labelwright.tasks.context import Workbench, credentials_of
from labelwright.tasks.reporting import announce, publish_table
from labelwright.tasks.retries import ANEW


def bills_tasks(title: str) -> bool:
    """Whether every image costs money there."""
    return isinstance(Workbench(title).platform, BillsTasks)


@task(task_run_name="tell the bill of {title}", **ANEW)
def tell_bill(title: str) -> int:
    """Say how many tasks will be billed. Answers that number. Raises TooManyTasks when they exceed the limit."""
    bench = Workbench(title)
    most = credentials_of(bench.spec.connection_name, bench.spec.platform).most_tasks
    bill = bill_of(bench.platform, bench.record.images or 0, most)
    if bill is None:
        return 0
    announce(f"{title}: {in_words(bill)}")
    bench.ledger.effects.intend(title, "tell bill")
    bench.ledger.effects.settle(title, "tell bill", "", in_words(bill))
    limit = "none" if bill.most is None else f"{bill.most}"
    rows = [{"billed tasks": bill.tasks, "limit": limit, "key": bill.words}]
    publish_table(title, "bill", rows, f"What {title} costs")
    refuse_over_limit(title, bench.platform.name, bill)
    return bill.tasks
