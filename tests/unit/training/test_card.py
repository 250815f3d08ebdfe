"""The model card: complete, and the same bytes for the same run."""

from __future__ import annotations

import numpy as np
import pytest

from app.model.manifest import Training
from app.training.card import card_files, comparison
from app.training.evaluate import Evaluation, measure

THRESHOLDS = {"primary": 0.45, "fallback": 0.3}
TRAINING = Training("flask train --seed 9", "synthetic, seed 9", "ab" * 32, 12_345)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    rng = np.random.default_rng(0)
    labels = (rng.random(2000) < 0.05).astype(np.int64)
    scores = {
        "primary": np.clip(labels * 0.6 + rng.random(2000) * 0.4, 0, 1),
        "fallback": np.clip(labels * 0.3 + rng.random(2000) * 0.6, 0, 1),
        "baseline": (rng.random(2000) < 0.05).astype(np.float64),
    }
    thresholds = {**THRESHOLDS, "baseline": 0.5}
    metrics = {name: measure(labels, scores[name] >= thresholds[name], scores[name]) for name in scores}
    return Evaluation(labels, scores, metrics, {"fallback": 0.9, "baseline": 0.85})


def test_the_card_says_what_was_trained_on_what_and_how_well(evaluation: Evaluation) -> None:
    """Command, data, digest, label note, thresholds, figures side by side, limits."""
    card = card_files(evaluation, THRESHOLDS, TRAINING, "The labels are exact.")["MODEL_CARD.md"].decode()
    header, rows = comparison(evaluation.metrics, evaluation.agreement)
    for part in ("flask train --seed 9", "synthetic, seed 9", "ab" * 32, "12,345", "The labels are exact.",
                 "fallback 0.3", "primary 0.45", "## Limits", "calibration.png", "precision_recall.png"):  # fmt: skip
        assert part in card
    for line in (header, *rows):
        assert "| " + " | ".join(line) + " |" in card


def test_the_comparison_has_a_column_for_every_stage(evaluation: Evaluation) -> None:
    """The rule beside the models, and the share of equal decisions."""
    header, rows = comparison(evaluation.metrics, evaluation.agreement)
    assert len(header) == 4
    assert all(len(row) == 4 for row in rows)
    assert rows[-1] == ["decides as the primary", "100.00%", "90.00%", "85.00%"]


def test_the_plots_are_small_pngs_and_the_same_bytes_every_time(evaluation: Evaluation) -> None:
    """No date in them, so that a run can be compared with its repetition."""
    first, second = (card_files(evaluation, THRESHOLDS, TRAINING, "") for _ in range(2))
    assert first == second
    for name in ("calibration.png", "precision_recall.png"):
        assert first[name].startswith(b"\x89PNG")
        assert len(first[name]) < 60_000
