"""Values of the load test's options."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from benchmarks.loadtest.arguments import duration_argument, slo_argument, users_argument


@pytest.mark.parametrize("text", ["30s", "30", "5m", "1h30m", "90m10s", "01s"])
def test_durations(text: str) -> None:
    """Whatever locust reads as some time."""
    assert duration_argument(text) == text


@pytest.mark.parametrize("text", ["", "0", "0s", "0h0m", "-5s", "1d", "30 s", "s", "1.5s", "30s\n"])
def test_a_run_without_end_cannot_be_asked_for(text: str) -> None:
    """Locust takes 0 for no limit."""
    with pytest.raises(ArgumentTypeError, match="write for instance 30s, 5m or 1h30m"):
        duration_argument(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "many", "1.5", "٣", "1000000000"])
def test_somebody_has_to_send(text: str) -> None:
    """At least one user, and not a billion."""
    with pytest.raises(ArgumentTypeError, match="write for instance 20"):
        users_argument(text)


def test_objectives_are_read_before_anything_starts() -> None:
    """A wrong one is refused with all its problems."""
    assert str(slo_argument("p99=50ms")) == "p99=50ms"
    with pytest.raises(ArgumentTypeError, match=r"(?s)unit is missing.*'fast' is unknown"):
        slo_argument("p99=50,fast=1s")
    assert users_argument("20") == 20
