"""A whole training run: repeatable to the last bit, and worth its place in front of the z-score rule."""

from __future__ import annotations

import numpy as np
import pytest

from app.contract.schema import FeatureSchema
from app.model.bundle import GOLDEN_ROWS, BundleDraft
from app.model.proof import build_scorer
from app.model.registry import Registry
from app.model.scorer import estimator_scores
from app.training.run import STEPS, TrainingRun, synthetic_data, train

COMMAND = "flask train --seed 11 --days 60 --series 8"


def small_run(steps: list[str]) -> TrainingRun:
    return train(synthetic_data(11, days=60, series=8), 11, COMMAND, steps.append)


@pytest.fixture(scope="module")
def steps() -> list[str]:
    return []


@pytest.fixture(scope="module")
def draft(steps: list[str]) -> BundleDraft:
    return small_run(steps).draft


def test_the_same_command_gives_the_same_model(draft: BundleDraft, schema: FeatureSchema) -> None:
    """Scores, digest, golden rows, card and plots, bit for bit."""
    again = small_run([]).draft
    assert again.training == draft.training
    assert again.thresholds == draft.thresholds
    assert again.metrics == draft.metrics
    assert again.extras == draft.extras
    np.testing.assert_array_equal(again.golden_rows, draft.golden_rows)
    rows = schema.sample(2000)
    for name, estimator in draft.estimators.items():
        np.testing.assert_array_equal(estimator_scores(estimator, rows), estimator_scores(again.estimators[name], rows))


def test_every_step_is_announced_once(draft: BundleDraft, steps: list[str]) -> None:
    """The progress bar ends where it should."""
    assert len(steps) == len(set(steps)) == STEPS


def test_the_models_beat_the_rule_on_readings_they_have_not_seen(draft: BundleDraft) -> None:
    """Accuracy of at least 94 %, and an F1 of at least twice the rule's."""
    assert draft.metrics["primary"]["accuracy"] >= 0.94
    assert draft.metrics["primary"]["f1"] >= 2 * draft.metrics["baseline"]["f1"]
    assert draft.metrics["fallback"]["f1"] >= draft.metrics["baseline"]["f1"]
    assert draft.agreement["fallback"] >= 0.94


def test_the_draft_becomes_a_version_that_verifies_and_compiles(
    draft: BundleDraft, registry: Registry, schema: FeatureSchema
) -> None:
    """Register, activate, load, and both stages run compiled."""
    version = registry.register(draft)
    registry.activate(version)
    bundle = registry.load(version)
    assert bundle.golden_rows.shape == (GOLDEN_ROWS, len(schema.names))
    assert not schema.check_matrix(bundle.golden_rows).rejected
    assert {"MODEL_CARD.md", "calibration.png", "precision_recall.png"} <= set(bundle.manifest.files)
    for name, stage in bundle.manifest.stages.items():
        scorer, reason = build_scorer(bundle.estimators[name], stage.threshold, schema.sample(500))
        assert reason is None
        np.testing.assert_allclose(scorer.score(bundle.golden_rows), stage.golden_scores, atol=1e-9)


def level(value: float, average: float, spread: float, last: float | None = None) -> list[float]:
    """A reading of a metric that lives at `average`, on a Wednesday morning."""
    return [value, 1, 3, 42, 2, 10, average, spread, average, spread, 0, average if last is None else last]


@pytest.mark.parametrize("scale", [1.0, 100.0, 10_000.0])
@pytest.mark.parametrize("stage", ["primary", "fallback"])
def test_common_sense_holds_at_every_scale(draft: BundleDraft, stage: str, scale: float) -> None:
    """A calm reading is calm, a doubled one and an outage are not, for small metrics and large."""
    calm, doubled, outage = (np.array(level(value * scale, 10 * scale, 0.5 * scale)) for value in (10.0, 20.0, 0.0))
    scores = estimator_scores(draft.estimators[stage], np.array([calm, doubled, outage]))
    assert (scores >= draft.thresholds[stage]).tolist() == [False, True, True]
