"""Where the operations page reads from and what it acts by; whoever serves the page composes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from labelwright.campaigns.artifact_keys import artifact_key
from labelwright.campaigns.connections import Connections
from labelwright.domain.errors import CannotRun
from labelwright.ledger import Ledger, open_ledger
from labelwright.prefect_integration.requested_runs import RunStatus
from labelwright.settings import Settings, settings


class NoLedger(CannotRun):
    """This machine has no ledger whose campaigns could be shown."""

    error_code = "LW2010"


class Runs(Protocol):
    """Runs of deployments on the configured Prefect server. No call takes longer than its deadline."""

    def ui(self) -> str | None:
        """The address of the Prefect UI, without asking it; None when no server is configured."""
        ...

    def start(self, deployment: str, parameters: Mapping[str, bool | str], key: str) -> str:
        """Creates a run for a worker, and returns its id. With the same key it is the same run.

        Raises RunNotStarted.
        """
        ...

    def status(self, run: str) -> RunStatus:
        """How the run is. Raises RunNotStarted when Prefect does not tell."""
        ...


class Sources:
    """The ledger of the settings, the platforms' connections, and Prefect."""

    def __init__(self, connections: Connections, runs: Runs) -> None:
        self.connections, self._runs = connections, runs

    def settings(self) -> Settings:
        return settings()

    def ledger(self) -> Ledger:
        """Raises NoLedger where none was made and none is named, LedgerError."""
        current = settings()
        if current.ledger_url is None and not (current.home / "ledger.db").exists():
            raise NoLedger(
                "No campaign was launched on this machine yet. Where campaigns are kept in another ledger, the service "
                "needs its address: LABELWRIGHT_LEDGER_URL, as the workers have it."
            )
        return open_ledger(current.ledger_address())

    def prefect_pages(self, title: str) -> dict[str, str]:
        """Addresses in the Prefect UI: of a campaign's page there, and of runs (`run`, before the run's id)."""
        ui = self._runs.ui()
        if ui is None:
            return {}
        return {"campaign": f"{ui}/artifacts/key/{artifact_key(title, 'summary')}", "run": f"{ui}/runs/flow-run/"}

    def start_run(self, deployment: str, parameters: Mapping[str, bool | str], key: str) -> str:
        """Raises RunNotStarted."""
        return self._runs.start(deployment, parameters, key)

    def run_status(self, run: str) -> RunStatus:
        """Raises RunNotStarted."""
        return self._runs.status(run)
