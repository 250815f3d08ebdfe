"""Known anomalies, put into metric series that have no labels: spikes, drops, level shifts and variance bursts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.contract.schema import FeatureSchema

Kind: TypeAlias = Literal["spike", "drop", "level_shift", "variance_burst"]
Floats: TypeAlias = NDArray[np.float64]

MIXTURE: Mapping[Kind, float] = MappingProxyType(
    {"spike": 0.46, "drop": 0.28, "level_shift": 0.04, "variance_burst": 0.22}
)
"""Share of each kind among the events."""

ANOMALY_RATE = 0.05
"""Share of readings that are labelled."""

_LENGTHS: Mapping[Kind, tuple[int, int]] = {
    "spike": (1, 3), "drop": (1, 6), "level_shift": (3, 3), "variance_burst": (6, 16),
}  # fmt: skip
"""Shortest and longest event, in labelled readings. A level shift lasts; its first readings are the news."""

_MAGNITUDES: Mapping[Kind, tuple[float, float]] = {
    "spike": (4.0, 14.0), "drop": (4.0, 10.0), "level_shift": (4.0, 9.0), "variance_burst": (3.0, 10.0),
}  # fmt: skip
"""Smallest and largest change, in multiples of the series' usual step from one reading to the next."""

HIGHEST_VALUE = next(feature.high for feature in FeatureSchema.features if feature.name == "metric_value")
"""Upper end of the contract's range of `metric_value`."""


@dataclass(frozen=True, slots=True)
class _Event:
    kind: Kind
    start: int
    length: int

    @property
    def stop(self) -> int:
        return self.start + self.length


def inject_anomalies(
    history: pd.DataFrame, seed: int, rate: float = ANOMALY_RATE, mixture: Mapping[Kind, float] = MIXTURE
) -> pd.DataFrame:
    """`history` with known anomalies put in and `is_anomaly` saying where; same rows, same order.

    Each series is changed on its own, by amounts in proportion to its usual step, so that metrics of any size work.
    A label is 1 only where the value differs from the history's. The same history and seed give the same result.
    """
    values = history["metric_value"].to_numpy(dtype=np.float64, copy=True)
    labels = np.zeros(len(values), dtype=np.int64)
    ordered = history.reset_index(drop=True).sort_values(["region_id", "product_id", "timestamp"])
    for number, (_, series) in enumerate(ordered.groupby(["region_id", "product_id"], sort=True)):
        places = series.index.to_numpy()
        rng = np.random.default_rng([seed, number])
        values[places], labels[places] = _inject(values[places], rng, rate, mixture)
    return history.assign(metric_value=values, is_anomaly=labels)


def _inject(
    original: Floats, rng: np.random.Generator, rate: float, mixture: Mapping[Kind, float]
) -> tuple[Floats, NDArray[np.int64]]:
    """One series, oldest first: its values with anomalies, and their labels."""
    values, labelled = original.copy(), np.zeros(len(original), dtype=bool)
    step = _usual_step(original)
    direction = 1.0 if rng.random() < 0.5 else -1.0
    for event in _plan(len(original), rng, rate, mixture):
        low, high = _MAGNITUDES[event.kind]
        sizes = step * rng.uniform(low, high, size=event.length)
        span = slice(event.start, event.stop)
        if event.kind == "spike":
            values[span] += sizes
        elif event.kind == "drop":
            values[span] -= sizes
        elif event.kind == "variance_burst":
            values[span] += sizes * rng.choice((-1.0, 1.0), size=event.length)
        else:
            values[event.start :] += direction * sizes[0]
            direction = -direction  # the next one goes the other way, so that the series stays in its range
        labelled[span] = True
    changed = values != original
    values[changed] = six_digits(np.clip(values[changed], 0.0, HIGHEST_VALUE))
    return values, (labelled & (values != original)).astype(np.int64)


def _plan(length: int, rng: np.random.Generator, rate: float, mixture: Mapping[Kind, float]) -> list[_Event]:
    """Events that do not touch, oldest first, until about `rate` of the readings are taken."""
    kinds, shares = list(mixture), np.array(list(mixture.values()))
    free, events, wanted = np.ones(length, dtype=bool), list[_Event](), rate * length
    for _ in range(20 * length):
        if wanted < 1:
            break
        kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
        shortest, longest = _LENGTHS[kind]
        event = _Event(kind, int(rng.integers(1, max(2, length))), int(rng.integers(shortest, longest + 1)))
        # One reading of peace on either side keeps neighbours apart.
        if event.stop < length and free[event.start - 1 : event.stop + 1].all():
            free[event.start : event.stop] = False
            events.append(event)
            wanted -= event.length
    return sorted(events, key=lambda event: event.start)


def _usual_step(values: Floats) -> float:
    """The typical difference between neighbouring readings (1.48 times the median), at least 2 % of the level."""
    steps = np.abs(np.diff(values))
    usual = 1.4826 * float(np.median(steps)) if len(steps) else 0.0
    return max(usual, 0.02 * float(np.median(values)), 0.02 * float(np.mean(values)), 1e-3)


def six_digits(values: Floats) -> Floats:
    """Rounded to six significant digits, so that a last bit that differs between machines never reaches the data."""
    return np.array([float(f"{value:.6g}") for value in values.tolist()], dtype=np.float64)
