"""Compiled scores are the estimator's own, alone or in company; what cannot be proven equal is not used."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from app.contract.schema import FeatureSchema, Matrix
from app.model.ratios import ScaleFreeRatios
from app.model.scorer import (
    TOLERANCE,
    EstimatorScorer,
    LogisticScorer,
    Scorer,
    TreeScorer,
    build_scorer,
    estimator_scores,
)

SCHEMA = FeatureSchema()
PROOF = SCHEMA.sample(400, seed=11)
UNSEEN = SCHEMA.sample(400, seed=12)
X = SCHEMA.sample(300, seed=13)
Y = (X[:, 0] > X[:, 6]).astype(int)


def _unscaled_logistic() -> Any:
    return LogisticRegression(C=1e-9).fit(X / 1e6, Y)


MODELS: dict[str, Callable[[], Any]] = {
    "logistic": _unscaled_logistic,
    "scaled": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "scaled without mean": lambda: make_pipeline(StandardScaler(with_mean=False), LogisticRegression()),
    "scaled without spread": lambda: make_pipeline(
        StandardScaler(with_std=False), StandardScaler(), LogisticRegression()
    ),
    "scaled by nothing": lambda: make_pipeline(
        StandardScaler(with_mean=False, with_std=False), StandardScaler(), LogisticRegression()
    ),
    "ratios and logistic": lambda: make_pipeline(ScaleFreeRatios(), StandardScaler(), LogisticRegression()),
    "pipeline in a pipeline": lambda: make_pipeline(
        ScaleFreeRatios(), make_pipeline(StandardScaler(), LogisticRegression())
    ),
    "boosted trees": lambda: HistGradientBoostingClassifier(max_iter=12, min_samples_leaf=5),
    "boosted trees by category": lambda: HistGradientBoostingClassifier(max_iter=5, categorical_features=[10]),
    "ratios and boosted trees": lambda: make_pipeline(ScaleFreeRatios(), HistGradientBoostingClassifier(max_iter=8)),
}


@cache
def fitted(name: str) -> Any:
    """One of `MODELS`, fitted once."""
    rows = X.copy()
    rows[:, 10] = np.round(rows[:, 10])
    return MODELS[name]().fit(rows, Y) if name != "logistic" else MODELS[name]()


@cache
def scorer_of(name: str) -> Scorer:
    scorer, note = build_scorer(fitted(name), 0.5, PROOF)
    assert note is None
    assert scorer.compiled
    return scorer


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_score_is_the_estimators_own(name: str) -> None:
    """On rows that were not part of the proof: within 1e-9, the same decisions, float64, one a row."""
    expected = fitted(name).predict_proba(UNSEEN)[:, 1]
    actual = scorer_of(name).score(UNSEEN)
    assert actual.shape == (len(UNSEEN),)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(actual >= 0.5, expected >= 0.5)
    assert len(np.unique(expected)) > 10


@pytest.mark.parametrize("name", MODELS)
def test_one_row_scores_bit_for_bit_as_in_a_batch(name: str) -> None:
    """A replay must reproduce what was answered live, whatever came in the same batch."""
    score = scorer_of(name).score
    together = score(UNSEEN)
    for size in (1, 2, 7):
        parts = [score(UNSEEN[start : start + size]) for start in range(0, len(UNSEEN), size)]
        np.testing.assert_array_equal(np.concatenate(parts).view(np.int64), together.view(np.int64))


@pytest.mark.parametrize("name", MODELS)
def test_a_score_does_not_depend_on_how_the_rows_lie_in_memory(name: str) -> None:
    """Column by column is a matter of layout, not of the reading."""
    score = scorer_of(name).score
    np.testing.assert_array_equal(score(np.asfortranarray(UNSEEN)), score(UNSEEN))
    np.testing.assert_array_equal(score(UNSEEN[::3]), score(UNSEEN)[::3])


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["scaled", "boosted trees", "ratios and logistic"]), st.floats(0, 1))
def test_whatever_was_fitted_the_scorer_gives_its_scores_and_decisions(seed: int, name: str, threshold: float) -> None:
    """Random data, random labels, any threshold."""
    rows = SCHEMA.sample(80, seed)
    labels = np.random.default_rng(seed).permutation(80) % 2
    estimator = MODELS[name]().fit(rows, labels)
    scorer, note = build_scorer(estimator, threshold, PROOF)
    assert scorer.compiled is (note is None)
    assert scorer.compiled or note == "compiled decisions differ"
    np.testing.assert_allclose(scorer.score(PROOF), estimator_scores(estimator, PROOF), rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(scorer.score(PROOF) >= threshold, estimator.predict_proba(PROOF)[:, 1] >= threshold)


def test_scores_at_the_far_ends_are_plain_zeros_and_ones() -> None:
    """A model fitted on raw features overflows `exp` on wild readings: no warning, no nan, the estimator's score."""
    estimator = fitted("logistic")
    wild = LogisticRegression().fit(X / 1e6, Y)
    wild.coef_, wild.intercept_ = np.sign(estimator.coef_) * 3.0, np.zeros(1)
    scorer, note = build_scorer(wild, 0.5, PROOF)
    assert note is None
    scores = scorer.score(UNSEEN)
    np.testing.assert_allclose(scores, wild.predict_proba(UNSEEN)[:, 1], rtol=0, atol=1e-9)
    assert {0.0, 1.0} <= set(scores.round(12).tolist())


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        pytest.param(
            RandomForestClassifier(n_estimators=3, random_state=0), "no compiled form for RandomForestClassifier",
            id="a forest",
        ),
        pytest.param(
            IsolationForest(n_estimators=3, random_state=0), "no compiled form for IsolationForest",
            id="an outlier detector",
        ),
        pytest.param(
            make_pipeline(MinMaxScaler(), LogisticRegression()), "no compiled form for MinMaxScaler",
            id="an unknown transformer",
        ),
        pytest.param(
            make_pipeline("passthrough", RandomForestRegressor(n_estimators=2)), "no compiled form for str",
            id="a step that is none",
        ),
        pytest.param(
            make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=3)),
            "no compiled form for RandomForestClassifier", id="an unknown last step",
        ),
    ],
)  # fmt: skip
def test_an_estimator_without_a_compiled_form_serves_itself(estimator: Any, reason: str) -> None:
    """And the reason is told."""
    estimator.fit(X, Y)
    scorer, note = build_scorer(estimator, 0.5, PROOF)
    assert note == reason
    assert isinstance(scorer, EstimatorScorer)
    assert not scorer.compiled
    np.testing.assert_array_equal(scorer.score(UNSEEN), estimator_scores(estimator, UNSEEN))


def test_more_than_two_classes_are_not_compiled() -> None:
    """The score is the probability of class 1, not of the last class."""
    logistic = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, np.arange(len(X)) % 3)
    assert build_scorer(logistic, 0.5, PROOF) == (EstimatorScorer(logistic), "no compiled form for LogisticRegression")
    trees = HistGradientBoostingClassifier(max_iter=3).fit(X, np.arange(len(X)) % 3)
    scorer, note = build_scorer(trees, 0.5, PROOF)
    assert scorer == EstimatorScorer(trees)
    assert note is not None
    assert note.startswith("compiled scores differ by 0.")


class Twisted(LogisticRegression):  # type: ignore[misc]
    """Looks like what can be compiled, and scores otherwise."""

    def __init__(self, twist: float = 0.0, C: float = 1.0) -> None:
        super().__init__(C=C)
        self.twist = twist

    def predict_proba(self, rows: Matrix) -> Matrix:
        plain = super().predict_proba(rows)
        if self.twist != self.twist:
            return np.full_like(plain, np.nan)
        positive = plain[:, 1] ** (1 + self.twist)
        return np.column_stack([1 - positive, positive])


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 2) | st.floats(-0.9, -1e-6), st.floats(0, 1))
def test_a_compiled_form_that_lies_is_not_used(twist: float, threshold: float) -> None:
    """However little it lies, as long as it is more than the tolerance."""
    estimator = Twisted(twist).fit(X / 1e6, Y)
    rows = PROOF / 1e6
    lie = np.abs(estimator.predict_proba(rows)[:, 1] - LogisticRegression.predict_proba(estimator, rows)[:, 1]).max()
    scorer, note = build_scorer(estimator, threshold, rows)
    assert lie > 1e-7
    assert scorer == EstimatorScorer(estimator)
    assert note == f"compiled scores differ by {lie:.2g}"


def test_a_compiled_form_is_not_used_where_the_estimator_gives_no_number() -> None:
    """A comparison with nan proves nothing."""
    estimator = Twisted(float("nan")).fit(X / 1e6, Y)
    scorer, note = build_scorer(estimator, 0.5, PROOF / 1e6)
    assert (scorer, note) == (EstimatorScorer(estimator), "compiled scores differ by nan")


class Ahead(LogisticRegression):  # type: ignore[misc]
    """Ahead of its compiled form by far less than the tolerance."""

    def predict_proba(self, rows: Matrix) -> Matrix:
        ahead: Matrix = np.add(super().predict_proba(rows), [-1e-12, 1e-12])
        return ahead


def test_a_compiled_form_that_decides_otherwise_is_not_used() -> None:
    """Scores within the tolerance may lie on both sides of the threshold."""
    estimator = Ahead().fit(X / 1e6, Y)
    rows = PROOF / 1e6
    scores = np.sort(estimator.predict_proba(rows)[:, 1])
    scorer, note = build_scorer(estimator, float(scores[200]), rows)
    assert (scorer, note) == (EstimatorScorer(estimator), "compiled decisions differ")
    scorer, note = build_scorer(estimator, float(scores[200] + scores[201]) / 2, rows)
    assert (scorer.compiled, note) == (True, None)


def test_each_kind_gets_its_own_compiled_form() -> None:
    """The walk above is about them, not about the estimators themselves."""
    assert isinstance(scorer_of("logistic"), LogisticScorer)
    assert isinstance(scorer_of("boosted trees"), TreeScorer)
