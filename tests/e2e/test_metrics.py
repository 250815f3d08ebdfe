"""`/metrics` of the running service: all workers as one, across deaths and reloads."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from app.contract.schema import FeatureSchema
from tests.e2e.conftest import Service, StartService, eventually

READING = FeatureSchema().example()


def scraped(service: Service) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels."""
    reply = service.request("GET", "/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(reply.body.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(service: Service, name: str, **labels: str) -> float:
    return scraped(service).get((name, tuple(sorted(labels.items()))), 0.0)


def test_what_any_worker_counted_is_in_every_scrape(start_service: StartService) -> None:
    """Exactly once, whichever worker is asked; in any worker's eyes within a second."""
    service = start_service(WEB_CONCURRENCY="2")
    eventually(lambda: value(service, "workers", state="ready") == 2, "both workers are ready")
    for _ in range(60):
        assert service.post("/predict", READING).status == 200
    service.post("/predict", {**READING, "lag_1": -1})
    service.post("/predict/batch", {"instances": [READING] * 5})
    eventually(lambda: value(service, "prediction_requests_total", outcome="primary") == 65, "all are counted")
    for _ in range(10):
        found = scraped(service)
        assert found["prediction_requests_total", (("outcome", "primary"),)] == 65
        assert found["prediction_requests_total", (("outcome", "rejected"),)] == 1
        assert found["contract_violations_total", (("code", "out_of_range"), ("feature", "lag_1"))] == 1
        assert found["prediction_duration_seconds_count", ()] == 61
        assert sum(found["feature_rows_total", (("bin", str(b)), ("feature", "lag_1"))] for b in range(10)
                   if ("feature_rows_total", (("bin", str(b)), ("feature", "lag_1"))) in found) == 65  # fmt: skip
        assert found["workers", (("state", "ready"),)] == 2
        assert found["stage_available", (("stage", "primary"),)] == 2


def test_no_counter_goes_back_when_workers_die(start_service: StartService) -> None:
    """What a killed worker had counted stays, and its files are its successor's."""
    service = start_service(WEB_CONCURRENCY="2")
    eventually(lambda: len(service.worker_pids()) == 2, "both workers serve")
    for _ in range(40):
        service.post("/predict", READING)
    eventually(lambda: value(service, "prediction_requests_total", outcome="primary") == 40, "all are counted")
    files = sorted(Path(service.env["RUNTIME_DIR"], "metrics").iterdir())
    for _ in range(3):
        before = service.worker_pids()
        os.kill(min(before), signal.SIGKILL)
        eventually(lambda: len(service.worker_pids() - before) == 1, "a successor serves")  # noqa: B023
        assert value(service, "prediction_requests_total", outcome="primary") == 40
    assert value(service, "worker_starts_total") == 5
    assert sorted(Path(service.env["RUNTIME_DIR"], "metrics").iterdir()) == files


def test_a_reload_of_the_master_keeps_the_counters(start_service: StartService) -> None:
    """SIGHUP replaces every worker."""
    service = start_service(WEB_CONCURRENCY="1")
    service.post("/predict", READING)
    before = service.worker_pids()
    os.kill(service.pid, signal.SIGHUP)
    eventually(lambda: not service.worker_pids() & before, "the workers are new")
    eventually(lambda: value(service, "prediction_requests_total", outcome="primary") == 1, "the count is there")


def test_the_scratch_folder_is_taken_away_at_the_end(start_service: StartService) -> None:
    """Nothing stays in shared memory."""
    service = start_service()
    service.post("/predict", READING)
    assert service.stop() == 0
    assert not Path(service.env["RUNTIME_DIR"]).exists()
