"""A service of two workers whose stages break and mend by files, under a steady load."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.contract.schema import FeatureSchema
from tests.browser.breakable import FOLDER, register_breakable
from tests.e2e.conftest import Service, eventually

READING = FeatureSchema().example()
READINGS = (READING, {**READING, "metric_value": 1e6, "moving_average_7d": 0}, READING, {**READING, "lag_1": -1})


@dataclass
class Watched:
    """The service, and the folder whose files are its broken stages."""

    service: Service
    broken: Path

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.service.port}"

    @contextmanager
    def load(self, pause_s: float = 0.01) -> Iterator[None]:
        """Predictions one after the other, ordinary ones, anomalies and bad ones, and feedback on some."""
        stop = threading.Event()

        def send() -> None:
            count = 0
            while not stop.wait(pause_s):
                count += 1
                reply = self.service.post("/predict", READINGS[count % len(READINGS)])
                if reply.status == 200 and count % 7 == 0:
                    body = {"prediction_id": reply.json["prediction_id"], "actual": count // 7 % 2}
                    self.service.post("/feedback", body)

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    broken, models = tmp_path / "broken", tmp_path / "models"
    broken.mkdir()
    register_breakable(models)
    service = Service(
        tmp_path / "service", models,
        **{FOLDER: str(broken)}, BASELINE_RULE="tests.browser.breakable:breakable_rule",
        WEB_CONCURRENCY="2", PRIMARY_DEADLINE_MS="5000", FALLBACK_DEADLINE_MS="5000",
    )  # fmt: skip
    with service:
        eventually(lambda: len(service.worker_pids()) == 2, "both workers serve")
        yield Watched(service, broken)
