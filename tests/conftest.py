"""What holds for every test."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

# Their comparisons are shown, too, when they fail.
pytest.register_assert_rewrite("tests.platforms.contract", "tests.platforms.contract_faults")

# Modules and tests stay until the end: looking for garbage among them is a fifth of the time that tests take.
gc.disable()

# Read when the tasks are imported: tests do not wait as long as platforms may need.
os.environ["LABELWRIGHT_RETRY_DELAYS"] = "[0.05, 0.1, 0.2]"
os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
for name in [name for name in os.environ if name.startswith("LABELWRIGHT_CONNECTIONS") or name == "PREFECT_API_URL"]:
    del os.environ[name]


# Shells start programs in the background with these ignored; so would be those that tests start and interrupt.
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGQUIT, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches try what failed again without the pauses that real servers need."""
    monkeypatch.setattr("labelwright.platforms.batches.PAUSES", (0.01, 0.02, 0.03, 0.04, 0.05))


@pytest.fixture(autouse=True)
def _no_prefect_unless_asked_for(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within this process only tests that ask for Prefect's server of the session have one.

    Others see neither that server, once a test has started it, nor a temporary one, which takes half a minute.
    """
    if "prefect_server" in request.fixturenames:
        yield
        return
    from prefect.context import SettingsContext, get_settings_context

    context = get_settings_context()
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    before = _services_of_prefect()
    with SettingsContext(profile=context.profile, settings=_without_a_server(context.settings)):
        yield
    for service in _services_of_prefect() - before:
        service._stop()


def _services_of_prefect() -> set[Any]:
    """What sends logs and events of this process. Each goes on with the server that it began with."""
    services = sys.modules.get("prefect._internal.concurrency.services")
    return set(services._QueueServiceBase._instances.values()) if services else set()


_WITHOUT_A_SERVER: list[tuple[object, Any]] = []
"""Prefect's settings and the same without a server: making them takes 0.1 s, for thousands of tests."""


def _without_a_server(settings: Any) -> Any:
    if not _WITHOUT_A_SERVER or _WITHOUT_A_SERVER[0][0] is not settings:
        from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE

        changed = settings.copy_with_update(
            {PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}, restore_defaults={PREFECT_API_URL}
        )
        _WITHOUT_A_SERVER[:] = [(settings, changed)]
    return _WITHOUT_A_SERVER[0][1]


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
