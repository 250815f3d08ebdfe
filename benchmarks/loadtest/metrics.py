"""Readings as pipelines take them: metrics with daily and weekly rhythm, hour after hour, a few of them anomalous."""

from __future__ import annotations

from dataclasses import dataclass

from app.contract.schema import Matrix, Row
from app.training.features import build_features
from app.training.synthetic import synthetic_history

WARM_UP_DAYS = 56
"""The longest window that a feature looks back; readings before it know too little of the past to be typical."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What one pipeline sees of its metric, oldest first, without end: after the last hour comes the first again."""

    rows: Matrix
    anomalous: tuple[int, ...]
    """1 where the reading is a known anomaly: what feedback will say."""

    def hours(self, start: int, count: int) -> tuple[Row, ...]:
        """`count` readings from the hour `start` on."""
        return tuple(tuple(self.rows[hour % len(self.rows)].tolist()) for hour in range(start, start + count))

    def actual(self, hour: int) -> int:
        """Whether that hour's reading was an anomaly."""
        return self.anomalous[hour % len(self.anomalous)]


def metrics(seed: int, count: int = 40, days: int = 28) -> list[Metric]:
    """`count` metrics over `days` days, as the shipped model's training saw them, but of another seed."""
    history = synthetic_history(seed, WARM_UP_DAYS + days, count)
    rows, start = build_features(history), history["timestamp"].min()
    recent = (history["timestamp"] - start).dt.days >= WARM_UP_DAYS
    labels = history["is_anomaly"].to_numpy()
    groups = history[recent].groupby(["region_id", "product_id"]).indices
    places = history.index[recent].to_numpy()
    return [Metric(rows[places[group]], tuple(labels[places[group]].tolist())) for group in groups.values()]
