"""The chain for many rows: the same bits whatever comes together, and labelled when a stage fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.contract.schema import FeatureSchema, Matrix
from app.errors import ScoringError
from app.model.registry import Registry
from app.model.rule import z_score_rule
from app.model.scorer import EstimatorScorer, ScorerBySize
from app.scoring.bulk import BulkScorer, Model, digest_of, scorer_of
from tests.conftest import draft_of, fitted_logistic
from tests.fakes import ConstantModel, HangingScorer, RaisingScorer

SCHEMA = FeatureSchema()


def fitted(kind: str) -> Any:
    rows = SCHEMA.sample(400, seed=2)
    labels = (rows[:, 0] > rows[:, 6]).astype(int)
    models = {
        "linear": lambda: fitted_logistic(SCHEMA),
        "boosted trees": lambda: HistGradientBoostingClassifier(max_iter=20, random_state=1).fit(rows, labels),
        "forest": lambda: RandomForestClassifier(20, n_jobs=-1, random_state=1).fit(rows, labels),
        "pipeline of trees": lambda: make_pipeline(
            StandardScaler(), HistGradientBoostingClassifier(max_iter=20, random_state=1)
        ).fit(rows, labels),
    }
    return models[kind]()


def model(registry: Registry, version: str, rule: Any = z_score_rule) -> Model:
    return Model(FeatureSchema, rule, registry.folder, version, digest_of(registry.folder, version))


def scorer(registry: Registry, **estimators: Any) -> BulkScorer:
    return scorer_of(model(registry, registry.register(draft_of(SCHEMA, **estimators))))


@pytest.fixture(params=["linear", "boosted trees", "forest", "pipeline of trees"], scope="module")
def many_kinds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BulkScorer:
    registry = Registry(tmp_path_factory.mktemp("models"), SCHEMA)
    return scorer(registry, primary=fitted(request.param))


ROWS = SCHEMA.sample(3_000, seed=8)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(1, len(ROWS) - 1), max_size=6), st.integers(0, 10_000))
def test_a_rows_score_depends_on_the_row_alone(many_kinds: BulkScorer, cuts: set[int], seed: int) -> None:
    """Bit for bit, wherever the rows are cut and in whichever order they come."""
    whole = many_kinds.answer(ROWS)[0]
    order = np.random.default_rng(seed).permutation(len(ROWS))
    parts = [many_kinds.answer(part)[0] for part in np.split(ROWS[order], sorted(cuts))]
    assert np.concatenate(parts).tolist() == whole[order].tolist()


def test_scores_are_the_estimators_own(many_kinds: BulkScorer) -> None:
    """Within what counts as equal; and the primary gave them."""
    scores, stage, failures = many_kinds.answer(ROWS)
    scorer = stage.scorer
    estimator = scorer.plain.estimator if isinstance(scorer, ScorerBySize) else fitted("linear")
    assert np.abs(scores - estimator.predict_proba(ROWS)[:, 1]).max() <= 1e-9
    assert (stage.name, list(failures)) == ("primary", [])


def test_the_form_does_not_depend_on_the_clock(many_kinds: BulkScorer) -> None:
    """Trees by the estimator, with the compiled form at the threshold; a linear model compiled, however few rows."""
    found = many_kinds.chain.stages[0].scorer
    if isinstance(found, ScorerBySize):
        assert (found.inline_rows, isinstance(found.plain, EstimatorScorer)) == (0, True)
    else:
        assert found.inline_rows == float("inf")


def test_decisions_are_the_services_own(many_kinds: BulkScorer) -> None:
    """Where the threshold is a score itself, the compiled form decides, as it does for a request."""
    stage = many_kinds.chain.stages[0]
    found = stage.scorer
    compiled = found.compiled if isinstance(found, ScorerBySize) else found
    expected = compiled.score(ROWS[:200])
    for threshold in expected[:20].tolist():
        bulk = replace(found, threshold=threshold) if isinstance(found, ScorerBySize) else found
        assert ((bulk.score(ROWS[:200]) >= threshold) == (expected >= threshold)).all()


def test_estimators_run_one_job(registry: Registry) -> None:
    """Threads would add the trees' scores in any order."""
    found = scorer(registry, primary=fitted("forest")).chain.stages[0].scorer
    assert isinstance(found, ScorerBySize)
    assert found.plain.estimator.n_jobs == 1


def with_stage(found: BulkScorer, place: int, **changes: Any) -> BulkScorer:
    stages = list(found.chain.stages)
    stages[place] = replace(stages[place], **changes)
    return replace(found, chain=replace(found.chain, stages=tuple(stages)))


def test_the_next_stage_answers_and_the_reason_is_told(registry: Registry, version: str) -> None:
    """Primary, fallback, rule: each block by the first that can."""
    found = scorer_of(model(registry, version))
    assert found.stages == ("primary", "fallback", "baseline")
    broken = with_stage(found, 0, scorer=RaisingScorer())
    scores, stage, failures = broken.answer(ROWS)
    assert (stage.name, [failure.reason for failure in failures]) == ("fallback", ["exception"])
    assert scores.tolist() == found.chain.stages[1].score(ROWS).tolist()
    broken = with_stage(broken, 1, scorer=RaisingScorer())
    assert broken.answer(ROWS)[1].name == "baseline"
    for _ in range(10):  # no breaker opens: what a block gets must not depend on those before it
        assert [failure.reason for failure in broken.answer(ROWS)[2]] == ["exception", "exception"]


def test_a_model_that_hangs_stops_the_run(registry: Registry, version: str) -> None:
    """Another stage would answer instead, but not in the next run."""
    hanging = HangingScorer()
    found = with_stage(scorer_of(model(registry, version)), 0, scorer=hanging, deadline_s=0.01)
    with pytest.raises(ScoringError, match="hangs: primary: deadline"):
        found.answer(ROWS)
    hanging.release.set()


def test_nothing_answers(registry: Registry, version: str) -> None:
    """An error with every reason, and no score."""
    found = scorer_of(model(registry, version))
    for place in range(3):
        found = with_stage(found, place, scorer=RaisingScorer())
    with pytest.raises(ScoringError, match=r"All prediction methods failed: primary: .*; fallback: .*; baseline: "):
        found.answer(ROWS)


def test_a_damaged_stage_is_absent(registry: Registry, version: str) -> None:
    """As in the service, and the chain says why."""
    (registry.folder / version / "primary.joblib").write_bytes(b"oops")
    found = scorer_of(model(registry, version))
    assert found.stages == ("fallback", "baseline")
    assert "SHA-256" in found.chain.absent["primary"]


def test_only_the_version_that_was_meant_scores(registry: Registry, version: str, tmp_path: Path) -> None:
    """A worker may see another folder under the same path."""
    with pytest.raises(ScoringError, match="is not the version that was asked for"):
        scorer_of(replace(model(registry, version), digest="0" * 64))
    with pytest.raises(ScoringError, match="every worker needs MODELS_DIR under the same path"):
        scorer_of(replace(model(registry, version), models_dir=tmp_path / "nowhere"))


def broken_rule(rows: Matrix) -> Any:
    raise ZeroDivisionError


def test_the_rule_is_the_one_of_the_settings(registry: Registry) -> None:
    """It may be a user's own."""
    version = registry.register(draft_of(SCHEMA, primary=ConstantModel()))
    found = with_stage(scorer_of(model(registry, version, broken_rule)), 0, scorer=RaisingScorer())
    with pytest.raises(ScoringError, match="baseline: exception"):
        found.answer(ROWS)
