"""What differs between two versions, from rows whose scores stand in the rows themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.schema import Matrix
from app.errors import ReplayError
from app.replay.audited import AuditedRows
from app.replay.comparison import EXAMPLES, SAMPLE_ROWS, Comparison
from app.replay.results import Changes
from tests.fakes import HangingScorer, OddScorer
from tests.unit.replay.crafting import PAIRS, ColumnScorer, contender

ACTIVE, CANDIDATE = 0, 1
THRESHOLDS = (0.5, 0.25)


def audited(rows: Any, actual: Any = None, first: int = 0) -> AuditedRows:
    """Rows of (active's score, candidate's score), numbered from `first`."""
    matrix: Matrix = np.array(rows, dtype=np.float64).reshape(-1, 2)
    numbers = range(first, first + len(matrix))
    known = np.full(len(matrix), -1, dtype=np.int8) if actual is None else np.array(actual, dtype=np.int8)
    return AuditedRows(matrix, [f"r{number}" for number in numbers], [f"p{number}" for number in numbers], known)


def compared(*chunks: AuditedRows) -> Comparison:
    pair = (contender("old", ACTIVE, THRESHOLDS[0]), contender("new", CANDIDATE, THRESHOLDS[1]))
    comparison = Comparison(*pair, PAIRS.names)
    for chunk in chunks:
        comparison.add(chunk)
    return comparison


def test_changed_decisions_are_counted_both_ways() -> None:
    """Each version by its own threshold, which belongs to the anomalies."""
    found = compared(audited([(0.5, 0.25), (0.5, 0.24), (0.49, 0.25), (0.49, 0.24), (0.1, 0.9)])).changes()
    assert (found.compared, found.changed, found.share) == (5, 3, 0.6)
    assert (found.to_anomaly, found.to_normal) == (2, 1)
    assert [example.prediction_id for example in found.examples] == ["p4", "p2", "p1"]
    example = found.examples[0]
    assert (example.request_id, example.features, example.actual) == ("r4", {"a": 0.1, "b": 0.9}, None)
    assert (example.active, example.candidate) == (0.1, 0.9)


def test_examples_are_the_largest_shifts_of_all_chunks() -> None:
    """Of equal ones the earliest."""
    shifts = [0.3, 0.5, 0.3, 0.7, 0.3, 0.3, 0.6, 0.3]
    rows = [(0.0, shift) for shift in shifts]
    chunks = [audited(rows[start : start + 3], first=start) for start in range(0, len(rows), 3)]
    assert [one.prediction_id for one in compared(*chunks).changes().examples] == ["p3", "p6", "p1", "p0", "p2"]
    assert EXAMPLES == 5


def test_quality_of_both_on_the_rows_with_feedback() -> None:
    """The rest is not judged."""
    rows = [(0.9, 0.9), (0.9, 0.1), (0.1, 0.9), (0.1, 0.1), (0.9, 0.1)]
    comparison = compared(audited(rows, actual=[1, 1, 1, 0, -1]))
    ours, theirs = comparison.active.quality, comparison.candidate.quality
    assert (ours.true_positives, ours.false_negatives, ours.true_negatives, ours.false_positives) == (2, 1, 1, 0)
    assert (theirs.true_positives, theirs.false_negatives, theirs.true_negatives) == (2, 1, 1)
    assert (ours.accuracy, ours.precision, ours.recall) == (0.75, 1.0, 2 / 3)
    assert (comparison.labelled, comparison.active.anomalies, comparison.candidate.anomalies) == (4, 3, 2)


SCORES = st.floats(0, 1, allow_nan=False)
ROWS = st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=60)


@given(ROWS, st.integers(1, 60))
def test_chunks_make_no_difference(rows: list[tuple[float, float]], size: int) -> None:
    """What is added up of chunks is what one pass over all rows gives."""
    actual = [number % 3 - 1 for number in range(len(rows))]
    chunks = [
        audited(rows[start : start + size], actual[start : start + size], start) for start in range(0, len(rows), size)
    ]
    whole, parts = compared(audited(rows, actual)), compared(*chunks)
    assert parts.changes() == whole.changes()
    assert (parts.active.quality, parts.candidate.quality) == (whole.active.quality, whole.candidate.quality)
    assert parts.sample.tolist() == whole.sample.tolist()
    shift, expected = parts.shift(), np.array(rows)[:, 1] - np.array(rows)[:, 0]
    assert shift is not None
    assert shift.mean == pytest.approx(expected.mean(), abs=1e-12)
    assert shift.mean_absolute == pytest.approx(np.abs(expected).mean(), abs=1e-12)
    assert (shift.least, shift.most) == (expected.min(), expected.max())
    for name, value in shift.percentiles.items():
        nearest = np.percentile(expected, float(name[1:]), method="inverted_cdf")
        assert value == pytest.approx(nearest, abs=0.5e-4 + 1e-9)


@given(ROWS)
def test_a_version_beside_itself_changes_nothing(rows: list[tuple[float, float]]) -> None:
    """Whatever the rows."""
    one = contender("old", ACTIVE)
    comparison = Comparison(one, one, PAIRS.names)
    comparison.add(audited(rows))
    shift = comparison.shift()
    assert comparison.changes() == Changes(
        compared=len(rows), changed=0, share=0.0, to_anomaly=0, to_normal=0, examples=[]
    )
    assert shift is not None
    assert {shift.mean, shift.mean_absolute, shift.least, shift.most, *shift.percentiles.values()} == {0.0}


def test_rows_that_only_one_version_scores_are_not_compared() -> None:
    """Only they, though they come among others; the reason is kept."""
    old, new = contender("old", ACTIVE), contender("new", CANDIDATE)
    comparison = Comparison(old, new, PAIRS.names)
    comparison.add(audited([(0.9, 0.1), (0.9, 1.5), (-1, 0.3), (2, math.nan), (0.1, 0.1)], actual=[1, 1, 1, 1, 0]))
    assert (comparison.rows, comparison.changes().compared, comparison.changes().changed) == (5, 2, 1)
    assert (old.failed, new.failed) == (2, 2)
    assert new.failure == "primary: range (a score is no probability, between 0 and 1)"
    assert (comparison.active.quality.feedback, comparison.candidate.quality.feedback) == (2, 2)
    assert len(comparison.sample) == 2


def test_a_version_that_answers_nothing_leaves_nothing_to_compare() -> None:
    """No division by nothing."""
    comparison = Comparison(contender("old", 0), contender("new", 1, scorer=OddScorer("yes")), PAIRS.names)
    comparison.add(audited([(0.9, 0.1)] * 3))
    assert (comparison.changes().compared, comparison.changes().share, comparison.shift()) == (0, 0.0, None)


def test_a_version_that_hangs_ends_the_replay() -> None:
    """Waiting for each of a million rows would help nobody."""
    scorer = HangingScorer()
    hanging = contender("new", 1, scorer=scorer)
    hanging.stage.deadline_s = 0.01
    try:
        with pytest.raises(ReplayError, match="new hangs: primary: deadline"):
            Comparison(contender("old", 0), hanging, PAIRS.names).add(audited([(0.9, 0.1)]))
    finally:
        scorer.release.set()


def test_the_sample_is_bounded() -> None:
    """However many rows come."""
    comparison = compared(*(audited([(0.5, 0.5)] * 300, first=300 * part) for part in range(5)))
    assert len(comparison.sample) == SAMPLE_ROWS
    assert ColumnScorer(0).score_one((0.25, 0.5)) == 0.25
