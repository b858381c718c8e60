"""The records of labelers' keys, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from labelwright.ledger import Ledger

ANN = ("campaign_api", "ann@example.com")


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger(url)
    yield opened
    opened.close()


def put(ledger: Ledger, proof: str, sealed: str | None = None, labeler: str = ANN[1]) -> None:
    ledger.labeler_keys.put(ANN[0], labeler, sealed=sealed, proof=proof, host="alpha", folder="/home")


def test_the_newest_key_of_a_labeler_is_the_recorded_one(ledger):
    assert ledger.labeler_keys.find(*ANN) is None
    put(ledger, "first", "sealed")
    put(ledger, "second")
    put(ledger, "bobs", labeler="bob@example.com")
    record = ledger.labeler_keys.find(*ANN)
    assert (record.proof, record.sealed, record.kept_at.utcoffset().total_seconds()) == ("second", None, 0)
    assert [one.labeler for one in ledger.labeler_keys.all()] == ["ann@example.com", "bob@example.com"]


def test_a_key_that_was_replaced_meanwhile_is_not_overwritten(ledger):
    put(ledger, "first")
    earlier = ledger.labeler_keys.find(*ANN)
    put(ledger, "second", "of the second")
    assert not ledger.labeler_keys.seal(earlier, "of the first")
    record = ledger.labeler_keys.find(*ANN)
    assert record.sealed == "of the second"
    assert ledger.labeler_keys.seal(record, "newer")
    assert ledger.labeler_keys.find(*ANN).sealed == "newer"


def test_keys_recorded_at_once_leave_one_of_them(ledger):
    errors: list[Exception] = []
    gate = threading.Barrier(6)

    def record(number: int) -> None:
        gate.wait()
        try:
            put(ledger, str(number), f"sealed {number}")
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    (kept,) = ledger.labeler_keys.all()
    assert kept.sealed == f"sealed {kept.proof}"


def test_a_trial_leaves_nothing(ledger):
    put(ledger, "first")
    ledger.labeler_keys.check_writable()
    assert [record.proof for record in ledger.labeler_keys.all()] == ["first"]
