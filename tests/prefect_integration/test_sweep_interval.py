"""Prefect's own `deploy` command sets the interval of the sweep and the limits of queues: by a step of its file."""

from __future__ import annotations

import os
import subprocess
import sys

from .prefect_stand_in import prefect_stand_in

_BUILD_STEPS = (
    "from labelwright.prefect_integration.deployments import deployment_variables\n"
    "for _ in range(3):\n"
    "    deployment_variables()\n"
    "print('deployed')\n"
)
"""Build steps run before each deployment, all in one process."""


def test_interval_and_limits_are_set_when_the_deploying_process_ends(tmp_path):
    schedule = {"id": "00000000-0000-4000-8000-000000000001", "active": True, "schedule": {"interval": 900.0}}
    with prefect_stand_in({}) as api:
        api.slots, api.schedules = {"sweep-campaigns": 1, "launch-campaign": 4, "finish-campaign": 3}, [schedule]
        api.queues = {"launch-campaign": None, "finish-campaign": 3}
        environment = {
            **os.environ,
            "LABELWRIGHT_HOME": str(tmp_path),
            "LABELWRIGHT_SWEEP_EVERY": "120",
            "PREFECT_API_URL": api.url,
        }
        process = subprocess.run(
            [sys.executable, "-c", _BUILD_STEPS], env=environment, capture_output=True, text=True, timeout=300
        )
        assert (process.returncode, process.stdout, process.stderr) == (0, "deployed\n", "")
        path = f"PATCH /deployments/{api.deployment_id('sweep-campaigns')}/schedules/{schedule['id']}"
        assert api.requests[path] == 1
        assert api.queues == {"launch-campaign": 4, "finish-campaign": 3}
        assert [request for request in api.requests if request.startswith("PATCH /work_queues/")] == [
            f"PATCH /work_queues/{api.deployment_id('launch-campaign')}"
        ]
    assert schedule["schedule"]["interval"] == 120
