"""A new version from estimators that were made elsewhere."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.contract.problems import Rejected
from app.contract.schema import FeatureSchema, Matrix, Row
from app.errors import BundleError, DataError
from app.model.bundle import GOLDEN_ROWS, BundleDraft
from app.model.estimator_files import read_estimator
from app.model.manifest import Training
from app.model.scorer import estimator_scores


@dataclass(frozen=True, slots=True)
class Sample:
    """Valid rows, shape (n, number of features), and the name of what they were read from."""

    rows: Matrix
    source: str


def draft_from_files(
    files: Mapping[str, Path], sample: Sample, schema: FeatureSchema, thresholds: Mapping[str, float], command: str,
    trusted: Collection[str] = (),
) -> BundleDraft:  # fmt: skip
    """A draft of the estimators in `files` (by stage), with golden rows and reference out of `sample`.

    Unpickles the files: they are trusted as far as whoever runs the command trusts them; of a skops file only the
    `trusted` types need to be. A stage without a threshold gets 0.5, or an outlier detector's own.

    Raises `BundleError`.
    """
    rows = sample.rows
    estimators = {stage: _load(path, rows, schema, trusted) for stage, path in files.items()}
    own = {stage: _own_threshold(estimator) for stage, estimator in estimators.items()}
    every = max(1, len(rows) // GOLDEN_ROWS)
    return BundleDraft(
        estimators=estimators,
        thresholds={**own, **thresholds},
        golden_rows=rows[::every][:GOLDEN_ROWS],
        reference_rows=rows,
        training=Training(
            command=command,
            data=f"{sample.source}, {len(rows)} rows; trained elsewhere",
            data_digest=hashlib.sha256(rows.tobytes()).hexdigest(),
            rows=len(rows),
        ),
    )


def read_sample(path: Path, schema: FeatureSchema) -> Sample:
    """The rows of a CSV file. Raises `DataError`."""
    return Sample(read_rows(path, schema), path.name)


def read_rows(path: Path, schema: FeatureSchema) -> Matrix:
    """The contract rows of a CSV file, shape (n, number of features); further columns are passed over.

    Raises `DataError` that names the row (the header is row 1).
    """
    rows: list[Row] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            repeated = {name for name in reader.fieldnames or () if (reader.fieldnames or []).count(name) > 1}
            if repeated:
                raise DataError(path, f"the header names {sorted(repeated)} more than once")
            for record in reader:
                rows.append(_row(path, len(rows) + 2, record, schema))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(path, f"cannot be read as CSV: {error}") from error
    if not rows:
        raise DataError(path, "holds no rows")
    return schema.matrix(rows)


def _row(path: Path, number: int, record: Mapping[str, str | None], schema: FeatureSchema) -> Row:
    if None in record:
        raise DataError(path, "more values than the header has names", row=number)
    reading: dict[str, object] = {}
    for name in schema.names:
        if name in record:
            value = record[name]
            try:
                reading[name] = float(value or "")
            except ValueError:
                reading[name] = value
    checked = schema.check(reading)
    if isinstance(checked, Rejected):
        raise DataError(path, checked.message, row=number)
    return checked


def _load(path: Path, rows: Matrix, schema: FeatureSchema, trusted: Collection[str]) -> Any:
    estimator = read_estimator(path, schema, trusted)
    try:
        scores = estimator_scores(estimator, rows)
    except Exception as error:
        raise BundleError(f"{path}: cannot score the golden rows: {type(error).__name__}: {error}") from error
    if scores.shape != (len(rows),) or not np.isfinite(scores).all():
        raise BundleError(f"{path}: its scores are not finite numbers, one a row")
    if scores.min() < 0 or scores.max() > 1:
        raise BundleError(
            f"{path}: its scores reach from {scores.min():.4g} to {scores.max():.4g}; "
            "a score is a probability, between 0 and 1"
        )
    return estimator


def _own_threshold(estimator: Any) -> float:
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    return -float(np.ravel(last.offset_)[0]) if hasattr(last, "offset_") else 0.5
