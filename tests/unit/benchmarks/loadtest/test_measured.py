"""What was measured: latencies of right predictions, success of all requests."""

from __future__ import annotations

import math
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.readiness.slo import Slo
from benchmarks.loadtest.measured import Measured, result

Note: TypeAlias = tuple[float, bool, bool]
"""A latency, whether the reply was right, and whether it was a prediction's."""

notes: st.SearchStrategy[list[Note]] = st.lists(st.tuples(st.floats(0, 60), st.booleans(), st.booleans()))


def measured_of(entries: list[Note]) -> Measured:
    measured = Measured()
    for latency_s, right, is_prediction in entries:
        measured.add(latency_s, right=right, is_prediction=is_prediction)
    return measured


def test_latency_is_that_of_right_predictions() -> None:
    """A refusal is quick, and a probe is no prediction; both count for success."""
    measured = measured_of([(0.004, True, True), (0.001, False, True), (0.001, True, False), (0.009, True, True)])
    assert [measured.percentile(share) for share in (0.01, 0.5, 0.51, 1.0)] == [0.004, 0.004, 0.009, 0.009]
    assert (measured.predictions, measured.requests, measured.failures, measured.success) == (2, 4, 1, 0.75)


@pytest.mark.parametrize("failures", [1, 7, 29])
def test_success_is_exact(failures: int) -> None:
    """999 of 1,000 are 99.9 percent."""
    measured = measured_of([(0.0, number >= failures, True) for number in range(1000)])
    assert Slo.parse(f"success={100 - failures / 10:.1f}").judge(measured.percentile, measured.success)[0].met
    assert not Slo.parse(f"success={100.1 - failures / 10:.1f}").judge(measured.percentile, measured.success)[0].met


def test_nothing_measured_is_not_a_number() -> None:
    """So that it meets no objective."""
    assert math.isnan(Measured().percentile(0.5))
    assert math.isnan(Measured().success)


@given(one=notes, other=notes, later=notes)
def test_parts_add_up(one: list[Note], other: list[Note], later: list[Note]) -> None:
    """Processes that tell again and again measure together what one would have alone."""
    whole, first = Measured(), measured_of(one)
    whole.add_part(first.take())
    whole.add_part(measured_of(other).take())
    for latency_s, right, is_prediction in later:
        first.add(latency_s, right=right, is_prediction=is_prediction)
    whole.add_part(first.take())
    assert whole.take() == measured_of([*one, *other, *later]).take()


def test_the_result_is_a_table() -> None:
    """What counts is said last, in words that a script can look for."""
    measured = measured_of([(0.004, True, True)] * 999 + [(0.001, False, True)])
    verdicts = Slo.parse("p99=3ms,success=99.9").judge(measured.percentile, measured.success)
    assert result(measured, verdicts).strip().splitlines() == [
        "1,000 requests, 1 failed; latencies of 999 predictions",
        "objective  limit            seen     met",
        "p99        at most 3 ms     4.0 ms   NO",
        "success    at least 99.9 %  99.90 %  yes",
    ]
