"""The last stage: a rule that needs no model file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.contract.schema import FeatureSchema, Matrix

Z_LIMIT = 3.0

_COLUMNS = [feature.name for feature in FeatureSchema.features]
_METRIC_VALUE = _COLUMNS.index("metric_value")
_MOVING_AVERAGE_7D = _COLUMNS.index("moving_average_7d")
_VOLATILITY_7D = _COLUMNS.index("volatility_7d")


def z_score_rule(rows: Matrix) -> NDArray[np.float64]:
    """1.0 where `abs(metric_value - moving_average_7d) / (volatility_7d + 1) > 3`, else 0.0.

    `rows`: shape (n, 12), columns in the order of `FeatureSchema`. Returns shape (n,).
    """
    deviation = np.abs(rows[:, _METRIC_VALUE] - rows[:, _MOVING_AVERAGE_7D])
    return (deviation / (rows[:, _VOLATILITY_7D] + 1.0) > Z_LIMIT).astype(np.float64)
