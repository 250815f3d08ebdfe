"""KServe's SDK, protocol V1: `python server.py --workers 2 --log_config_file logging.yaml`."""

from typing import Any

import joblib
import kserve
import numpy as np
from kserve.errors import InvalidInput
from pydantic import ValidationError
from reading import Reading


class Anomaly(kserve.Model):
    def load(self) -> bool:
        self.model = joblib.load("model.joblib")
        self.ready = True
        return self.ready

    async def preprocess(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> np.ndarray:
        try:
            return np.vstack([Reading.model_validate(row).matrix() for row in payload["instances"]])
        except ValidationError as error:
            raise InvalidInput(str(error)) from error

    async def predict(
        self,
        payload: np.ndarray,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        return {"predictions": self.model.predict_proba(payload)[:, 1].tolist()}


if __name__ == "__main__":
    model = Anomaly("anomaly")
    model.load()
    kserve.ModelServer(enable_grpc=False, enable_latency_logging=False).start([model])
