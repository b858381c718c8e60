"""A labeled campaign is closed on its platform."""

from prefect import flow

from labelwright.tasks.attention import asking_for_attention
from labelwright.tasks.campaigns import close_campaign, read_progress, refuse_unlabeled
from labelwright.tasks.labels import check_labels, read_all_labels


@flow(name="finish-campaign", flow_run_name="finish {title}")
def finish_campaign(title: str) -> None:
    """Check the labels while the campaign can still be given back, then close it.

    Raises GateRefused with what is wrong with the labels; the campaign then needs attention.
    """
    with asking_for_attention(title):
        refuse_unlabeled(title, read_progress(title))
        read_all_labels(title)
        check_labels(title)
        close_campaign(title)
