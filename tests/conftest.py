"""What holds for every test."""

import os

import hypothesis
import pytest

# Read when the tasks are imported: tests do not wait as long as platforms may need.
os.environ["LABELWRIGHT_RETRY_DELAYS"] = "[0.05, 0.1, 0.2]"
os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
for name in [name for name in os.environ if name.startswith("LABELWRIGHT_CONNECTIONS") or name == "PREFECT_API_URL"]:
    del os.environ[name]


# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches try what failed again without the pauses that real servers need."""
    monkeypatch.setattr("labelwright.platforms.batches.PAUSES", (0.01, 0.02, 0.03, 0.04, 0.05))


@pytest.fixture
def no_batch_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fault is raised, as after the last try of a batch."""
    monkeypatch.setattr("labelwright.platforms.batches.PAUSES", ())


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests():
    """What a test's connections hold is masked in its own messages only."""
    yield
    from labelwright.security.masking import forget_all

    forget_all()
