"""The last hour of all workers together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.schema import FeatureSchema
from app.serving.traffic import DRIFT_NEEDS_ROWS, summarize
from app.telemetry.drift import FeatureBins
from app.telemetry.tally import Tally, TrafficReport
from tests.fakes import Clock

SCHEMA = FeatureSchema()
ROW = tuple(SCHEMA.example().values())
BINS = FeatureBins("v1", SCHEMA.names, tuple(np.array([value]) for value in ROW), ((0.0, 1.0),) * len(ROW))


def worker(clock: Clock) -> Tally:
    tally = Tally(SCHEMA.names, lambda: BINS, clock=clock)
    tally.start()
    return tally


def test_without_traffic_nothing_is_claimed() -> None:
    """No rate, no latency, no accuracy, no drift."""
    traffic = summarize([TrafficReport()], BINS)
    assert (traffic.hour.p50_ms, traffic.hour.accuracy, traffic.drift, traffic.minutes) == (None, None, None, {})
    assert set(traffic.hour.outcomes.values()) == {0}


def test_the_minutes_of_all_workers_are_added_up() -> None:
    """Each minute by itself, and the hour."""
    clock = Clock(now=600.0)
    first, second = worker(clock), worker(clock)
    first.answered("primary", "v1", ROW, 0.5, 0.001)
    second.failed(2, 0.001)
    before = second.report()
    clock.now += 60
    first.answered("fallback", "v1", ROW, 0.5, 0.001)
    traffic = summarize([first.report(), second.report()], BINS)
    assert before.minutes.keys() == {10}
    assert list(traffic.minutes) == [600, 660]
    assert traffic.hour.outcomes == {"primary": 1, "fallback": 1, "baseline": 0, "rejected": 0, "failed": 2}


def test_accuracy_precision_and_recall_are_those_of_the_feedback() -> None:
    """By hand: 3 of 5 right, 1 of 2 alarms true, 1 of 2 anomalies found."""
    tally = worker(Clock(now=0))
    for predicted, actual in ((0, 0), (0, 0), (1, 0), (0, 1), (1, 1)):
        tally.feedback("v1", "primary", predicted, actual)
    hour = summarize([tally.report()], BINS).hour
    assert (hour.accuracy, hour.precision, hour.recall, hour.feedback) == (0.6, 0.5, 0.5, 5)


@given(st.lists(st.floats(1e-5, 5), min_size=1, max_size=200))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(durations_s: list[float]) -> None:
    """So it is never off by more than the bucket is wide."""
    tally = worker(Clock(now=0))
    for duration_s in durations_s:
        tally.answered("primary", "v1", ROW, 0.5, duration_s)
    found = summarize([tally.report()], BINS).hour.p50_ms
    true = sorted(durations_s)[(len(durations_s) - 1) // 2]
    edges = [0.0, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
             0.5, 1, 2.5, 5]  # fmt: skip
    bucket = int(np.searchsorted(edges, true))
    assert found is not None
    assert edges[bucket - 1] - 1e-6 <= found / 1000 <= edges[bucket] + 1e-6


def test_drift_waits_for_enough_readings() -> None:
    """Then it is that of all workers together."""
    clock = Clock(now=0)
    workers = [worker(clock), worker(clock)]
    for tally in workers:
        tally.batch_answered("primary", "v1", np.array([ROW] * (DRIFT_NEEDS_ROWS // 2 - 1)), [0.5], 0.001)
    few = summarize([tally.report() for tally in workers], BINS)
    assert (few.drift, few.drift_rows) == (None, DRIFT_NEEDS_ROWS - 2)
    workers[0].batch_answered("primary", "v1", np.array([ROW] * 2), [0.5], 0.001)
    enough = summarize([tally.report() for tally in workers], BINS)
    assert enough.drift_rows == DRIFT_NEEDS_ROWS
    assert enough.drift == dict.fromkeys(SCHEMA.names, 0.0)


def test_readings_of_another_version_say_nothing_about_this_ones_reference() -> None:
    """A worker that has not followed yet is left out."""
    other = FeatureBins("v2", BINS.names, BINS.inner_edges, BINS.ratios)
    tally = worker(Clock(now=0))
    tally.batch_answered("primary", "v1", np.array([ROW] * DRIFT_NEEDS_ROWS), [0.5], 0.001)
    assert summarize([tally.report()], other).drift is None
    assert summarize([tally.report()], None).drift is None


def test_a_shifted_feature_stands_out() -> None:
    """The others stay where they were."""
    tally = worker(Clock(now=0))
    shifted = (0.0, *ROW[1:])
    tally.batch_answered("primary", "v1", np.array([shifted] * DRIFT_NEEDS_ROWS), [0.5], 0.001)
    drift = summarize([tally.report()], BINS).drift
    assert drift is not None
    assert drift["metric_value"] > 1
    assert drift["lag_1"] == pytest.approx(0)
