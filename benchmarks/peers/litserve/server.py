"""LitServe: `PORT=8000 python server.py`; two model processes behind two HTTP processes."""

import os

import joblib
import litserve
import numpy as np
from reading import Reading


class Anomaly(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = joblib.load("model.joblib")

    def decode_request(self, request: Reading) -> np.ndarray:
        return request.matrix()

    def predict(self, rows: np.ndarray) -> float:
        return float(self.model.predict_proba(rows)[0, 1])

    def encode_response(self, score: float) -> dict[str, float]:
        return {"score": score}


if __name__ == "__main__":
    # ZeroMQ between the processes, as its documentation advises from 100 requests a second.
    server = litserve.LitServer(Anomaly(), accelerator="cpu", devices=1, workers_per_device=2, fast_queue=True)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")
