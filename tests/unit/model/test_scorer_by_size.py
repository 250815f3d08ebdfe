"""Small batches go to the compiled form, large ones to the estimator; both decide alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.contract.schema import Matrix, Row
from app.model.scorer import EstimatorScorer, Scorer, ScorerBySize, Scores


class Told:
    """A compiled form that scores as it is told and remembers how many rows it was given."""

    inline_rows = math.inf

    def __init__(self, first_column_plus: float) -> None:
        self.plus = first_column_plus
        self.asked: list[int] = []

    def score(self, rows: Matrix) -> Scores:
        self.asked.append(len(rows))
        scores: Scores = rows[:, 0] + self.plus
        return scores

    def score_one(self, row: Row) -> float:
        self.asked.append(1)
        return row[0] + self.plus


class FirstColumn:
    """An estimator whose score is the first column."""

    def predict(self, rows: Matrix) -> Scores:
        return rows[:, 0].copy()


class FirstColumnItself(FirstColumn):
    """One that gives its input back instead of a copy."""

    def predict(self, rows: Matrix) -> Scores:
        scores: Scores = rows[:, 0]
        return scores


def by_size(plus: float, estimator: object = None) -> tuple[ScorerBySize, Told]:
    told: Told = Told(plus)
    compiled: Scorer = told
    return ScorerBySize(compiled, EstimatorScorer(estimator or FirstColumn()), inline_rows=4, threshold=0.5), told


NEAR = np.tile(np.array([0.1, 0.5, 0.5 + 5e-11, 0.6, 0.5 - 1e-8, 0.5 + 1e-8])[:, None], 12)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_small_batches_go_to_the_compiled_form(count: int) -> None:
    """Up to `inline_rows`, and single rows anyway."""
    scorer, told = by_size(1e-10)
    rows = np.linspace(0.1, 0.2, count * 12).reshape(count, 12)
    assert scorer.score(rows).tolist() == (rows[:, 0] + 1e-10).tolist()
    assert scorer.score_one((0.25,)) == 0.25 + 1e-10
    assert told.asked == [count, 1]


def test_large_batches_go_to_the_estimator() -> None:
    """From one row more on."""
    scorer, told = by_size(1e-10)
    rows = np.linspace(0.1, 0.2, 60).reshape(5, 12)
    assert scorer.score(rows).tolist() == rows[:, 0].tolist()
    assert told.asked == []


def test_large_batches_decide_as_single_rows_do() -> None:
    """A score so close to the threshold that the last bits decide is the compiled form's, and only such a one."""
    scorer, told = by_size(-1e-10)
    scores = scorer.score(NEAR.copy())
    assert told.asked == [2]
    assert scores[[1, 2]].tolist() == (NEAR[[1, 2], 0] - 1e-10).tolist()
    assert scores[[0, 3, 4, 5]].tolist() == NEAR[[0, 3, 4, 5], 0].tolist()
    np.testing.assert_array_equal(scores >= 0.5, [scorer.score_one(tuple(row)) >= 0.5 for row in NEAR.tolist()])


def test_the_rows_of_a_batch_are_only_read() -> None:
    """Also where the estimator gives back a part of its input."""
    scorer, _ = by_size(-1e-10, FirstColumnItself())
    rows = NEAR.copy()
    scorer.score(rows)
    np.testing.assert_array_equal(rows, NEAR)
