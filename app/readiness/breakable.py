"""Models and a rule that fail on demand: a drill's way to break a stage of an instance that it started itself."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from app.contract.schema import Matrix
from app.model.scorer import Scores, estimator_scores
from app.model.stages import BASELINE

FOLDER = "READINESS_DRILL"
"""The environment variable that names a folder; a stage is broken while a file of its name lies there."""

RULE = "READINESS_RULE"
"""The environment variable that names the rule behind `breakable_rule`."""


class BreakableModel:
    """An estimator that scores as `estimator` does, until its `stage` is broken. Never compiled."""

    def __init__(self, estimator: Any, stage: str) -> None:
        self.estimator = estimator
        self.stage = stage

    def predict_proba(self, X: Matrix) -> Matrix:
        """Both probabilities. Raises `RuntimeError` while it is broken."""
        _check(self.stage)
        scores = estimator_scores(self.estimator, X)
        return np.column_stack([1 - scores, scores])


def breakable_rule(rows: Matrix) -> Scores:
    """The rule that the service would have. Raises `RuntimeError` while it is broken."""
    _check(BASELINE)
    module, _, name = os.environ[RULE].partition(":")
    scores: Scores = getattr(importlib.import_module(module), name)(rows)
    return scores


def _check(stage: str) -> None:
    if (Path(os.environ.get(FOLDER, os.devnull)) / stage).exists():
        raise RuntimeError(f"{stage} is broken for a drill")
