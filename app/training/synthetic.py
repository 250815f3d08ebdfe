"""Labelled metric series from a seed: seasons, trend, noise that remembers, gaps, and known anomalies."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.training.anomalies import HIGHEST_VALUE, inject_anomalies, six_digits

DAYS = 120
SERIES = 40

_START = np.datetime64("2024-01-01T00:00:00", "us")  # a Monday
_REGIONS = 8


def synthetic_history(seed: int, days: int = DAYS, series: int = SERIES) -> pd.DataFrame:
    """Hourly readings of `series` metrics over `days` days, sorted by series and time.

    Columns: timestamp (UTC), region_id, product_id, metric_value (0 to 1e6), is_anomaly (about 5 % are 1).
    The same arguments give the same table on every machine: values are rounded far above their last bit.
    """
    rng = np.random.default_rng(seed)
    hours = np.arange(days * 24)
    values = six_digits(np.clip(_levels(rng, hours, series), 0.0, HIGHEST_VALUE).ravel())
    number = np.repeat(np.arange(series), len(hours))
    history = pd.DataFrame(
        {
            "timestamp": pd.to_datetime(np.tile(_START + hours.astype("timedelta64[h]"), series), utc=True),
            "region_id": (number % _REGIONS).astype(np.float64),
            "product_id": (1 + 4 * (number // _REGIONS)).astype(np.float64),
            "metric_value": values,
        }
    )
    history = history[_present(rng, series, len(hours)).ravel()]
    history = history.sort_values(["region_id", "product_id", "timestamp"], ignore_index=True)
    return inject_anomalies(history, seed)


def _levels(rng: np.random.Generator, hours: NDArray[np.int64], series: int) -> NDArray[np.float64]:
    """What the metrics would read on calm days, shape (series, hours)."""
    level = 10 ** rng.uniform(0.7, 5.0, size=(series, 1))
    angle = 2 * np.pi * hours / 24
    daily = 1 + _column(rng, series, 0.1, 0.45) * np.sin(angle - _column(rng, series, 0, 6.28))
    daily += _column(rng, series, 0.0, 0.15) * np.sin(2 * angle - _column(rng, series, 0, 6.28))
    weekday = rng.normal(1.0, 0.03, size=(series, 7))
    weekday[:, 5:] *= _column(rng, series, 0.55, 1.15)
    weekly = weekday[:, (hours // 24) % 7]
    trend = 1 + _column(rng, series, -0.002, 0.003) * hours / 24
    return level * daily * weekly * trend * np.exp(_noise(rng, series, len(hours)))


def _noise(rng: np.random.Generator, series: int, length: int) -> NDArray[np.float64]:
    """Noise that remembers its last value (autoregressive, order 1), 1.5 to 6 % of the level."""
    memory = rng.uniform(0.3, 0.8, size=series)
    shocks = rng.normal(size=(length, series)) * rng.uniform(0.015, 0.06, size=series) * np.sqrt(1 - memory**2)
    noise = np.zeros((length, series))
    for hour in range(1, length):
        noise[hour] = memory * noise[hour - 1] + shocks[hour]
    return noise.T


def _present(rng: np.random.Generator, series: int, length: int) -> NDArray[np.bool_]:
    """Which readings arrived, shape (series, length): a few are lost alone, others in outages of up to two days."""
    present = rng.random((series, length)) > 0.003
    for row in present:
        for start in rng.integers(0, length, size=max(1, length // 700)):
            row[start : start + int(rng.integers(3, 48))] = False
    return present


def _column(rng: np.random.Generator, series: int, low: float, high: float) -> NDArray[np.float64]:
    return rng.uniform(low, high, size=(series, 1))
