"""An estimator as `score(rows) -> scores`: compiled when proven equal, else the estimator itself.

scikit-learn spends most of a one-row call on overhead; a compiled scorer gives the same score without it, and
cannot hang, so it may run inline on the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from app.contract.schema import Matrix

Scores = NDArray[np.float64]

TOLERANCE = 1e-9
"""Largest difference at which a compiled score counts as the estimator's own."""


class Scorer(Protocol):
    """Rows in, anomaly scores in [0, 1] out: shape (n, features) to shape (n,)."""

    @property
    def compiled(self) -> bool:
        """Whether a call is bounded, so that it needs no deadline thread."""

    def score(self, rows: Matrix) -> Scores: ...


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
    compiled: ClassVar[bool] = False

    def score(self, rows: Matrix) -> Scores:
        return estimator_scores(self.estimator, rows)


@dataclass(frozen=True, slots=True)
class TreeScorer:
    """A tree ensemble through treelite, one thread."""

    model: Any
    compiled: ClassVar[bool] = True

    def score(self, rows: Matrix) -> Scores:
        from treelite import gtil

        scores: Scores = gtil.predict(self.model, rows, nthread=1).reshape(len(rows), -1)[:, -1]
        return scores


@dataclass(frozen=True, slots=True)
class LogisticScorer:
    """`1 / (1 + exp(-(x . weights + intercept)))`, summed row by row: no row's score depends on its company."""

    weights: Matrix
    intercept: float
    compiled: ClassVar[bool] = True

    def score(self, rows: Matrix) -> Scores:
        scores: Scores = expit((rows * self.weights).sum(axis=1) + self.intercept)
        return scores


@dataclass(frozen=True, slots=True)
class PipelineScorer:
    """Transformers that treat each row alone, then a compiled scorer."""

    transformers: tuple[Any, ...]
    last: Scorer
    compiled: ClassVar[bool] = True

    def score(self, rows: Matrix) -> Scores:
        for transformer in self.transformers:
            rows = transformer.transform(rows)
        return self.last.score(rows)


@dataclass(frozen=True, slots=True)
class AffineTransform:
    """`(x - shift) * factor` per column: what a fitted `StandardScaler` does."""

    shift: Matrix
    factor: Matrix

    def transform(self, rows: Matrix) -> Matrix:
        return (rows - self.shift) * self.factor


class NotCompilableError(Exception):
    """No compiled form is known for this estimator."""


def build_scorer(estimator: Any, threshold: float, proof_rows: Matrix) -> tuple[Scorer, str | None]:
    """The compiled scorer of `estimator`, or the estimator's own and the reason why.

    Compiled only when, on every proof row, its score is within `TOLERANCE` of the estimator's and the decision
    at `threshold` is the same. Calls the estimator: never before a fork.
    """
    plain = EstimatorScorer(estimator)
    try:
        compiled = _compile(estimator)
    except NotCompilableError as error:
        return plain, str(error)
    expected, actual = plain.score(proof_rows), compiled.score(proof_rows)
    difference = float(np.max(np.abs(expected - actual)))
    if not difference <= TOLERANCE:
        return plain, f"compiled scores differ by {difference:.2g}"
    if np.any((expected >= threshold) != (actual >= threshold)):
        return plain, "compiled decisions differ"
    return compiled, None


def _compile(estimator: Any) -> Scorer:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, Pipeline):
        *transformers, last = (step for _, step in estimator.steps)
        return PipelineScorer(tuple(_compile_transformer(step) for step in transformers), _compile(last))
    if isinstance(estimator, HistGradientBoostingClassifier):
        import treelite

        return TreeScorer(treelite.sklearn.import_model(estimator))
    if isinstance(estimator, LogisticRegression) and estimator.coef_.shape[0] == 1:
        return LogisticScorer(np.ascontiguousarray(estimator.coef_[0]), float(estimator.intercept_[0]))
    raise NotCompilableError(f"no compiled form for {type(estimator).__name__}")


def _compile_transformer(transformer: Any) -> Any:
    from sklearn.preprocessing import StandardScaler

    from app.model.ratios import ScaleFreeRatios

    if isinstance(transformer, ScaleFreeRatios):
        return transformer
    if isinstance(transformer, StandardScaler):
        columns = transformer.n_features_in_
        shift = transformer.mean_ if transformer.with_mean else np.zeros(columns)
        factor = 1.0 / transformer.scale_ if transformer.with_std else np.ones(columns)
        return AffineTransform(shift, factor)
    raise NotCompilableError(f"no compiled form for {type(transformer).__name__}")
