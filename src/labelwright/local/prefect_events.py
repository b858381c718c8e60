"""How long the Prefect server that we start keeps events in its database."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

RUN_EVENTS_SECONDS = 900
"""As long as Prefect hands earlier events to those who begin to listen."""

VACUUM_SECONDS = 300
"""Seconds between two removals."""

BATCH = 1000
"""Rows that are removed in one transaction: with Prefect's 200, a busy SQLite file is locked five times as often."""

RUN_EVENTS = (
    *(
        f"prefect.flow-run.{name}"
        for name in (
            "AwaitingConcurrencySlot",
            "Cancelled",
            "Completed",
            "Late",
            "Pending",
            "Running",
            "Scheduled",
            "Submitting",
            "heartbeat",
        )
    ),
    *(f"prefect.task-run.{name}" for name in ("Completed", "Pending", "Running", "Scheduled")),
    "prefect.worker.executed-flow-run",
    "prefect.worker.submitted-flow-run",
)
"""Events that repeat what Prefect keeps with each run: its states, worker and times. They are most of all bytes."""


def event_retention(days: float) -> Mapping[str, str]:
    """Returns the server's settings, without those that the environment sets.

    days: for events of campaigns and of failures; 0 leaves them to Prefect, which keeps them for a week.
    """
    overrides = json.dumps(dict.fromkeys(RUN_EVENTS, RUN_EVENTS_SECONDS))
    variables = {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES": overrides,
        "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": str(VACUUM_SECONDS),
        "PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE": str(BATCH),
    }
    if days:
        variables["PREFECT_SERVER_EVENTS_RETENTION_PERIOD"] = f"PT{round(days * 86400)}S"
    return {name: value for name, value in variables.items() if name not in os.environ}
