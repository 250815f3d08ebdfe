"""From raw history to the contract's 12 features, each row using only its own reading and earlier ones.

Training and `flask features` both go through `build_features`, so what a model learns is what it is asked later.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.contract.schema import FeatureSchema, Matrix
from app.training.windows import runs, window_statistics

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_HOUR = 3_600_000_000
"""Times are whole microseconds since 1970, UTC."""
_DAY = 24 * _HOUR

AVERAGE_WINDOW_DAYS = 7
WEEKDAY_WINDOW_DAYS = 56
SEASON_WINDOW_DAYS = 28


def build_features(history: pd.DataFrame, schema: FeatureSchema | None = None) -> Matrix:
    """The features of every reading: float64, shape (n, 12), rows as in `history`, columns in contract order.

    `history` holds timestamp (UTC), region_id, product_id and metric_value, in any order, at any interval.
    A window ends just before its reading; a row depends on the readings of its own series in the 8 weeks
    before it and on nothing else, bit for bit. With no reading in a window: averages are the reading itself,
    spreads 0, the seasonal factor 1, `lag_1` the reading.
    """
    schema = schema or FeatureSchema()
    region, product, value = (
        history[name].to_numpy(dtype=np.float64) for name in ("region_id", "product_id", "metric_value")
    )
    time = epoch_microseconds(history)
    order = np.lexsort((time, product, region))
    series = runs(region[order], product[order])
    columns = _columns(series, time[order], value[order])
    columns |= {"region_id": region[order], "product_id": product[order]}
    rows = np.empty((len(history), len(schema.names)))
    rows[order] = np.column_stack([columns[name] for name in schema.names])
    return np.clip(rows, schema.lows, schema.highs)


def epoch_microseconds(history: pd.DataFrame) -> Ints:
    """The `timestamp` column as microseconds since 1970, UTC; times without a zone are UTC."""
    times = pd.to_datetime(history["timestamp"], utc=True)
    return times.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)


def _columns(series: Ints, time: Ints, value: Floats) -> dict[str, Floats]:
    """The features by name, for readings sorted by series and time."""
    weekday = (time // _DAY + 3) % 7  # 1970-01-01 was a Thursday
    hour = time % _DAY // _HOUR
    average, spread = window_statistics(series, time, value, AVERAGE_WINDOW_DAYS * _DAY)
    weekday_average, weekday_spread = _per_slot(series * 7 + weekday, time, value, WEEKDAY_WINDOW_DAYS * _DAY)
    usual, _ = window_statistics(series, time, value, SEASON_WINDOW_DAYS * _DAY)
    usual_at_hour, _ = _per_slot(series * 24 + hour, time, value, SEASON_WINDOW_DAYS * _DAY)
    known = (usual > 0) & ~np.isnan(usual_at_hour)
    factor = np.divide(usual_at_hour, usual, out=np.ones_like(value), where=known)
    previous = np.concatenate((value[:1], value[:-1]))
    return {
        "metric_value": value,
        "seasonal_factor": factor,
        "day_of_week": weekday.astype(np.float64),
        "hour_of_day": hour.astype(np.float64),
        "moving_average_7d": np.where(np.isnan(average), value, average),
        "volatility_7d": np.nan_to_num(spread, nan=0.0),
        "weekday_avg": np.where(np.isnan(weekday_average), value, weekday_average),
        "weekday_std": np.nan_to_num(weekday_spread, nan=0.0),
        "is_weekend": (weekday >= 5).astype(np.float64),
        "lag_1": np.where(np.diff(series, prepend=-1) > 0, value, previous),
    }


def _per_slot(slot: Ints, time: Ints, value: Floats, window: int) -> tuple[Floats, Floats]:
    """`window_statistics` among the readings of the same slot, such as a series' Mondays."""
    order = np.argsort(slot, kind="stable")
    mean, spread = np.empty_like(value), np.empty_like(value)
    mean[order], spread[order] = window_statistics(slot[order], time[order], value[order], window)
    return mean, spread
