"""Two versions that are easy to foresee, on a contract of two features."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.contract.schema import Feature, FeatureSchema, Matrix
from app.replay.contender import Contender
from app.serving.deadline import DeadlineCaller
from app.serving.stage import Probe, Stage


class PairSchema(FeatureSchema):
    """`a` and `b`."""

    features = (Feature("a", -10, 10, "One.", 1), Feature("b", -10, 10, "Another.", 2))


PAIRS = PairSchema()


class ColumnScorer:
    """Gives a row the value in one of its columns; a value beyond 1 or below 0 is no score."""

    inline_rows = float("inf")

    def __init__(self, column: int) -> None:
        self.column = column

    def score(self, rows: Matrix) -> Any:
        return rows[:, self.column].copy()

    def score_one(self, row: tuple[float, ...]) -> float:
        return row[self.column]


def contender(name: str, column: int, threshold: float = 0.5, scorer: Any = None) -> Contender:
    """A version whose score of a row is the row's own value in `column`."""
    caller = DeadlineCaller(name, 1)
    probe = Probe(np.array([[0.5, 0.5]]))
    return Contender(name, Stage("primary", scorer or ColumnScorer(column), threshold, probe, 30, caller, 2**31))
