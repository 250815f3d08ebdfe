"""What the stages are worth on readings they have not seen: learned stages and z-score rule side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from app.contract.schema import Matrix
from app.model.rule import z_score_rule
from app.model.scorer import estimator_scores
from app.model.stages import BASELINE, BASELINE_THRESHOLD, PRIMARY
from app.training.fit import Fitted, Labels

Floats: TypeAlias = NDArray[np.float64]

"""The z-score rule's name as a stage; it says 0 or 1, so its threshold is one half."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Held-out labels, every stage's scores of them, and what follows; keys are the stages' names."""

    labels: Labels
    scores: dict[str, Floats]
    metrics: dict[str, dict[str, float]]
    agreement: dict[str, float]
    """Share of the readings on which a stage decides as the primary does."""


def evaluate(fitted: Fitted, rows: Matrix, labels: Labels) -> Evaluation:
    """Scores held-out `rows` by every stage and compares the decisions with `labels`."""
    with threadpool_limits(limits=1):
        scores = {name: estimator_scores(estimator, rows) for name, estimator in fitted.estimators.items()}
    scores[BASELINE] = z_score_rule(rows)
    thresholds = {**fitted.thresholds, BASELINE: BASELINE_THRESHOLD}
    decisions = {name: scores[name] >= thresholds[name] for name in scores}
    return Evaluation(
        labels=labels,
        scores=scores,
        metrics={name: measure(labels, decisions[name], scores[name]) for name in scores},
        agreement={name: float(np.mean(decisions[name] == decisions[PRIMARY])) for name in scores if name != PRIMARY},
    )


def measure(labels: Labels, decisions: NDArray[np.bool_], scores: Floats) -> dict[str, float]:
    """Accuracy, precision, recall, F1, area under the precision-recall curve, and the confusion counts.

    A ratio with nothing to divide by is 0.
    """
    actual = labels == 1
    hits, misses = int((actual & decisions).sum()), int((actual & ~decisions).sum())
    alarms, calm = int((~actual & decisions).sum()), int((~actual & ~decisions).sum())
    return {
        "accuracy": (hits + calm) / len(labels),
        "precision": hits / max(hits + alarms, 1),
        "recall": hits / max(hits + misses, 1),
        "f1": 2 * hits / max(2 * hits + misses + alarms, 1),
        "pr_auc": float(average_precision_score(labels, scores)),
        "true_positives": float(hits),
        "false_positives": float(alarms),
        "false_negatives": float(misses),
        "true_negatives": float(calm),
    }
