"""Fits the two learned stages and chooses their thresholds, from the past only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_curve
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from app.contract.schema import Matrix
from app.errors import DataError
from app.model.ratios import ScaleFreeRatios
from app.model.scorer import estimator_scores
from app.model.stages import FALLBACK, MODEL_STAGES, PRIMARY

Labels: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
Progress: TypeAlias = Callable[[str], None]
"""Called with a few words at the start of each step."""

WARM_UP_DAYS = 14
"""Readings without a past to be compared with teach nothing."""
MIN_TRAINING_DAYS = 6
"""What must be left between warm-up and the held-out part: most of a week."""
HELD_OUT_SHARE = 0.25
"""Last part of the time span: seen only by the evaluation."""
VALIDATION_SHARE = 0.2
"""Last part of the training span: chooses the thresholds."""

TREES = 100

_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Split:
    """Which readings serve what, by time: warm-up (dropped), fit, validation, held out."""

    fit: Mask
    validation: Mask
    held_out: Mask

    @property
    def training(self) -> Mask:
        """Everything the final models learn from."""
        return self.fit | self.validation


@dataclass(frozen=True, slots=True)
class Fitted:
    """The learned stages by name; a score of at least the threshold is an anomaly."""

    estimators: dict[str, Any]
    thresholds: dict[str, float]


def split_by_time(time: NDArray[np.int64], labels: Labels, source: str) -> Split:
    """Cuts the span of `time` (microseconds), all series at the same moments.

    Raises `DataError` where a part would be without readings of both kinds.
    """
    begin, end = int(time.min()), int(time.max()) + 1
    cut = end - int((end - begin) * HELD_OUT_SHARE)
    warm = begin + WARM_UP_DAYS * _DAY
    if cut - warm < MIN_TRAINING_DAYS * _DAY:
        days, needed = (end - begin) / _DAY, (WARM_UP_DAYS + MIN_TRAINING_DAYS) / (1 - HELD_OUT_SHARE)
        raise DataError(source, f"{days:.1f} days of history are too little to train on; at least {needed:.1f} are "
                                "needed, several months are good")  # fmt: skip
    middle = cut - int((cut - warm) * VALIDATION_SHARE)
    parts = {
        "fitting": (time >= warm) & (time < middle),
        "validation": (time >= middle) & (time < cut),
        "the held-out evaluation": time >= cut,
    }
    for name, part in parts.items():
        anomalies, readings = int(labels[part].sum()), int(part.sum())
        if anomalies in (0, readings):
            raise DataError(source, f"the part for {name} has {readings} readings, {anomalies} of them anomalies; "
                                    "both kinds are needed in every part", column="is_anomaly")  # fmt: skip
    return Split(*parts.values())


def new_primary(seed: int) -> Pipeline:
    """Boosted trees over scale-free ratios."""
    # Twice the trees of twice the leaves score no better on later data, and each answer walks all of them.
    # Early stopping would draw its own validation rows at random, not by time.
    trees = HistGradientBoostingClassifier(
        max_iter=TREES, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=40, l2_regularization=1.0,
        early_stopping=False, random_state=seed,
    )  # fmt: skip
    return Pipeline([("ratios", ScaleFreeRatios()), ("trees", trees)])


def new_fallback(seed: int) -> Pipeline:
    """A logistic regression over the same ratios: cruder, but hardly anything in it can break."""
    regression = LogisticRegression(max_iter=1000, random_state=seed)
    return Pipeline([("ratios", ScaleFreeRatios()), ("scale", StandardScaler()), ("regression", regression)])


def fit_stages(rows: Matrix, labels: Labels, split: Split, seed: int, progress: Progress) -> Fitted:
    """Both stages, thresholds chosen on the validation part, then fitted again on the whole training span.

    The same arguments give the same models, bit for bit, whatever the number of cores.
    """
    estimators: dict[str, Any] = {}
    thresholds: dict[str, float] = {}
    # Sums made by several threads depend in their last bit on how many there are.
    with threadpool_limits(limits=1):
        for name, new in ((FALLBACK, new_fallback), (PRIMARY, new_primary)):
            progress(f"choosing the {name}'s threshold")
            draft = new(seed).fit(rows[split.fit], labels[split.fit])
            scores = estimator_scores(draft, rows[split.validation])
            thresholds[name] = best_threshold(labels[split.validation], scores)
            progress(f"fitting the {name}")
            estimators[name] = new(seed).fit(rows[split.training], labels[split.training])
    return Fitted({name: estimators[name] for name in MODEL_STAGES}, thresholds)


def best_threshold(labels: Labels, scores: NDArray[np.float64]) -> float:
    """The threshold of the highest F1, between 0.01 and 0.99.

    Rounded to three places, so that no score lies exactly on it and a last bit never decides.
    """
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = float(thresholds[int(np.argmax(f1[:-1]))])
    return round(min(max(best, 0.01), 0.99), 3)
