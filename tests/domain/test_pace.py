"""When a campaign will be done, and when it has come to a standstill."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelwright.domain import Progress, is_overdue, is_stalled, pace_of

START = datetime(2026, 11, 2, 8, tzinfo=UTC)


def history(*points, total=100):
    """Pairs of hours since the start and images done."""
    return [Progress(START + timedelta(hours=hours), done, total) for hours, done in points]


def at(hours):
    return START + timedelta(hours=hours)


def test_a_steady_campaign_ends_when_its_rate_says():
    pace = pace_of(history((0, 0), (1, 10), (2, 20)), at(2))
    assert pace.per_hour == pytest.approx(10)
    assert pace.remaining == timedelta(hours=8)
    assert pace.expected_end == at(10)


def test_nobody_can_tell_the_end_of_a_campaign_that_never_moved():
    pace = pace_of(history((0, 0)), at(5))
    assert (pace.per_hour, pace.remaining, pace.expected_end) == (None, None, None)
    assert pace_of([], at(5)).quiet_since is None


def test_the_rate_is_that_of_the_last_week():
    fast_then_slow = history((0, 0), (10, 500), (300, 510), (340, 520), total=600)
    of_the_interval_that_began_before = 10 * (300 - 172) / (300 - 10)
    assert pace_of(fast_then_slow, at(340)).per_hour == pytest.approx((of_the_interval_that_began_before + 10) / 168)


def test_only_the_share_of_an_interval_inside_the_last_week_counts():
    one_look = history((0, 0), (30 * 24 + 1, 900), total=1000)  # 37 days ago, and 6 days 23 hours ago
    pace = pace_of(one_look, at(37 * 24))
    assert pace.per_hour == pytest.approx(900 / 721)
    assert pace.remaining == pytest.approx(timedelta(hours=100 * 721 / 900), abs=timedelta(seconds=1))


def test_a_rest_longer_than_the_usual_interval_lowers_the_rate():
    one_hour_of_work = history((0, 0), (0.5, 30), (1, 60))
    assert pace_of(one_hour_of_work, at(1.5)).per_hour == pytest.approx(60)
    assert pace_of(one_hour_of_work, at(13)).per_hour == pytest.approx(60 / 12.5)


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(0, 50)), min_size=1, max_size=12),
    st.integers(0, 400),
)
def test_no_rate_is_higher_than_the_fastest_interval(steps, rest):
    points, hours, done = [(0, 0)], 0, 0
    for gap, gained in steps:
        hours, done = hours + gap, done + gained
        points.append((hours, done))
    rate = pace_of(history(*points, total=10_000), at(hours + rest)).per_hour
    assert rate is None or rate <= max(gained / gap for gap, gained in steps) * (1 + 1e-9)


def test_images_given_back_do_not_lower_the_rate():
    pace = pace_of(history((0, 0), (5, 50), (6, 20), (10, 60)), at(10))
    assert pace.per_hour == pytest.approx(9)


def test_a_finished_campaign_has_nothing_left():
    pace = pace_of(history((0, 0), (5, 100)), at(50))
    assert (pace.remaining, pace.expected_end) == (timedelta(0), at(5))


def test_a_clock_that_was_set_back_does_no_harm():
    pace = pace_of(history((0, 0), (5, 50)), at(-20))
    assert pace.per_hour == pytest.approx(10)
    assert not is_stalled(history((0, 0), (5, 50)), None, at(-20))


@pytest.mark.parametrize("last", [7, 8, 10, 12])
def test_a_clock_set_back_gives_no_impossible_rate(last):
    """Looks come from several machines, and the ledger keeps them in the order in which they were written."""
    pace = pace_of(history((10, 0), (5, 5), (last, 7)), at(12))
    assert pace.per_hour is not None
    assert 0 < pace.per_hour <= 1


def test_a_campaign_stalls_after_ten_of_its_own_gaps():
    steady = history((0, 0), (2, 10), (4, 20), (6, 30))
    deadline = at(100)
    assert not is_stalled(steady, deadline, at(25))
    assert is_stalled(steady, deadline, at(27))


def test_a_short_deadline_makes_impatient_and_a_long_one_patient():
    untouched = history((0, 0))
    assert is_stalled(untouched, at(20), at(3))
    assert not is_stalled(untouched, at(400), at(30))
    assert is_stalled(untouched, at(400), at(41))


def test_work_added_after_a_long_pause_is_not_stalled():
    given_back = history((0, 0), (5, 100), (400, 60))
    assert pace_of(given_back, at(401)).quiet_since == at(400)
    assert not is_stalled(given_back, None, at(401))
    assert is_stalled(given_back, None, at(473))
    added = [*history((0, 0), (5, 100)), Progress(at(400), 100, 120)]
    assert not is_stalled(added, None, at(401))


def test_without_a_deadline_three_days_are_stalled():
    busy = history((0, 0), (50, 10), (100, 20))
    assert not is_stalled(busy, None, at(171))
    assert is_stalled(busy, None, at(173))


def test_what_is_done_neither_stalls_nor_is_late():
    done = history((0, 0), (5, 100))
    assert not is_stalled(done, at(6), at(1000))
    assert not is_overdue(done, at(6), at(1000))
    assert is_overdue(history((0, 0), (5, 99)), at(6), at(7))
    assert not is_overdue(history((0, 0), (5, 99)), at(6), at(5))
