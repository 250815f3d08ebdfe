"""What a worker does beside answering: follow the registry, test itself, sweep the audit, leave when it must."""

from __future__ import annotations

import os
import signal
import threading
import time

from structlog.typing import FilteringBoundLogger

from app.serving.board import WorkerBoard
from app.serving.departure import DepartureCheck
from app.serving.health import HealthCheck
from app.serving.reload import ModelFollower
from app.serving.shadow import Shadow
from app.telemetry.logs import LogSink
from app.telemetry.retention import AuditRetention
from app.telemetry.tally import Tally

COUNT_INTERVAL_S = 0.25
"""What a worker counted reaches the other workers' `/metrics` this late at most."""


class Background:
    """One thread per worker. `start` belongs after the last fork; until then nothing of this process runs beside it."""

    def __init__(
        self,
        follower: ModelFollower,
        health: HealthCheck,
        board: WorkerBoard,
        departure: DepartureCheck,
        retention: AuditRetention,
        sink: LogSink,
        log: FilteringBoundLogger,
        tally: Tally,
        *,
        reload_interval_s: float,
        self_test_interval_s: float,
        shadow: Shadow | None = None,
    ) -> None:
        self._follower = follower
        self._health = health
        self._board = board
        self._departure = departure
        self._retention = retention
        self._sink = sink
        self._log = log
        self._tally = tally
        self._reload_interval_s = reload_interval_s
        self._self_test_interval_s = self_test_interval_s
        self._shadow = shadow
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, slot: str | None = None) -> None:
        """Proves the model, tests every stage once, and goes on doing so. Returns when the first test is done.

        `slot` names this worker among those that run beside it; its successor will have the same.
        """
        with self._starting:  # the first requests of a threaded server may all find it not started
            if self._thread is not None:
                return
            self._sink.start()
            self._start_counting(slot)
            self._departure.start()
            self._join_board()
            self._follower.arm()
            self._health.self_test()
            self._log.info("service.started", version=self._follower.chain.version)
            self._thread = threading.Thread(target=self._run, name="background", daemon=True)
            self._thread.start()
            if self._shadow is not None:
                self._shadow.start()

    def stop(self) -> None:
        """Says goodbye: leaves the board and writes the last log lines."""
        if self._thread is None:
            return
        self._stopping.set()
        if self._shadow is not None:
            self._shadow.stop()
        self._log.info("service.stopping")
        self._board.leave()
        self._sink.close()
        self._count()

    def _run(self) -> None:
        next_look = time.monotonic() + self._reload_interval_s
        next_test = time.monotonic() + self._self_test_interval_s
        interval_s = min(self._reload_interval_s, self._self_test_interval_s, COUNT_INTERVAL_S)
        while not self._stopping.wait(interval_s):
            try:
                self._count()
                before = self._follower.chain
                if time.monotonic() >= next_look:
                    next_look = time.monotonic() + self._reload_interval_s
                    self._follower.follow()
                if self._follower.chain is not before or time.monotonic() >= next_test:
                    next_test = time.monotonic() + self._self_test_interval_s
                    self._health.self_test()
                    self._departure.self_tested()
                departure = self._departure.due()
                if departure is not None and (self._board.take_leave() or departure.urgent):
                    self._leave(departure.reason)
                    return
                self._retention.sweep_if_due()
            except Exception:  # noqa: BLE001 - it must outlive what it watches over; a silent one would read as health
                self._log.exception("background.failed")

    def _start_counting(self, slot: str | None) -> None:
        try:
            self._tally.start(slot)
        except OSError as error:
            problem = (
                f"RUNTIME_DIR: no room for metrics, this worker counts for itself alone: {error.strerror or error}"
            )
            self._log.error("metrics.failed", error=problem)
            self._health.failures.note(problem)
            self._tally.start(None)

    def _join_board(self) -> None:
        try:
            self._board.join()
        except OSError as error:
            self._health.failures.note(f"RUNTIME_DIR: no room on the worker board: {error.strerror or error}")

    def _count(self) -> None:
        self._tally.flush()
        self._tally.lines_dropped(self._sink.dropped)

    def _leave(self, reason: str) -> None:
        """Asks this worker's own server to stop gracefully; gunicorn puts a fresh one in its place."""
        self._log.error("worker.leaving", reason=reason)
        self._health.drain()
        os.kill(os.getpid(), signal.SIGTERM)
