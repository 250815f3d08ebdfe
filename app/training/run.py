"""One training run from data to the draft of a model version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.contract.schema import FeatureSchema, Matrix
from app.errors import DataError
from app.model.bundle import GOLDEN_ROWS, BundleDraft
from app.model.manifest import Training
from app.training.anomalies import inject_anomalies
from app.training.card import card_files
from app.training.evaluate import Evaluation, evaluate
from app.training.features import build_features, epoch_microseconds
from app.training.fit import Labels, Progress, fit_stages, split_by_time
from app.training.history import LABEL, data_digest, read_history
from app.training.synthetic import DAYS, SERIES, synthetic_history

STEPS = 7
"""How often `train` calls its progress callback."""

Places: TypeAlias = NDArray[np.intp]
LabelOrigin: TypeAlias = Literal["synthetic", "given", "injected"]

_LABEL_NOTES: dict[LabelOrigin, str] = {
    "synthetic": "The data is synthetic: the labels are exact, and real data will be less kind.",
    "given": "The labels came with the data.",
    "injected": "The data had no labels: known anomalies (spikes, drops, level shifts, bursts) were put into a copy of "
    "it, and only they count as anomalies. Real ones that it already holds count as calm.",
}


@dataclass(frozen=True, slots=True)
class TrainingData:
    """A labelled history and where it comes from; `description` says so in one line."""

    frame: pd.DataFrame
    source: str
    description: str
    labels: LabelOrigin
    notices: tuple[str, ...] = ()

    @property
    def label_note(self) -> str:
        """Who made the labels, in a sentence or two."""
        return _LABEL_NOTES[self.labels]


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What a run leaves: the draft, not yet written anywhere, and its evaluation."""

    draft: BundleDraft
    evaluation: Evaluation


def synthetic_data(seed: int, days: int = DAYS, series: int = SERIES) -> TrainingData:
    """Labelled data from a seed."""
    frame = synthetic_history(seed, days, series)
    return TrainingData(frame, "synthetic data", f"synthetic, seed {seed}: {_summary(frame)}", "synthetic")


def file_data(path: Path, seed: int, schema: FeatureSchema | None = None) -> TrainingData:
    """The history in a file; without labels, known anomalies drawn from `seed` are put into it. Raises `DataError`."""
    history = read_history(path, schema)
    if history.labelled:
        description = f"{path.name}: {_summary(history.frame)}"
        return TrainingData(history.frame, history.source, description, "given", history.notices)
    frame = inject_anomalies(history.frame, seed)
    description = f"{path.name}: {_summary(frame)}, injected with seed {seed}, since the file has no labels"
    return TrainingData(frame, history.source, description, "injected", history.notices)


def train(
    data: TrainingData, seed: int, command: str, progress: Progress, schema: FeatureSchema | None = None
) -> TrainingRun:
    """Features, split, fit, evaluation, card. Raises `DataError` where the data cannot be trained on.

    Models, scores and card are the same, bit for bit, for the same data, seed and library versions.
    """
    progress("building features")
    rows = build_features(data.frame, schema)
    labels = data.frame[LABEL].to_numpy(dtype=np.int64)
    split = split_by_time(epoch_microseconds(data.frame), labels, data.source)
    fitted = fit_stages(rows, labels, split, seed, progress)
    progress("evaluating")
    held_rows, held_labels = rows[split.held_out], labels[split.held_out]
    evaluation = evaluate(fitted, held_rows, held_labels)
    progress("writing the card")
    training = Training(command, data.description, data_digest(data.frame), int(split.training.sum()))
    draft = BundleDraft(
        estimators=fitted.estimators,
        thresholds=fitted.thresholds,
        golden_rows=choose_golden_rows(held_rows, held_labels, data.source),
        reference_rows=rows[split.training],
        training=training,
        metrics=evaluation.metrics,
        agreement=evaluation.agreement,
        extras=card_files(evaluation, fitted.thresholds, training, data.label_note),
    )
    return TrainingRun(draft, evaluation)


def choose_golden_rows(rows: Matrix, labels: Labels, source: str) -> Matrix:
    """`GOLDEN_ROWS` of the rows, evenly spread; half of them anomalies where there are enough.

    Raises `DataError` where there are fewer rows.
    """
    if len(rows) < GOLDEN_ROWS:
        raise DataError(source, f"{len(rows)} held-out readings are too few, at least {GOLDEN_ROWS} are needed")
    anomalies, calm = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    wanted = min(max(GOLDEN_ROWS // 2, GOLDEN_ROWS - len(calm)), len(anomalies))
    chosen = np.concatenate((_spread(anomalies, wanted), _spread(calm, GOLDEN_ROWS - wanted)))
    return rows[np.sort(chosen)]


def _spread(places: Places, count: int) -> Places:
    return places[np.linspace(0, len(places) - 1, count).astype(np.int64)]


def _summary(frame: pd.DataFrame) -> str:
    times = frame["timestamp"]
    series = len(frame[["region_id", "product_id"]].drop_duplicates())
    return (
        f"{len(frame):,} readings of {series} series, {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}, "
        f"{frame[LABEL].mean():.1%} anomalies"
    )
