"""An estimator as `score(rows) -> scores`: compiled where that is proven equal, else the estimator itself.

scikit-learn spends most of a one-row call on overhead, and repays it in large batches. A compiled scorer gives the
same score without the overhead, and cannot hang, so it may run inline on the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from app.contract.schema import Matrix, Row
from app.errors import BundleError

Scores = NDArray[np.float64]

TOLERANCE = 1e-9
"""Largest difference at which a compiled score counts as the estimator's own."""


class Scorer(Protocol):
    """Rows in, anomaly scores in [0, 1] out."""

    @property
    def inline_rows(self) -> float:
        """Most rows it scores in bounded time, so that the call needs no deadline thread."""

    def score(self, rows: Matrix) -> Scores:
        """Scores of rows, shape (n, features) to shape (n,)."""

    def score_one(self, row: Row) -> float:
        """The score of one row, bit for bit what `score` gives it where at most `inline_rows` come together."""


class NotCompilableError(BundleError):
    """No compiled form is known for this estimator."""


def estimator_scores(estimator: Any, rows: Matrix) -> Scores:
    """A fitted estimator's anomaly scores, shape (n,): the reference every scorer must reproduce.

    Classifiers give the probability of class 1, outlier detectors their negated `score_samples`, and regressors
    their prediction.
    """
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(rows), dtype=np.float64)[:, 1]
    if hasattr(estimator, "score_samples"):
        return -np.asarray(estimator.score_samples(rows), dtype=np.float64)
    return np.asarray(estimator.predict(rows), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class EstimatorScorer:
    """The estimator itself; its calls take as long as they take."""

    estimator: Any
    inline_rows: ClassVar[float] = 0

    def score(self, rows: Matrix) -> Scores:
        return estimator_scores(self.estimator, rows)

    def score_one(self, row: Row) -> float:
        return float(estimator_scores(self.estimator, np.array([row])).item())


@dataclass(frozen=True, slots=True)
class ScorerBySize:
    """The compiled form up to `inline_rows`, and the estimator, quicker by the row, beyond.

    Decisions are the compiled form's in either case: a score so close to the threshold that the last bits decide
    is computed by it.
    """

    compiled: Scorer
    plain: EstimatorScorer
    inline_rows: int
    threshold: float

    def score(self, rows: Matrix) -> Scores:
        if len(rows) <= self.inline_rows:
            return self.compiled.score(rows)
        scores = self.plain.score(rows).copy()  # it may be the estimator's own, or a view of the rows
        close = np.abs(scores - self.threshold) <= TOLERANCE
        if close.any():
            scores[close] = self.compiled.score(rows[close])
        return scores

    def score_one(self, row: Row) -> float:
        return self.compiled.score_one(row)
