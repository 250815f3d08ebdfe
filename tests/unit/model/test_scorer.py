"""What serves a stage: a compiled form where it is proven equal, else the estimator; in large batches the quicker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from app.contract.schema import FeatureSchema, Matrix
from app.model.compiled import compile_estimator
from app.model.proof import build_scorer
from app.model.scorer import TOLERANCE, EstimatorScorer, Scores, estimator_scores

SCHEMA = FeatureSchema()
PROOF = SCHEMA.sample(300, seed=11)
UNSEEN = SCHEMA.sample(300, seed=12)
X = SCHEMA.sample(250, seed=13)
Y = (X[:, 0] > X[:, 6]).astype(int)


def pipeline(*steps: Any) -> Any:
    return make_pipeline(*steps).fit(X, Y)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.floats(0, 1))
def test_whatever_was_fitted_the_scorer_gives_its_scores_and_decisions(
    seed: int, trees: bool, threshold: float
) -> None:
    """Random data, random labels, any threshold; alone and in company."""
    rows = SCHEMA.sample(80, seed)
    labels = np.random.default_rng(seed).permutation(80) % 2
    kind = (
        HistGradientBoostingClassifier(max_iter=4) if trees else make_pipeline(StandardScaler(), LogisticRegression())
    )
    estimator = kind.fit(rows, labels)
    scorer, note = build_scorer(estimator, threshold, PROOF)
    assert note in (None, "compiled decisions differ")
    expected = estimator_scores(estimator, PROOF)
    np.testing.assert_allclose(scorer.score(PROOF), expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(scorer.score(PROOF) >= threshold, expected >= threshold)
    alone = np.array([scorer.score_one(tuple(row)) for row in PROOF[:20].tolist()])
    np.testing.assert_array_equal(alone >= threshold, expected[:20] >= threshold)


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(pipeline(StandardScaler(), LogisticRegression()), id="linear"),
        pytest.param(HistGradientBoostingClassifier(max_iter=5).fit(X, Y), id="trees"),
        pytest.param(LinearRegression().fit(X, Y), id="regressor"),
    ],
)
def test_a_proven_form_serves_without_a_deadline_thread(estimator: Any) -> None:
    """At least single rows do, whatever the machine's timing says of batches; one row scores as it does there."""
    scorer, note = build_scorer(estimator, 0.5, PROOF)
    assert note is None
    assert scorer.inline_rows >= 1
    compiled = compile_estimator(estimator)
    for row in UNSEEN[:20]:
        expected = compiled.score(row[None])[0]
        assert scorer.score(row[None])[0] == expected
        assert scorer.score_one(tuple(row.tolist())) == expected


class OwnForest(RandomForestClassifier):  # type: ignore[misc]
    """A subclass may score in its own way, so it is not taken for its parent."""


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        pytest.param(DecisionTreeClassifier(random_state=0), "no compiled form for DecisionTreeClassifier", id="tree"),
        pytest.param(OwnForest(n_estimators=2), "no compiled form for OwnForest", id="a subclass"),
        pytest.param(
            make_pipeline(Normalizer(), StandardScaler(), LogisticRegression()), "no compiled form for Normalizer",
            id="an unknown transformer",
        ),
        pytest.param(
            make_pipeline(MinMaxScaler(clip=True), LogisticRegression()), "no compiled form for MinMaxScaler",
            id="a known transformer with an unknown option",
        ),
        pytest.param(
            make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)),
            "no compiled form for DecisionTreeClassifier", id="an unknown last step",
        ),
        pytest.param(
            make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression()),
            "no compiled form for SimpleImputer", id="an imputer that adds columns",
        ),
    ],
)  # fmt: skip
def test_an_estimator_without_a_compiled_form_serves_itself(estimator: Any, reason: str) -> None:
    """On the deadline thread, and the reason is told."""
    estimator.fit(X, Y)
    scorer, note = build_scorer(estimator, 0.5, PROOF)
    assert note == reason
    assert scorer == EstimatorScorer(estimator)
    assert scorer.inline_rows == 0
    expected = estimator_scores(estimator, UNSEEN)
    np.testing.assert_array_equal(scorer.score(UNSEEN), expected)
    alone = [scorer.score_one(tuple(row)) for row in UNSEEN[:5].tolist()]
    np.testing.assert_allclose(alone, expected[:5], rtol=0, atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values:UserWarning")
def test_an_imputer_that_drops_a_column_serves_itself() -> None:
    """A column that was never filled in training is left out by scikit-learn: another shape, so no compiled form."""
    holes = X.copy()
    holes[:, 4] = np.nan
    estimator = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(holes, Y)
    scorer, note = build_scorer(estimator, 0.5, PROOF)
    assert note is not None
    assert scorer == EstimatorScorer(estimator)


def test_more_than_two_classes_are_not_compiled() -> None:
    """The score is the probability of class 1, not of the last class."""
    three = np.arange(len(X)) % 3
    for estimator, reason in (
        (make_pipeline(StandardScaler(), LogisticRegression()), "no compiled form for LogisticRegression"),
        (HistGradientBoostingClassifier(max_iter=3), "compiled scores differ by 0."),
        (RandomForestClassifier(n_estimators=3, random_state=0), "compiled scores differ by "),
    ):
        estimator.fit(X, three)
        scorer, note = build_scorer(estimator, 0.5, PROOF)
        assert scorer == EstimatorScorer(estimator)
        assert note is not None
        assert note.startswith(reason)


def twisted(change: Callable[[Scores], Scores]) -> Any:
    """A logistic regression that somebody made score otherwise than its weights say."""
    estimator = LogisticRegression().fit(X / 1e6, Y)
    plain = estimator.predict_proba

    def predict_proba(rows: Matrix) -> Matrix:
        positive = change(plain(rows)[:, 1])
        return np.column_stack([1 - positive, positive])

    estimator.predict_proba = predict_proba
    return estimator


ROWS = PROOF / 1e6


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 2) | st.floats(-0.9, -1e-6), st.floats(0, 1))
def test_a_compiled_form_that_lies_is_not_used(twist: float, threshold: float) -> None:
    """However little it lies, as long as it is more than the tolerance."""
    estimator = twisted(lambda scores: np.power(scores, 1 + twist))
    lie = np.abs(estimator.predict_proba(ROWS)[:, 1] - compile_estimator(estimator).score(ROWS)).max()
    assert lie > 100 * TOLERANCE
    assert build_scorer(estimator, threshold, ROWS) == (
        EstimatorScorer(estimator),
        f"compiled scores differ by {lie:.2g}",
    )


def test_one_differing_row_is_enough() -> None:
    """Among three hundred."""

    def change(scores: Scores) -> Scores:
        scores[217:218] += 1e-8
        return scores

    scorer, note = build_scorer(estimator := twisted(change), 0.5, ROWS)
    assert (scorer, note) == (EstimatorScorer(estimator), "compiled scores differ by 1e-08")


def test_a_compiled_form_is_not_used_where_the_estimator_gives_no_number() -> None:
    """A comparison with nan proves nothing."""
    estimator = twisted(lambda scores: np.full_like(scores, np.nan))
    assert build_scorer(estimator, 0.5, ROWS) == (EstimatorScorer(estimator), "compiled scores differ by nan")


def test_a_compiled_form_that_decides_otherwise_is_not_used() -> None:
    """Scores within the tolerance may lie on both sides of the threshold."""
    estimator = twisted(lambda scores: scores + 1e-12)
    scores = np.sort(estimator.predict_proba(ROWS)[:, 1])
    found = build_scorer(estimator, float(scores[150]), ROWS)
    assert found == (EstimatorScorer(estimator), "compiled decisions differ")
    scorer, note = build_scorer(estimator, float(scores[150] + scores[151]) / 2, ROWS)
    assert note is None
    assert scorer.inline_rows >= 1
