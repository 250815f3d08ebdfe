"""Scale-free ratios of a reading: what the shipped models look at, so that one model serves metrics of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

if TYPE_CHECKING:
    # Only then: `flask models export` takes this file along, and whoever loads the model has nothing more of ours.
    from app.contract.schema import Matrix, Row

Number = TypeVar("Number", float, NDArray[np.float64])

RATIO_NAMES = (
    "z_seasonal", "z_weekday", "z_step",
    "over_seasonal", "over_weekday", "over_last", "last_over_seasonal", "last_over_weekday",
    "volatility", "weekday_volatility", "weekday_over_average",
    "seasonal_factor", "day_of_week", "hour_of_day",
    "abs_z_seasonal", "abs_z_weekday", "abs_z_step", "abs_over_seasonal", "abs_over_weekday", "abs_over_last",
)  # fmt: skip
"""`z_`: distance in spreads, `over_`: in relation to the level; both squashed into -1 to 1.
`abs_`: the size of a distance alone, since a linear model cannot learn that drops matter as spikes do."""

_FLOOR = 1e-6
"""Keeps every denominator positive; far below any metric worth watching."""


def ratios(
    metric_value: Number, seasonal_factor: Number, region_id: Number, product_id: Number, day_of_week: Number,
    hour_of_day: Number, moving_average_7d: Number, volatility_7d: Number, weekday_avg: Number,
    weekday_std: Number, is_weekend: Number, lag_1: Number,
) -> tuple[Number, ...]:  # fmt: skip
    """`RATIO_NAMES` of one reading (floats) or of many (arrays, one a feature), features in contract order.

    Only + - * / and `abs` on values in range, so that one row gives bit for bit what it gives inside a matrix.
    Every result is bounded: no reading, however wild, can drown the others in a linear model.
    """
    seasonal = moving_average_7d * seasonal_factor
    weekday = weekday_avg * seasonal_factor
    # A hundredth of the level: noise below it is no news even on a metric that never moved before.
    spread = volatility_7d + 0.01 * moving_average_7d + _FLOOR
    weekday_spread = weekday_std + 0.01 * weekday_avg + _FLOOR
    z_seasonal = _squashed((metric_value - seasonal) / spread)
    z_weekday = _squashed((metric_value - weekday) / weekday_spread)
    z_step = _squashed((metric_value - lag_1) / spread)
    over_seasonal = _contrast(metric_value, seasonal)
    over_weekday = _contrast(metric_value, weekday)
    over_last = _contrast(metric_value, lag_1)
    return (
        z_seasonal,
        z_weekday,
        z_step,
        over_seasonal,
        over_weekday,
        over_last,
        _contrast(lag_1, seasonal),
        _contrast(lag_1, weekday),
        _squashed(volatility_7d / (moving_average_7d + _FLOOR)),
        _squashed(weekday_std / (weekday_avg + _FLOOR)),
        _contrast(weekday_avg, moving_average_7d),
        seasonal_factor,
        day_of_week,
        hour_of_day,
        abs(z_seasonal),
        abs(z_weekday),
        abs(z_step),
        abs(over_seasonal),
        abs(over_weekday),
        abs(over_last),
    )


def _squashed(x: Number) -> Number:
    """Any number to between -1 and 1, order kept."""
    return x / (1.0 + abs(x))


def _contrast(a: Number, b: Number) -> Number:
    """How far a lies above b: 0 where equal, 1/3 at twice b, -1 at nothing; both at least 0."""
    return (a - b) / (a + b + _FLOOR)


class ScaleFreeRatios(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """`ratios` as a stateless scikit-learn transformer: shape (n, 12) to (n, 20)."""

    def fit(self, X: Matrix, y: object = None) -> Self:
        """Nothing to learn."""
        return self

    def transform(self, X: Matrix) -> Matrix:
        """The ratios of each row."""
        return np.column_stack(ratios(*np.asarray(X, dtype=np.float64).T))

    def transform_one(self, row: Row) -> Row:
        """The ratios of one row, in Python's own floats: several times quicker than arrays of one."""
        return ratios(*row)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """The ratios' names."""
        return np.array(RATIO_NAMES, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True
