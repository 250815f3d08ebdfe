"""Scale-free ratios of a reading: what the shipped models look at, so that one model serves metrics of any size."""

from __future__ import annotations

from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from app.contract.schema import Matrix

Number = TypeVar("Number", float, NDArray[np.float64])

RATIO_NAMES = (
    "z_7d", "z_weekday", "z_seasonal", "z_step",
    "value_over_average", "value_over_seasonal", "value_over_weekday", "value_over_last", "last_over_seasonal",
    "volatility_over_average", "weekday_volatility", "seasonal_factor", "day_of_week", "hour_of_day",
)  # fmt: skip

_FLOOR = 1e-6
"""Keeps every denominator positive; far below any metric worth watching."""


def ratios(
    metric_value: Number, seasonal_factor: Number, region_id: Number, product_id: Number, day_of_week: Number,
    hour_of_day: Number, moving_average_7d: Number, volatility_7d: Number, weekday_avg: Number,
    weekday_std: Number, is_weekend: Number, lag_1: Number,
) -> tuple[Number, ...]:  # fmt: skip
    """`RATIO_NAMES` of one reading (floats) or of many (arrays, one a feature).

    Only + - * / on values in range, so that one row gives bit for bit what it gives inside a matrix.
    """
    average = moving_average_7d + _FLOOR
    seasonal = moving_average_7d * seasonal_factor + _FLOOR
    weekday = weekday_avg + _FLOOR
    last = lag_1 + _FLOOR
    # A hundredth of the level: noise below it is no news even on a metric that never moved before.
    spread = volatility_7d + 0.01 * average
    return (
        (metric_value - moving_average_7d) / spread,
        (metric_value - weekday_avg) / (weekday_std + 0.01 * weekday),
        (metric_value - seasonal) / spread,
        (metric_value - lag_1) / spread,
        metric_value / average,
        metric_value / seasonal,
        metric_value / weekday,
        metric_value / last,
        lag_1 / seasonal,
        volatility_7d / average,
        weekday_std / weekday,
        seasonal_factor,
        day_of_week,
        hour_of_day,
    )


class ScaleFreeRatios(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """`ratios` as a stateless scikit-learn transformer: shape (n, 12) to (n, 14)."""

    def fit(self, X: Matrix, y: object = None) -> Self:
        """Nothing to learn."""
        return self

    def transform(self, X: Matrix) -> Matrix:
        """The ratios of each row."""
        X = np.asarray(X, dtype=np.float64)
        if len(X) == 1:  # Python floats are several times quicker than arrays of one
            return np.array([ratios(*X[0].tolist())])
        return np.column_stack(ratios(*X.T))

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """The ratios' names."""
        return np.array(RATIO_NAMES, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True
