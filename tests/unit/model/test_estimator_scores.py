"""What a fitted estimator's score is: the reference every compiled form must reproduce."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.contract.schema import FeatureSchema, Matrix
from app.model.scorer import EstimatorScorer, estimator_scores

SCHEMA = FeatureSchema()
X = SCHEMA.sample(120, seed=2)
Y = (X[:, 0] > X[:, 6]).astype(int)


def test_a_classifier_gives_the_probability_of_class_1() -> None:
    """The second column."""
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    scores = estimator_scores(estimator, X)
    np.testing.assert_array_equal(scores, estimator.predict_proba(X)[:, 1])
    assert scores[Y == 1].mean() > scores[Y == 0].mean()


def test_an_outlier_detector_gives_more_to_what_is_odd() -> None:
    """Its `score_samples` negated: in [0, 1], and odd rows score higher."""
    usual = np.full((100, 12), 0.5) + SCHEMA.sample(100, seed=3) / 1e9
    detector = IsolationForest(n_estimators=20, random_state=0).fit(usual)
    odd = usual[:1] + 100
    scores = estimator_scores(detector, np.vstack([usual, odd]))
    np.testing.assert_array_equal(scores, -detector.score_samples(np.vstack([usual, odd])))
    assert scores[-1] == scores.max()
    assert 0 <= scores.min() < scores.max() <= 1
    assert ((scores >= -detector.offset_) == (detector.predict(np.vstack([usual, odd])) == -1)).all()


def test_a_regressor_gives_its_prediction() -> None:
    """As it is."""
    estimator = LinearRegression().fit(X, X[:, 0] / 1e6)
    np.testing.assert_array_equal(estimator_scores(estimator, X), estimator.predict(X))


class Everything:
    """Has all three methods."""

    def predict_proba(self, rows: Matrix) -> Matrix:
        return np.column_stack([np.full(len(rows), 0.25), np.full(len(rows), 0.75)])

    def score_samples(self, rows: Matrix) -> NDArray[np.float64]:
        return np.full(len(rows), -0.5)

    def predict(self, rows: Matrix) -> NDArray[np.int64]:
        return np.ones(len(rows), dtype=np.int64)


class DetectorAndPredictor:
    """Has the last two, as outlier detectors do."""

    score_samples = Everything.score_samples
    predict = Everything.predict


class Predictor:
    """Has a prediction only, in integers."""

    predict = Everything.predict


@pytest.mark.parametrize(
    ("estimator", "score"),
    [
        pytest.param(Everything(), 0.75, id="a probability before all"),
        pytest.param(DetectorAndPredictor(), 0.5, id="a detector's score before its verdict"),
        pytest.param(Predictor(), 1.0, id="a prediction at last"),
    ],
)
def test_the_most_telling_method_is_asked(estimator: object, score: float) -> None:
    """Always as float64, one a row; the estimator's own scorer gives the same."""
    scores = estimator_scores(estimator, X)
    assert scores.dtype == np.float64
    assert scores.tolist() == [score] * len(X)
    scorer = EstimatorScorer(estimator)
    assert scorer.inline_rows == 0
    assert scorer.score_one(tuple(X[0].tolist())) == score
    np.testing.assert_array_equal(scorer.score(X), scores)


@pytest.mark.parametrize("kind", ["list", "float32"])
def test_scores_become_float64(kind: str) -> None:
    """Whatever the estimator returns them in."""

    class Other:
        def predict(self, rows: Matrix) -> object:
            return [0.5] * len(rows) if kind == "list" else np.full(len(rows), 0.5, dtype=np.float32)

    scores = estimator_scores(Other(), X)
    assert scores.dtype == np.float64
    assert scores.tolist() == [0.5] * len(X)
