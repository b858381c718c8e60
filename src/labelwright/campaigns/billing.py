"""The bill of a campaign on platforms that charge for every task, and its limit."""

from __future__ import annotations

from dataclasses import replace

from labelwright.platforms import PlatformRefused
from labelwright.platforms.protocol import Bill, BillsTasks, Platform


class TooManyTasks(PlatformRefused):
    """The campaign would be billed for more tasks than its limit. Nothing was sent."""

    error_code = "LW4015"


def bill_of(platform: Platform, images: int, most: int | None) -> Bill | None:
    """The bill of a campaign with this number of images; None where nothing is billed.

    The lower limit counts: that of the campaign's options, or `most`, that of the connection.
    """
    if not isinstance(platform, BillsTasks):
        return None
    bill = platform.bill(images)
    limits = [limit for limit in (bill.most, most) if limit is not None]
    return replace(bill, most=min(limits) if limits else None)


def in_words(bill: Bill) -> str:
    limit = f", at most {bill.most:,} are allowed" if bill.most is not None else ""
    return f"{bill.tasks:,} tasks will be billed{limit}: it is {bill.message}"


def refuse_over_limit(title: str, platform: str, bill: Bill) -> None:
    """Raises TooManyTasks."""
    if bill.most is not None and bill.tasks > bill.most:
        raise TooManyTasks(
            platform,
            f"launch '{title}'",
            message=f"{bill.tasks:,} tasks would be billed, and {bill.most:,} are allowed",
            advice="Raise max_tasks in the campaign's options or most_tasks of the connection, or take fewer images.",
        )
