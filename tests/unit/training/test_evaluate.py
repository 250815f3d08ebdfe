"""The figures that decide whether a model is worth serving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from app.contract.schema import FeatureSchema, Matrix
from app.training.evaluate import evaluate, measure
from app.training.fit import Fitted


@dataclass
class FixedScores:
    """An estimator whose scores are given."""

    scores: list[float]

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        return np.array(self.scores)


def test_counts_and_ratios_follow_from_the_decisions() -> None:
    """One of each kind, and one more hit."""
    labels = np.array([1, 1, 1, 0, 0])
    decisions = np.array([True, True, False, True, False])
    figures = measure(labels, decisions, decisions.astype(np.float64))
    assert figures["accuracy"] == 3 / 5
    assert figures["precision"] == figures["recall"] == figures["f1"] == pytest.approx(2 / 3)
    counts = [figures[f"{kind}_{of}"] for kind in ("true", "false") for of in ("positives", "negatives")]
    assert counts == [2, 1, 1, 1]


def test_a_model_that_never_decides_for_an_anomaly_scores_zero() -> None:
    """No division by zero."""
    figures = measure(np.array([1, 0]), np.array([False, False]), np.array([0.0, 0.0]))
    assert figures["precision"] == figures["recall"] == figures["f1"] == 0


def test_compares_every_stage_with_the_primary() -> None:
    """Each with its own threshold; a score at the threshold is an anomaly."""
    example = np.array(list(FeatureSchema().example().values()))
    spike = example.copy()
    spike[0] = 1e6
    rows = np.array([example, spike, spike, example])
    fitted = Fitted(
        {"primary": FixedScores([0.1, 0.4, 0.9, 0.3]), "fallback": FixedScores([0.0, 0.6, 0.5, 0.7])},
        {"primary": 0.4, "fallback": 0.6},
    )
    evaluation = evaluate(fitted, rows, np.array([0, 1, 1, 0]))
    assert list(evaluation.metrics) == ["primary", "fallback", "baseline"]
    assert evaluation.metrics["primary"]["accuracy"] == 1
    assert evaluation.metrics["baseline"]["accuracy"] == 1
    assert evaluation.agreement == {"fallback": 0.5, "baseline": 1.0}
