"""Another contract is served without touching the package."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest
from flask import Flask
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from app.errors import SettingsError
from tests.sensor import SensorSchema

SENSOR = {"feature_schema": "tests.sensor:SensorSchema", "baseline_rule": "tests.sensor:too_hot"}


def flask(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the project's command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "flask", *arguments],
        env={**os.environ, "FLASK_APP": "app", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def sensor_files(tmp_path: Path) -> Path:
    """What a data scientist brings: two joblib files and a sample of rows."""
    schema = SensorSchema()
    X = schema.sample(300)
    y = (X[:, 0] > 90).astype(int)
    joblib.dump(HistGradientBoostingClassifier(max_iter=20).fit(X, y), tmp_path / "my.joblib")
    joblib.dump(LogisticRegression(max_iter=1_000).fit(X, y), tmp_path / "simple.joblib")
    with (tmp_path / "sample.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(schema.names)
        writer.writerows(X[:100].tolist())
    return tmp_path


def test_register_then_serve(sensor_files: Path, make_app: Callable[..., Flask]) -> None:
    """The README's way to serve an own model, from the command line to a prediction."""
    files = [str(sensor_files / name) for name in ("my.joblib", "simple.joblib", "sample.csv")]
    env = {name.upper(): value for name, value in SENSOR.items()} | {"MODELS_DIR": str(sensor_files / "models")}
    done = flask(
        "models", "register", "--primary", files[0], "--fallback", files[1], "--golden", files[2], "--json", **env
    )
    assert done.returncode == 0, done.stderr
    registered = json.loads(done.stdout)
    assert registered["active"] is True

    client = make_app(**SENSOR, models_dir=sensor_files / "models").test_client()
    reading: dict[str, Any] = SensorSchema().example()
    body = client.post("/predict", json=reading).get_json()
    assert (body["model_used"], body["model_version"]) == ("primary", registered["version"])
    wrong = client.post("/predict", json={**reading, "load": 1.5}).get_json()
    assert wrong["error"] == "load=1.5 out of range [0, 1]"
    assert client.get("/health").get_json()["status"] == "healthy"


def test_the_own_rule_is_the_last_stage(make_app: Callable[..., Flask]) -> None:
    """Without any model the contract's own rule answers."""
    client = make_app(**SENSOR).test_client()
    hot = client.post("/predict", json={**SensorSchema().example(), "temperature": 130}).get_json()
    assert (hot["model_used"], hot["prediction"], hot["is_anomaly"]) == ("baseline", 1.0, True)


def test_a_bundle_for_another_contract_is_refused(make_app: Callable[..., Flask], version: str) -> None:
    """A model must never see features that it was not trained for."""
    client = make_app(**SENSOR).test_client()
    health = client.get("/health").get_json()
    assert health["status"] == "degraded"
    assert "this service serves ['temperature'" in health["cause"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"feature_schema": "no_such:Thing"}, "FEATURE_SCHEMA: cannot import", id="no module"),
        pytest.param({"feature_schema": "tests.sensor:Nothing"}, "FEATURE_SCHEMA: cannot import", id="no name"),
        pytest.param({"feature_schema": "tests.sensor:too_hot"}, "is not a subclass of FeatureSchema", id="no schema"),
        pytest.param({"feature_schema": "tests.sensor:SensorSchema"}, "BASELINE_RULE", id="rule of other features"),
        pytest.param({"baseline_rule": "tests.sensor:SENSOR"}, "BASELINE_RULE: cannot import", id="no rule"),
    ],
)
def test_a_contract_that_cannot_be_served_stops_the_start_with_a_clear_word(
    make_app: Callable[..., Flask], changes: dict[str, str], message: str
) -> None:
    """A wrong setting fails loudly, at once, by name."""
    with pytest.raises(SettingsError, match=message):
        make_app(**changes)
