"""Notes become counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from app.contract.problems import Problem
from app.contract.schema import FeatureSchema
from app.telemetry.drift import FeatureBins
from app.telemetry.tally import CONFUSION, OUTCOMES, Tally
from tests.fakes import Clock

SCHEMA = FeatureSchema()
ROW = tuple(SCHEMA.example().values())
BINS = FeatureBins(
    "v1", SCHEMA.names, tuple(np.array([value]) for value in ROW), tuple((0.5, 0.5) for _ in SCHEMA.names)
)


def counted(tally: Tally, name: str, **labels: str) -> float:
    """A counter's value; 0 where it was never touched."""
    tally.flush()
    samples = [sample for metric in tally.instruments.collect() for sample in metric.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


@pytest.fixture
def tally() -> Tally:
    made = Tally(SCHEMA.names, lambda: BINS, clock=Clock(now=0))
    made.start()
    return made


def test_an_answered_reading_is_counted_once_everywhere(tally: Tally) -> None:
    """By stage, duration, score, and bin of each feature; a value on an edge lies above it."""
    tally.answered("primary", "v1", ROW, 0.25, 0.004)
    assert counted(tally, "prediction_requests_total", outcome="primary") == 1
    assert counted(tally, "prediction_duration_seconds_bucket", le="0.005") == 1
    assert counted(tally, "prediction_duration_seconds_bucket", le="0.002") == 0
    assert counted(tally, "prediction_score_sum") == 0.25
    assert [counted(tally, "feature_rows_total", feature=name, bin="1") for name in SCHEMA.names] == [1] * 12


def test_a_batch_is_one_request_of_many_readings(tally: Tally) -> None:
    """Each row has its score and bins; the time is the request's."""
    tally.batch_answered("fallback", "v1", np.array([ROW] * 3), [0.1, 0.2, 0.3], 0.004)
    assert counted(tally, "prediction_requests_total", outcome="fallback") == 3
    assert counted(tally, "prediction_score_count") == 3
    assert counted(tally, "prediction_duration_seconds_count") == 1
    assert counted(tally, "feature_rows_total", feature="lag_1") == 3


def test_batches_are_counted_together(tally: Tally) -> None:
    """Of any size, and each with its own time; many rows are not kept until somebody asks."""
    for rows in (1, 5, 20_000):
        tally.batch_answered("primary", "v1", np.array([ROW] * rows), [0.5] * rows, 0.004)
    assert tally.instruments.requests.labels("primary")._value.get() == 20_006
    assert counted(tally, "prediction_requests_total", outcome="primary") == 20_006
    assert counted(tally, "prediction_duration_seconds_count") == 3
    assert counted(tally, "feature_rows_total", feature="lag_1", bin="1") == 20_006


def test_a_version_has_its_series_before_its_first_reading(tally: Tally) -> None:
    """A thousand verdicts between two scrapes must be an increase, not the first value of a new series."""
    tally.flush()
    made = [sample for metric in tally.instruments.collect() for sample in metric.samples]
    assert len([sample for sample in made if sample.name == "feature_rows_total"]) == 2 * len(SCHEMA.names)
    verdicts = [sample for sample in made if sample.name == "feedback_total"]
    assert len(verdicts) == 3 * 2 * 2
    assert {(sample.labels["model_version"], sample.value) for sample in verdicts} == {("v1", 0)}


@given(st.lists(st.sampled_from(["primary", "fallback", "baseline"]), max_size=30))
def test_one_by_one_or_together_the_counts_are_the_same(stages: list[str]) -> None:
    """Whatever the order of stages and flushes."""
    noted, direct = (Tally(SCHEMA.names, lambda: BINS, clock=Clock(now=0)) for _ in range(2))
    for made in (noted, direct):
        made.start()
    for stage in stages:
        noted.answered(stage, "v1", ROW, 0.5, 0.001)
        direct.batch_answered(stage, "v1", np.array([ROW]), [0.5], 0.001)
    assert noted.report() == direct.report()
    for outcome in OUTCOMES:
        assert counted(noted, "prediction_requests_total", outcome=outcome) == stages.count(outcome)


def test_readings_answered_by_another_version_are_not_held_against_this_ones_reference(tally: Tally) -> None:
    """They are counted, but in no bin."""
    tally.answered("primary", "v0", ROW, 0.25, 0.001)
    tally.answered("baseline", None, ROW, 0.0, 0.001)
    assert counted(tally, "prediction_score_count") == 2
    assert counted(tally, "feature_rows_total") == 0


def test_a_client_cannot_invent_labels(tally: Tally) -> None:
    """Unknown feature names are its own; the number of series must not be."""
    tally.rejected([Problem("unexpected", "", "colour"), Problem("nan", "", "lag_1"), Problem("not_an_object", "")])
    assert counted(tally, "prediction_requests_total", outcome="rejected") == 1
    assert counted(tally, "contract_violations_total", feature="none", code="unexpected") == 1
    assert counted(tally, "contract_violations_total", feature="lag_1", code="nan") == 1
    assert counted(tally, "contract_violations_total", feature="none", code="not_an_object") == 1
    assert counted(tally, "contract_violations_total", feature="colour") == 0


@pytest.mark.parametrize(
    "sample",
    [
        'prediction_requests_total{outcome="failed"}',
        'stage_failures_total{reason="deadline",stage="primary"}',
        'contract_violations_total{code="nan",feature="lag_1"}',
        'feedback_refused_total{reason="repeated"}',
        'shadow_rows_total{agreement="different"}',
        "audit_errors_total",
    ],
)
def test_a_series_that_is_known_beforehand_starts_at_0(tally: Tally, sample: str) -> None:
    """Else the first fault would be a new series, and no increase that an alert could see."""
    lines = generate_latest(tally.instruments).decode().splitlines()
    assert f"{sample} 0.0" in lines


def test_lost_log_lines_are_counted_once(tally: Tally) -> None:
    """The sink tells its total, again and again."""
    for total in (2, 2, 5):
        tally.lines_dropped(total)
    assert counted(tally, "log_lines_dropped_total") == 5


def test_notes_do_not_pile_up(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose background hangs still has bounded memory."""
    monkeypatch.setattr("app.telemetry.tally._MOST_NOTES", 10)
    for _ in range(25):
        tally.answered("primary", "v1", ROW, 0.25, 0.001)
    assert len(tally._notes) <= 10
    assert counted(tally, "prediction_requests_total", outcome="primary") == 25


def test_the_report_holds_the_last_hour(tally: Tally) -> None:
    """Outcomes, then durations, by minute; violations by feature and code; bins of the reference."""
    tally.answered("primary", "v1", ROW, 0.25, 10.0)
    tally.failed(2, 0.00005)
    tally.rejected([Problem("nan", "", "lag_1")])
    tally.feedback("v1", "primary", 1, 0)
    report = tally.report()
    (counts,) = report.minutes.values()
    confusion, durations = counts[len(OUTCOMES) : len(OUTCOMES) + 4], counts[len(OUTCOMES) + 4 :]
    assert dict(zip(CONFUSION, confusion, strict=True))["false_positive"] == sum(confusion) == 1
    assert dict(zip(OUTCOMES, counts, strict=False)) == {
        "primary": 1, "fallback": 0, "baseline": 0, "rejected": 1, "failed": 2,
    }  # fmt: skip
    assert (durations[0], durations[-1], sum(durations)) == (1, 1, 2)
    assert (report.bins_version, report.bins[0]) == ("v1", [0, 1])
    assert report.violations == {"lag_1 nan": 1}
