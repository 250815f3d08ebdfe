"""What a worker does beside answering: follow the registry, test itself, sweep the audit, leave when it must."""

from __future__ import annotations

import os
import signal
import threading
import time

from structlog.typing import FilteringBoundLogger

from app.serving.board import WorkerBoard
from app.serving.health import HealthCheck
from app.serving.reload import ModelFollower
from app.telemetry.logs import LogSink
from app.telemetry.retention import AuditRetention


class Background:
    """One thread per worker. `start` belongs after the last fork; until then nothing of this process runs beside it."""

    def __init__(
        self,
        follower: ModelFollower,
        health: HealthCheck,
        board: WorkerBoard,
        retention: AuditRetention,
        sink: LogSink,
        log: FilteringBoundLogger,
        *,
        reload_interval_s: float,
        self_test_interval_s: float,
    ) -> None:
        self._follower = follower
        self._health = health
        self._board = board
        self._retention = retention
        self._sink = sink
        self._log = log
        self._reload_interval_s = reload_interval_s
        self._self_test_interval_s = self_test_interval_s
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Proves the model, tests every stage once, and goes on doing so. Returns when the first test is done."""
        with self._starting:  # the first requests of a threaded server may all find it not started
            if self._thread is not None:
                return
            self._sink.start()
            self._board.join()
            self._follower.arm()
            self._health.self_test()
            self._log.info("service.started", version=self._follower.chain.version)
            self._thread = threading.Thread(target=self._run, name="background", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Says goodbye: leaves the board and writes the last log lines."""
        if self._thread is None:
            return
        self._stopping.set()
        self._log.info("service.stopping")
        self._board.leave()
        self._sink.close()

    def _run(self) -> None:
        next_test = time.monotonic() + self._self_test_interval_s
        interval_s = min(self._reload_interval_s, self._self_test_interval_s)
        while not self._stopping.wait(interval_s):
            try:
                before = self._follower.chain
                self._follower.follow()
                if self._follower.chain is not before or time.monotonic() >= next_test:
                    next_test = time.monotonic() + self._self_test_interval_s
                    self._health.self_test()
                if any(stage.caller.exhausted for stage in self._follower.chain.stages) and self._board.take_leave():
                    self._leave()
                    return
                self._retention.sweep_if_due()
            except Exception:  # noqa: BLE001 - it must outlive what it watches over; a silent one would read as health
                self._log.exception("background.failed")

    def _leave(self) -> None:
        """Asks this worker's own server to stop gracefully; gunicorn puts a fresh one in its place."""
        self._log.error("worker.leaving", reason="too many model calls hang")
        self._health.drain()
        os.kill(os.getpid(), signal.SIGTERM)
