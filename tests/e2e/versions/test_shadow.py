"""A shadow version beside the one that answers, in a running service."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.serving.shadow import SLICE_ROWS, SLICES_OF_A_BATCH
from tests.conftest import draft_of
from tests.e2e.conftest import Service, StartService, eventually
from tests.e2e.test_metrics import value
from tests.fakes import HinderedModel

SCHEMA = FeatureSchema()
ROWS = [dict(zip(SCHEMA.names, row, strict=True)) for row in SCHEMA.sample(40, seed=11).tolist()]


@pytest.fixture
def hindrance(tmp_path: Path) -> Path:
    return tmp_path / "hindrance"


@pytest.fixture
def shadowed(start_service: StartService, models_dir: Path, tmp_path: Path, hindrance: Path) -> Service:
    """A service whose shadow takes every reading for an anomaly, unless it is hindered."""
    models = shutil.copytree(models_dir, tmp_path / "models")
    shadow = Registry(models, SCHEMA).register(draft_of(SCHEMA, primary=HinderedModel(hindrance)))
    service = start_service(MODELS_DIR=str(models), SHADOW_VERSION=shadow, SELF_TEST_INTERVAL_S="0.2")
    eventually(lambda: service.events("shadow.loaded"), "the shadow is loaded")
    return service


def state(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.request("GET", "/health/detailed").json["shadow"]
    return found


def test_where_the_shadow_decides_otherwise_is_counted(shadowed: Service) -> None:
    """Every answered reading once, single or in a batch; replies name the active version alone."""
    replies = [shadowed.post("/predict", row).json for row in ROWS]
    replies += shadowed.post("/predict/batch", {"instances": ROWS}).json["predictions"]
    same = sum(reply["is_anomaly"] for reply in replies)
    assert 0 < same < len(replies)
    assert {reply["model_version"] for reply in replies} == {shadowed.request("GET", "/health").json["model_version"]}

    def counted(agreement: str) -> float:
        return value(shadowed, "shadow_rows_total", agreement=agreement)

    eventually(lambda: counted("same") + counted("different") == len(replies), "all are counted")
    assert (counted("same"), counted("different")) == (same, len(replies) - same)
    assert (value(shadowed, "shadow_dropped_total"), value(shadowed, "shadow_failures_total")) == (0, 0)
    eventually(lambda: state(shadowed)["rows"] == len(replies), "health says the same")
    assert (state(shadowed)["loaded"], state(shadowed)["refused"]) == (True, None)
    assert state(shadowed)["disagreements"] == len(replies) - same


def test_a_shadow_that_hangs_is_in_nobodys_way(shadowed: Service, hindrance: Path) -> None:
    """Replies, health and the stop go on without it, and its readings do not pile up."""
    hindrance.touch()
    for _ in range(3):
        assert shadowed.post("/predict/batch", {"instances": ROWS * 100}).status == 200
        assert all(shadowed.post("/predict", row).status == 200 for row in ROWS)
    eventually(lambda: state(shadowed)["refused"], "it is seen to hang")
    assert "hang" in state(shadowed)["refused"]
    assert state(shadowed)["dropped"] >= len(ROWS) * 100 - SLICES_OF_A_BATCH * SLICE_ROWS
    assert shadowed.request("GET", "/health").json["status"] == "healthy"
    assert shadowed.post("/predict", ROWS[0]).json["model_used"] == "primary"
    assert shadowed.stop() == 0
    assert (shadowed.folder / "stderr").read_bytes() == b""


def test_a_shadow_that_is_not_there_is_no_cause_to_be_unwell(start_service: StartService) -> None:
    """The service starts, is healthy, and says why nothing is compared."""
    service = start_service(SHADOW_VERSION="20990101T000000Z-000000", SELF_TEST_INTERVAL_S="0.2")
    eventually(lambda: service.events("shadow.refused"), "it is refused")
    assert service.request("GET", "/health").json["status"] == "healthy"
    eventually(lambda: (state(service) or {}).get("refused"), "health says why")
    assert "no version '20990101T000000Z-000000'" in state(service)["refused"]
