"""BentoML: `bentoml serve server:Anomaly`."""

import bentoml
import joblib
from reading import Reading


@bentoml.service(workers=2, logging={"access": {"enabled": False}})
class Anomaly:
    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api
    def predict(self, reading: Reading) -> float:
        return float(self.model.predict_proba(reading.matrix())[0, 1])
