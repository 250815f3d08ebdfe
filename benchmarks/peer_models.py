"""The models that every server of `make bench-peers` gets: fitted on the 12 raw features of synthetic rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.contract.schema import FeatureSchema
from app.model.rule import z_score_rule

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = FeatureSchema()
SEED, ROWS, MISLABELLED = 7, 10_000, 0.05
REQUESTS, SAMPLE = 64, 200

ESTIMATORS: dict[str, Callable[[], Any]] = {
    # All of the 200 trees: from 10,000 rows on, it would by itself hold some back and stop early.
    "trees": lambda: HistGradientBoostingClassifier(
        max_iter=200, max_leaf_nodes=31, early_stopping=False, random_state=SEED
    ),
    "forest": lambda: RandomForestClassifier(n_estimators=100, random_state=SEED),
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
}
TITLES = {
    "trees": "Boosted trees (200 trees, 31 leaves)",
    "forest": "Random forest (100 trees)",
    "linear": "Scaler and logistic regression",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One model, as the servers take it, and what it says of the rows they are asked about."""

    name: str
    plain: Path
    """The joblib file of the estimator fitted on a matrix."""
    named: Path
    """The same, fitted on a DataFrame: the estimator then wants, and checks, column names."""
    sample: Path
    """A CSV of valid rows, a column per feature."""
    registry: Path
    """MODELS_DIR of this service, with the model registered and active."""
    rows: NDArray[np.float64]
    """The rows that are sent: float64, shape (n, 12), columns in contract order."""
    scores: NDArray[np.float64]
    """The estimator's own scores of these rows, shape (n,)."""


def make_case(name: str, folder: Path) -> Case:
    """Fits, saves and registers a model below `folder`. The same call gives the same model."""
    folder.mkdir(parents=True)
    X = SCHEMA.sample(ROWS, SEED)
    wrong = np.random.default_rng(SEED).random(ROWS) < MISLABELLED  # else a few leaves would do
    y = (z_score_rule(X) > 0) ^ wrong
    frame = pd.DataFrame(X, columns=list(SCHEMA.names))
    plain, named, fallback, sample = (
        folder / f for f in ("plain.joblib", "named.joblib", "fallback.joblib", "sample.csv")
    )
    estimator = ESTIMATORS[name]().fit(X, y)
    joblib.dump(estimator, plain)
    joblib.dump(ESTIMATORS[name]().fit(frame, y), named)
    joblib.dump(ESTIMATORS["linear"]().fit(X, y), fallback)
    frame[:SAMPLE].to_csv(sample, index=False)
    rows = SCHEMA.sample(REQUESTS, SEED + 1)
    registry = folder / "models"
    _register(plain, fallback, sample, registry)
    return Case(name, plain, named, sample, registry, rows, estimator.predict_proba(rows)[:, 1])


def reading(row: NDArray[np.float64]) -> dict[str, float]:
    """A row by feature name."""
    return dict(zip(SCHEMA.names, row.tolist(), strict=True))


def _register(primary: Path, fallback: Path, golden: Path, registry: Path) -> None:
    """As the README says for own models, by the command line."""
    files = ["--primary", str(primary), "--fallback", str(fallback), "--golden", str(golden)]
    done = subprocess.run(
        [sys.executable, "-m", "flask", "models", "register", *files, "--json"],
        cwd=ROOT, env={**os.environ, "FLASK_APP": "app", "MODELS_DIR": str(registry)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0 or not json.loads(done.stdout)["active"]:
        raise RuntimeError(f"the model was not registered:\n{done.stderr}")
