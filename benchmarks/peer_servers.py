"""The servers of `make bench-peers`: how each is started, what a request to it looks like, where its score stands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

OWN = "this_service"
WORKERS = 2

Reading = Mapping[str, float]


class ServerError(RuntimeError):
    """A server is not installed, does not start, or does not answer as its model does; says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """One kind of server.

    `command`, `prepare` and `env` are templates over {bin}, {folder}, {models}, {port}, {port_2} and {port_3}.
    """

    title: str
    package: str
    """The package whose version names it."""
    command: tuple[str, ...]
    path: str
    request: Callable[[Reading], object]
    """The JSON document that asks about a reading."""
    score: Callable[[Any], float]
    """The score in the JSON document that answers."""
    prepare: tuple[str, ...] = ()
    """A command that is run once, before the first start."""
    env: Mapping[str, str] = field(default_factory=dict)
    wants_names: bool = False
    """Whether it hands a DataFrame to the estimator."""


def _own_score(reply: Any) -> float:
    if reply["model_used"] != "primary":
        raise ServerError(f"answered by {reply['model_used']}")
    return float(reply["prediction"])


def _matrix_v2(reading: Reading) -> object:
    tensor = {"name": "rows", "shape": [1, len(reading)], "datatype": "FP64", "data": list(reading.values())}
    return {"inputs": [tensor]}


SERVERS: dict[str, Server] = {
    OWN: Server(
        "**this service**", "", (sys.executable, "-m", "gunicorn"), "/predict", dict, _own_score,
        env={"HOST": "127.0.0.1", "PORT": "{port}", "WEB_CONCURRENCY": str(WORKERS), "AUDIT_DIR": "{folder}/audit",
             "MODELS_DIR": "{models}"},
    ),
    "fastapi": Server(
        "FastAPI", "fastapi",
        ("{bin}/uvicorn", "server:app", "--workers", str(WORKERS), "--port", "{port}", "--no-access-log"),
        "/predict", dict, lambda reply: float(reply["score"]),
    ),
    "kserve": Server(
        "KServe", "kserve",
        ("{bin}/python", "server.py", "--workers", str(WORKERS), "--http_port", "{port}",
         "--log_config_file", "logging.yaml"),
        "/v1/models/anomaly:predict",
        lambda reading: {"instances": [reading]}, lambda reply: float(reply["predictions"][0]),
    ),
    "bentoml": Server(
        "BentoML", "bentoml", ("{bin}/bentoml", "serve", "server:Anomaly", "--host", "127.0.0.1", "--port", "{port}"),
        "/predict", lambda reading: {"reading": reading}, float,
        env={"BENTOML_HOME": "{folder}/home", "BENTOML_DO_NOT_TRACK": "True"},
    ),
    "litserve": Server(
        "LitServe", "litserve", ("{bin}/python", "server.py"),
        "/predict", dict, lambda reply: float(reply["score"]), env={"PORT": "{port}"},
    ),
    "mlserver": Server(
        "MLServer", "mlserver", ("{bin}/mlserver", "start", "."),
        "/v2/models/anomaly/infer", _matrix_v2, lambda reply: float(reply["outputs"][0]["data"][1]),
        env={
            "MLSERVER_HTTP_PORT": "{port}", "MLSERVER_GRPC_PORT": "{port_2}", "MLSERVER_METRICS_PORT": "{port_3}",
        },
    ),
    "mlflow": Server(
        "MLflow", "mlflow",
        ("{bin}/mlflow", "models", "serve", "--model-uri", "saved", "--env-manager", "local",
         "--workers", str(WORKERS), "--host", "127.0.0.1", "--port", "{port}"),
        "/invocations",
        lambda reading: {"dataframe_records": [reading]}, lambda reply: float(reply["predictions"][0][1]),
        prepare=("{bin}/python", "save.py", "model.joblib", "sample.csv", "saved"),
        env={"MLFLOW_DISABLE_TELEMETRY": "true", "UVICORN_ACCESS_LOG": "false"}, wants_names=True,
    ),
    "naive_flask": Server(
        "naive Flask", "flask",
        ("{bin}/gunicorn", "--workers", str(WORKERS), "--bind", "127.0.0.1:{port}", "server:app"),
        "/predict", dict, lambda reply: float(reply["score"]), wants_names=True,
    ),
}  # fmt: skip
