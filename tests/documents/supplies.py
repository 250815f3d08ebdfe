"""What the documents take for granted in a section: the files that a reader brings along."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import joblib
import numpy as np
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from app.contract.schema import FeatureSchema, Matrix
from tests.documents.blocks import blocks
from tests.documents.checkout import Checkout
from tests.sensor import SensorSchema


def readings(checkout: Checkout) -> None:
    """Rows of the contract as Parquet, and as packed CSV with an id."""
    schema = FeatureSchema()
    columns = dict(zip(schema.names, schema.sample(500).T, strict=True))
    (checkout.folder / "readings").mkdir()
    with duckdb.connect() as connection:
        connection.register("given", {"id": np.arange(500), **columns})
        connection.execute(f"COPY (SELECT * EXCLUDE id FROM given) TO '{checkout.folder}/readings/day.parquet'")  # noqa: S608 - a folder of the tests' own
        connection.execute(f"COPY given TO '{checkout.folder}/readings.csv.gz' (HEADER)")


def own_model(checkout: Checkout) -> None:
    """The README's contract, two models fitted on its columns, and a sample."""
    (code,) = blocks("README.md", "python")
    (checkout.folder / "sensor.py").write_text(code.text)
    schema = SensorSchema()
    X = schema.sample(300)
    y = (X[:, 0] > 90).astype(int)
    joblib.dump(HistGradientBoostingClassifier(max_iter=20).fit(X, y), checkout.folder / "my.joblib")
    joblib.dump(LogisticRegression(max_iter=1_000).fit(X, y), checkout.folder / "simple.joblib")
    sample(checkout.folder / "sample.csv", schema)


def foreign_models(checkout: Checkout) -> None:
    """Skops files, and an MLflow directory that the command itself has written."""
    schema = FeatureSchema()
    X = schema.sample(300)
    y = (X[:, 0] > X[:, 6]).astype(int)
    sample(checkout.folder / "sample.csv", schema)
    skops.io.dump(LogisticRegression(max_iter=1_000).fit(X, y), checkout.folder / "my.skops")
    skops.io.dump(RandomForestClassifier(5, max_depth=3).fit(X, y), checkout.folder / "forest.skops")
    checkout.run(".venv/bin/flask models export --mlflow my-model")


def sample(path: Path, schema: FeatureSchema) -> None:
    """Some hundred valid rows, a column per feature."""
    _write(path, schema.names, schema.sample(100))


def _write(path: Path, names: tuple[str, ...], rows: Matrix) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows.tolist())


def batch(rows: int) -> Any:
    """A body of `/predict/batch`."""
    schema = FeatureSchema()
    sampled = schema.sample(rows, seed=2).tolist()
    return {"instances": [dict(zip(schema.names, row, strict=True)) for row in sampled]}


SUPPLIES: Mapping[tuple[str, str], Callable[[Checkout], None]] = {
    ("README.md", "Score files"): readings,
    ("README.md", "Serve your own model"): own_model,
    ("README.md", "Bring models from elsewhere"): foreign_models,
}
"""(document, section): what is put there before its first block runs."""
