"""Workers that are told to leave, and workers that are torn away."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from app.contract.schema import FeatureSchema
from tests.e2e.conftest import StartService, eventually
from tests.e2e.wire import Wire

READING = FeatureSchema().example()
LIVE = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"


def test_the_service_ends_what_it_has_begun_and_leaves(start_service: StartService) -> None:
    """SIGTERM: idle connections end, a request under way is answered, exit status 0, a goodbye, nothing left behind."""
    service = start_service()
    assert service.post("/predict", READING).status == 200
    with Wire(service.port) as under_way, Wire(service.port) as idle:
        idle.send(LIVE).reply()
        under_way.send(LIVE[:20])
        service.process.terminate()
        assert idle.rest() == b""  # so the worker is leaving
        answer = under_way.send(LIVE[20:]).reply()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert service.stop() == 0
    assert len(service.events("service.stopping")) == 1
    assert not [line for line in service.log_lines() if "exception" in line]
    assert (service.folder / "stderr").read_bytes() == b""
    assert not Path(service.env["RUNTIME_DIR"]).exists()


def test_a_drained_service_answers_but_is_not_ready(start_service: StartService) -> None:
    """DRAIN_S: after SIGTERM readiness is 503 while predictions go on, each the last on its connection."""
    service = start_service(DRAIN_S="2")
    service.process.terminate()
    eventually(lambda: service.request("GET", "/health/ready").status == 503, "readiness is withdrawn", 1.5)
    answer = service.post("/predict", READING)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert service.stop() == 0


def test_a_killed_worker_is_replaced(start_service: StartService) -> None:
    """SIGKILL: the dead worker is no longer listed, a new one is, predictions go on, and SIGINT still ends it all."""
    service = start_service(WEB_CONCURRENCY="2")
    eventually(lambda: len(service.worker_pids()) == 2, "both workers have reported")
    killed, other = sorted(service.worker_pids())
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: killed not in (now := service.worker_pids()) and len(now) == 2, "the dead worker is replaced")
    assert other in service.worker_pids()
    assert service.request("GET", "/health").json["status"] == "healthy"
    assert service.post("/predict", READING).status == 200
    assert service.stop(signal.SIGINT) == 0
