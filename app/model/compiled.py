"""Compiled forms of estimators, built from their public fitted attributes.

Every form gives one row bit for bit the score that it gives the same row among many.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import expit
from sklearn import ensemble, impute, linear_model, preprocessing
from sklearn.pipeline import Pipeline

from app.contract.schema import Matrix, Row
from app.model.ratios import ScaleFreeRatios
from app.model.scorer import NotCompilableError, Scorer, Scores
from app.model.trees import TreeScorer

_TREES = (
    ensemble.HistGradientBoostingClassifier,
    ensemble.HistGradientBoostingRegressor,
    ensemble.GradientBoostingClassifier,
    ensemble.GradientBoostingRegressor,
    ensemble.RandomForestClassifier,
    ensemble.RandomForestRegressor,
    ensemble.ExtraTreesClassifier,
    ensemble.ExtraTreesRegressor,
    ensemble.IsolationForest,
)
_LINEAR_REGRESSORS = (
    linear_model.LinearRegression,
    linear_model.Ridge,
    linear_model.Lasso,
    linear_model.ElasticNet,
    linear_model.BayesianRidge,
    linear_model.HuberRegressor,
    linear_model.SGDRegressor,
)


class Transform(Protocol):
    """A transformer that treats each row alone."""

    def transform(self, rows: Matrix) -> Matrix: ...

    def transform_one(self, row: Row) -> Row: ...


@dataclass(frozen=True, slots=True)
class AffineTransform:
    """`(x - shift) * factor + offset` per column: what every fitted column-wise scaler does."""

    shift: tuple[float, ...]
    factor: tuple[float, ...]
    offset: tuple[float, ...]

    def transform(self, rows: Matrix) -> Matrix:
        scaled: Matrix = (rows - self.shift) * self.factor + self.offset
        return scaled

    def transform_one(self, row: Row) -> Row:
        columns = zip(row, self.shift, self.factor, self.offset, strict=True)
        return tuple([(x - shift) * factor + offset for x, shift, factor, offset in columns])


@dataclass(frozen=True, slots=True)
class LinearScorer:
    """`link(intercept + x1 * w1 + x2 * w2 + ...)`, summed in this order, whatever BLAS would do."""

    weights: tuple[float, ...]
    intercept: float
    link: Callable[[Any], Any] | None
    inline_rows: float = math.inf

    def score(self, rows: Matrix) -> Scores:
        total = np.full(len(rows), self.intercept)
        for column, weight in zip(rows.T, self.weights, strict=True):
            total += column * weight
        return self.link(total) if self.link else total

    def score_one(self, row: Row) -> float:
        total = self.intercept
        for x, weight in zip(row, self.weights, strict=True):
            total += x * weight
        return float(self.link(total)) if self.link else total


@dataclass(frozen=True, slots=True)
class PipelineScorer:
    """Transformers, then a scorer."""

    transforms: tuple[Transform, ...]
    last: Scorer
    inline_rows: float = math.inf

    def score(self, rows: Matrix) -> Scores:
        for step in self.transforms:
            rows = step.transform(rows)
        return self.last.score(rows)

    def score_one(self, row: Row) -> float:
        for step in self.transforms:
            row = step.transform_one(row)
        return self.last.score_one(row)


def compile_estimator(estimator: Any) -> Scorer:
    """The compiled form of a fitted estimator. Raises `NotCompilableError`; equality is for the caller to prove."""
    if isinstance(estimator, Pipeline):
        *transformers, last = (step for _, step in estimator.steps)
        transforms = [_compile_transformer(step) for step in transformers]
        return PipelineScorer(tuple(step for step in transforms if step is not None), compile_estimator(last))
    if type(estimator) in _TREES:
        return TreeScorer(estimator)
    if type(estimator) is linear_model.LogisticRegression and estimator.coef_.shape[0] == 1:
        return _linear(estimator, expit)
    if type(estimator) is linear_model.SGDClassifier and estimator.loss == "log_loss" and len(estimator.classes_) == 2:
        return _linear(estimator, expit)
    if type(estimator) in _LINEAR_REGRESSORS and np.ndim(estimator.coef_) == 1:
        return _linear(estimator, None)
    raise NotCompilableError(f"no compiled form for {type(estimator).__name__}")


def _linear(estimator: Any, link: Callable[[Any], Any] | None) -> LinearScorer:
    intercept = float(np.ravel(estimator.intercept_)[0])
    return LinearScorer(tuple(np.ravel(estimator.coef_).tolist()), intercept, link)


def _compile_transformer(step: Any) -> Transform | None:
    """A transformer's compiled form; None for one that changes nothing."""
    if step is None or step == "passthrough":
        return None
    if isinstance(step, ScaleFreeRatios):
        return step
    columns = getattr(step, "n_features_in_", 0)
    zeros, ones = np.zeros(columns), np.ones(columns)
    if type(step) is preprocessing.StandardScaler:
        return _affine(step.mean_ if step.with_mean else zeros, 1 / step.scale_ if step.with_std else ones, zeros)
    if type(step) is preprocessing.RobustScaler:
        centre = step.center_ if step.with_centering else zeros
        return _affine(centre, 1 / step.scale_ if step.with_scaling else ones, zeros)
    if type(step) is preprocessing.MaxAbsScaler:
        return _affine(zeros, 1 / step.scale_, zeros)
    if type(step) is preprocessing.MinMaxScaler and not step.clip:
        return _affine(zeros, step.scale_, step.min_)
    if type(step) is impute.SimpleImputer and _changes_nothing(step):
        return None
    raise NotCompilableError(f"no compiled form for {type(step).__name__}")


def _changes_nothing(imputer: Any) -> bool:
    """Nothing is ever missing in a row of the contract, so an imputer that drops and adds no column is idle."""
    drops = not imputer.keep_empty_features and np.isnan(imputer.statistics_).any()
    return imputer.missing_values is np.nan and not imputer.add_indicator and not drops


def _affine(shift: Any, factor: Any, offset: Any) -> AffineTransform:
    return AffineTransform(tuple(shift.tolist()), tuple(factor.tolist()), tuple(offset.tolist()))
