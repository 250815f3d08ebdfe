"""A service whose stages break and mend while it runs, each by a file that is there or not."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np

from app.contract.schema import FeatureSchema, Matrix
from app.model.registry import Registry
from app.model.rule import z_score_rule
from app.model.scorer import Scores
from tests.conftest import draft_of, fitted_logistic

REFERENCE_ROWS, REFERENCE_SEED = 4_000, 2
"""What the active version's reference distribution is made of."""

FOLDER = "TESTS_BROKEN_STAGES"
"""Names the folder whose files are the broken stages."""


def check(stage: str) -> None:
    """Raises while the stage is broken."""
    if FOLDER in os.environ and (Path(os.environ[FOLDER]) / stage).exists():
        raise RuntimeError(f"the {stage} cannot score, its weights are <empty>")


class BreakableModel:
    """A picklable estimator that scores like another one, unless its stage is broken."""

    def __init__(self, stage: str, seed: int) -> None:
        self.stage = stage
        self.estimator = fitted_logistic(FeatureSchema(), seed)

    def predict_proba(self, X: Matrix) -> Matrix:
        check(self.stage)
        return np.asarray(self.estimator.predict_proba(X))


def breakable_rule(rows: Matrix) -> Scores:
    """The z-score rule, unless it is broken."""
    check("baseline")
    return z_score_rule(rows)


def register_breakable(folder: Path) -> None:
    """Two versions, the second one active, so that there is one to roll back to."""
    schema = FeatureSchema()
    registry = Registry(folder, schema)
    for seed in (1, REFERENCE_SEED):
        stages = {"primary": BreakableModel("primary", seed), "fallback": BreakableModel("fallback", seed + 2)}
        draft = dataclasses.replace(draft_of(schema, **stages), reference_rows=schema.sample(REFERENCE_ROWS, seed))
        registry.activate(registry.register(draft))
