"""The service's contract as a pydantic model, for the peers that can check one."""

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Amount = Annotated[float, Field(ge=0, le=1e6)]
Deviation = Annotated[float, Field(ge=0, le=1e5)]


class Reading(BaseModel):
    """The 12 features, in contract order."""

    model_config = ConfigDict(extra="forbid")

    metric_value: Amount
    seasonal_factor: Annotated[float, Field(ge=0.5, le=2.5)]
    region_id: Annotated[float, Field(ge=0, le=10)]
    product_id: Annotated[float, Field(ge=0, le=100)]
    day_of_week: Annotated[float, Field(ge=0, le=7)]
    hour_of_day: Annotated[float, Field(ge=0, le=24)]
    moving_average_7d: Amount
    volatility_7d: Deviation
    weekday_avg: Amount
    weekday_std: Deviation
    is_weekend: Annotated[float, Field(ge=0, le=1)]
    lag_1: Amount

    def matrix(self) -> np.ndarray:
        """One row: float64, shape (1, 12)."""
        return np.array([list(self.model_dump().values())])
