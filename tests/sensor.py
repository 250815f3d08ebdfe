"""Another contract, as a team would write it: four features of a machine's sensors, and a rule for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.contract.schema import Feature, FeatureSchema


class SensorSchema(FeatureSchema):
    """A machine's sensors."""

    features = (
        Feature("temperature", -40, 150, "Degrees Celsius.", 71.5),
        Feature("pressure", 0, 16, "Bar.", 4.2),
        Feature("vibration", 0, 50, "Millimetres a second, effective.", 1.8),
        Feature("load", 0, 1, "Share of full load.", 0.6),
    )


def too_hot(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """1.0 above 120 degrees, else 0.0."""
    return (rows[:, 0] > 120).astype(np.float64)
