"""The last hour, minute by minute."""

from __future__ import annotations

from app.telemetry.recent import MINUTES, RecentMinutes
from tests.fakes import Clock


def test_counts_of_a_minute_are_added_up() -> None:
    """The next minute begins anew."""
    clock = Clock(now=600.0)
    recent = RecentMinutes(2, clock)
    recent.add([1, 2])
    recent.add([3, 0])
    clock.now += 60
    recent.add([0, 5])
    assert recent.by_minute() == {10: [4, 2], 11: [0, 5]}
    assert recent.total().tolist() == [4, 7]


def test_what_is_older_than_an_hour_is_forgotten() -> None:
    """Also where nothing new comes."""
    clock = Clock(now=0.0)
    recent = RecentMinutes(1, clock)
    recent.add([1])
    clock.now = 60.0 * (MINUTES - 1)
    assert recent.by_minute() == {0: [1]}
    clock.now = 60.0 * MINUTES
    assert (recent.by_minute(), recent.total().tolist()) == ({}, [0])


def test_memory_is_bounded() -> None:
    """A year of traffic leaves an hour of counts."""
    clock = Clock(now=0.0)
    recent = RecentMinutes(1, clock)
    for _ in range(10 * MINUTES):
        recent.add([1])
        clock.now += 60
    assert len(recent._minutes) <= MINUTES
