"""Models that take their worker along: the service goes on without them, and says so."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from app.contract.schema import FeatureSchema, Matrix
from app.model.registry import Registry
from tests.conftest import draft_of, fitted_logistic
from tests.e2e.conftest import Service, StartService, eventually
from tests.fakes import ConstantModel

READING = FeatureSchema().example()


class DeadlyModel(ConstantModel):
    """An estimator that kills its process while a flag file is there, as a crash in native code does."""

    def __init__(self, flag: Path) -> None:
        super().__init__()
        self.flag = flag

    def predict_proba(self, X: Matrix) -> Matrix:
        if self.flag.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict_proba(X)


@pytest.fixture
def models(tmp_path: Path, models_dir: Path) -> Path:
    shutil.copytree(models_dir, tmp_path / "models")
    return tmp_path / "models"


def register(models: Path, flag: Path) -> str:
    """A version that is well when it is registered."""
    schema = FeatureSchema()
    return Registry(models, schema).register(
        draft_of(schema, primary=DeadlyModel(flag), fallback=fitted_logistic(schema, seed=3))
    )


def health(service: Service) -> dict[str, Any]:
    """What it says of itself; nothing where the worker died that was asked."""
    try:
        return dict(service.request("GET", "/health/detailed").json)
    except (OSError, http.client.HTTPException):
        return {"cause": "", "workers": []}


def test_a_version_that_kills_workers_is_left_alone_and_the_old_one_serves(
    start_service: StartService, models: Path, tmp_path: Path
) -> None:
    """A few workers die of it; none of their successors tries it again."""
    flag = tmp_path / "deadly"
    registry = Registry(models, FeatureSchema())
    old = registry.active()
    service = start_service(MODELS_DIR=str(models), WEB_CONCURRENCY="2", RELOAD_INTERVAL_S="0.1")
    deadly = register(models, flag)
    registry.activate(deadly)
    flag.touch()
    eventually(lambda: f"{deadly} killed" in str(health(service)["cause"]), "the version is in quarantine")
    eventually(lambda: len(health(service)["workers"]) == 2, "both workers are back")
    pids = service.worker_pids()
    for _ in range(20):
        reply = service.post("/predict", READING)
        assert (reply.status, reply.json["model_used"], reply.json["model_version"]) == (200, "primary", old)
    assert service.worker_pids() == pids
    assert service.request("GET", "/health").json["status"] == "degraded"
    flag.unlink()
    registry.activate(deadly)
    eventually(lambda: service.post("/predict", READING).json["model_version"] == deadly, "it is tried once more")


def test_a_service_whose_only_version_is_deadly_answers_by_the_rule(
    start_service: StartService, models: Path, tmp_path: Path
) -> None:
    """Instead of dying again and again; a rollback mends it while it goes on."""
    flag = tmp_path / "deadly"
    deadly = register(models, flag)
    registry = Registry(models, FeatureSchema())
    registry.activate(deadly)
    flag.touch()
    service = start_service(wait=False, MODELS_DIR=str(models), RELOAD_INTERVAL_S="0.1")
    eventually(lambda: service.answers(), "it answers")
    assert service.post("/predict", READING).json["model_used"] == "baseline"
    assert service.request("GET", "/health/ready").status == 503
    assert f"{deadly} killed" in str(health(service)["cause"])
    registry.rollback()
    eventually(lambda: service.request("GET", "/health/ready").status == 200, "the old version serves")


def test_a_shadow_that_kills_workers_is_left_alone(start_service: StartService, models: Path, tmp_path: Path) -> None:
    """Over live readings, long after it was proven; the service is as well as before."""
    flag = tmp_path / "deadly"
    service = start_service(MODELS_DIR=str(models), SHADOW_VERSION=register(models, flag), SELF_TEST_INTERVAL_S="0.2")
    eventually(lambda: service.events("shadow.loaded"), "the shadow is loaded")
    flag.touch()
    service.post("/predict", READING)
    eventually(lambda: "workers died" in str(health(service).get("shadow")), "the shadow is left alone")
    pids = service.worker_pids()
    for _ in range(20):
        reply = service.post("/predict", READING)
        assert (reply.status, reply.json["model_used"]) == (200, "primary")
    assert service.worker_pids() == pids
    assert service.request("GET", "/health").json["status"] == "healthy"
