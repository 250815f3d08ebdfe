"""Compiled forms: their estimator's scores, and for one row the very same bits alone, in company, in any layout."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import ensemble, linear_model, preprocessing
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from app.contract.schema import FeatureSchema, Matrix
from app.model.compiled import LinearScorer, compile_estimator
from app.model.ratios import ScaleFreeRatios
from app.model.scorer import TOLERANCE, Scorer, estimator_scores
from app.model.trees import TreeScorer

SCHEMA = FeatureSchema()
X = SCHEMA.sample(250, seed=13)
X[:, 10] = np.round(X[:, 10])
Y = (X[:, 0] > X[:, 6]).astype(int)
UNSEEN = SCHEMA.sample(300, seed=12)
UNSEEN[:, 10] = np.round(UNSEEN[:, 10])


def behind(*steps: Any) -> Any:
    """A logistic regression behind other steps and, last, a scaler that it can live with."""
    return make_pipeline(*steps, preprocessing.StandardScaler(), linear_model.LogisticRegression())


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "logistic": behind,
    "logistic, unscaled": lambda: linear_model.LogisticRegression(C=1e-12, max_iter=5_000),
    "scaled without mean": lambda: behind(preprocessing.StandardScaler(with_mean=False)),
    "scaled without spread": lambda: behind(preprocessing.StandardScaler(with_std=False)),
    "scaled by nothing": lambda: behind(preprocessing.StandardScaler(with_mean=False, with_std=False)),
    "robust scaler": lambda: behind(preprocessing.RobustScaler()),
    "robust scaler, spread alone": lambda: behind(preprocessing.RobustScaler(with_centering=False)),
    "robust scaler, centre alone": lambda: behind(preprocessing.RobustScaler(with_scaling=False)),
    "range scalers": lambda: behind(preprocessing.MinMaxScaler((-1, 3)), preprocessing.MaxAbsScaler()),
    "nothing missing": lambda: behind(SimpleImputer(), "passthrough"),
    "ratios": lambda: behind(ScaleFreeRatios()),
    "pipeline in a pipeline": lambda: make_pipeline(ScaleFreeRatios(), behind()),
    "stochastic gradient": lambda: make_pipeline(
        preprocessing.StandardScaler(), linear_model.SGDClassifier(loss="log_loss", random_state=0)
    ),
    "boosted trees": lambda: ensemble.HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=5),
    "boosted trees by category": lambda: ensemble.HistGradientBoostingClassifier(max_iter=5, categorical_features=[10]),
    "ratios and boosted trees": lambda: make_pipeline(
        ScaleFreeRatios(), ensemble.HistGradientBoostingClassifier(max_iter=5)
    ),
    "gradient boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=5, random_state=0),
    "forest": lambda: ensemble.RandomForestClassifier(n_estimators=7, random_state=0),
    "extra trees": lambda: ensemble.ExtraTreesClassifier(n_estimators=7, random_state=0),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "isolation forest": lambda: ensemble.IsolationForest(n_estimators=9, random_state=0),
    "least squares": linear_model.LinearRegression,
    "ridge": lambda: make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge()),
    "forest regressor": lambda: ensemble.RandomForestRegressor(n_estimators=7, random_state=0),
    "boosted regressor": lambda: ensemble.HistGradientBoostingRegressor(max_iter=5),
}
MODELS = CLASSIFIERS | OTHERS


@cache
def fitted(name: str) -> Any:
    """One of `MODELS`, fitted once."""
    return MODELS[name]().fit(X, Y)


@cache
def compiled(name: str) -> Scorer:
    return compile_estimator(fitted(name))


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_score_is_the_estimators_own(name: str) -> None:
    """On rows it was not fitted on: within 1e-9, the same decisions, float64, one a row."""
    expected = estimator_scores(fitted(name), UNSEEN)
    actual = compiled(name).score(UNSEEN)
    assert actual.shape == (len(UNSEEN),)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)
    threshold = (np.sort(expected)[150] + expected.max()) / 2
    np.testing.assert_array_equal(actual >= threshold, expected >= threshold)
    assert len(np.unique(expected)) > 5


@pytest.mark.parametrize("name", MODELS)
def test_one_row_scores_bit_for_bit_as_in_a_batch(name: str) -> None:
    """A replay must reproduce what was answered live, whatever came in the same batch."""
    scorer = compiled(name)
    together = scorer.score(UNSEEN).tolist()
    for size in (1, 2, 7):
        parts = [scorer.score(UNSEEN[start : start + size]) for start in range(0, len(UNSEEN), size)]
        assert np.concatenate(parts).tolist() == together
    alone = [scorer.score_one(tuple(row)) for row in UNSEEN.tolist()]
    assert alone == together
    assert {type(score) for score in alone} == {float}


@pytest.mark.parametrize("name", MODELS)
def test_a_score_does_not_depend_on_how_the_rows_lie_in_memory(name: str) -> None:
    """Column by column or with gaps is a matter of layout, not of the reading; and the rows are only read."""
    score = compiled(name).score
    expected = score(UNSEEN).tolist()
    before = UNSEEN.copy()
    assert score(np.asfortranarray(UNSEEN)).tolist() == expected
    assert score(UNSEEN[::3]).tolist() == expected[::3]
    np.testing.assert_array_equal(UNSEEN, before)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["logistic", "boosted trees", "forest", "ratios", "least squares"]))
def test_whatever_was_fitted_scores_are_equal_at_the_edges_too(seed: int, name: str) -> None:
    """Random data, random labels, and rows of which a tenth lies at range edges."""
    rows = SCHEMA.sample(80, seed)
    estimator = MODELS[name]().fit(rows, np.random.default_rng(seed).permutation(80) % 2)
    scorer = compile_estimator(estimator)
    np.testing.assert_allclose(scorer.score(UNSEEN), estimator_scores(estimator, UNSEEN), rtol=0, atol=TOLERANCE)
    one = UNSEEN[seed % len(UNSEEN)]
    assert scorer.score_one(tuple(one.tolist())) == scorer.score(one[None])[0]


def at_the_splits(estimator: Any) -> Matrix:
    """Readings with one value exactly at a tree's split, one row a split and reading."""
    rows = []
    for tree in (member.tree_ for member in np.ravel(estimator.estimators_)):
        for node in np.flatnonzero(tree.feature >= 0):
            for reading in X[:4]:
                rows.append(reading.copy())
                rows[-1][tree.feature[node]] = tree.threshold[node]
    return np.array(rows)


@pytest.mark.parametrize("name", ["forest", "extra trees", "gradient boosting", "isolation forest", "forest regressor"])
def test_values_at_a_split_go_the_estimators_way(name: str) -> None:
    """These ensembles round values to single precision before they compare: some then lie on the other side."""
    rows = at_the_splits(fitted(name))
    assert (rows.astype(np.float32) > rows).any(axis=1).sum() > 20
    scores = compiled(name).score(rows)
    np.testing.assert_allclose(scores, estimator_scores(fitted(name), rows), rtol=0, atol=TOLERANCE)
    assert [compiled(name).score_one(tuple(row)) for row in rows.tolist()] == scores.tolist()


def test_scores_at_the_far_ends_are_plain_zeros_and_ones() -> None:
    """Weights on raw features overflow `exp` on wild readings: no warning, no nan, the estimator's score."""
    wild = linear_model.LogisticRegression().fit(X / 1e6, Y)
    wild.coef_ = np.array([[3.0, -3.0] * 6])
    scorer = compile_estimator(wild)
    scores = scorer.score(UNSEEN)
    np.testing.assert_allclose(scores, wild.predict_proba(UNSEEN)[:, 1], rtol=0, atol=TOLERANCE)
    assert {0.0, 1.0} <= set(scores.tolist())
    assert [scorer.score_one(tuple(row)) for row in UNSEEN.tolist()] == scores.tolist()


def test_no_rows_have_no_scores() -> None:
    """An empty batch is no special case."""
    for name in ("logistic", "ratios", "boosted trees", "forest"):
        assert compiled(name).score(UNSEEN[:0]).shape == (0,)


def test_linear_models_and_trees_get_their_own_form() -> None:
    """The tests above are about them, not about the estimators themselves."""
    assert isinstance(compiled("least squares"), LinearScorer)
    assert isinstance(compiled("boosted trees"), TreeScorer)
