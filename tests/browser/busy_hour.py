"""One more worker on a service's board, with an hour of traffic behind it: what charts and drift look like in use."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import msgspec
import numpy as np

from app.contract.problems import Problem
from app.contract.schema import FeatureSchema, Matrix
from app.model.registry import Registry
from app.serving.board import WorkerBoard, WorkerReport
from app.telemetry.drift import FeatureBins
from app.telemetry.recent import MINUTES
from app.telemetry.tally import Tally, TrafficReport
from tests.fakes import Clock

SCHEMA = FeatureSchema()
INCIDENT = range(31, 38)
"""Minutes in which the primary was slow, then silent, and the fallback answered."""

_PROBLEMS = (
    (Problem("out_of_range", "", "seasonal_factor"), 5),
    (Problem("missing", "", "lag_1"), 3),
    (Problem("not_numeric", "", "metric_value"), 2),
    (Problem("not_an_object", ""), 1),
)


def take_a_place(board_folder: Path, models: Path) -> WorkerBoard:
    """Posts a report like that of the service's own worker, with an hour's traffic; `leave` takes it away."""
    model, pulse = next(place for place in WorkerBoard(board_folder).reports() if place[0].pid != os.getpid())
    board = WorkerBoard(board_folder)
    board.join()
    board.beat(pulse.last_prediction_time or time.time(), success=pulse.last_success is not False)
    board.post(_like(model, board.pid, an_hour(models)))
    return board


def _like(model: WorkerReport, pid: int, traffic: TrafficReport) -> WorkerReport:
    return msgspec.structs.replace(model, pid=pid, started=time.time() - 26 * 3600, failures=[], traffic=traffic)


def an_hour(models: Path) -> TrafficReport:
    """Traffic that swells and falls, with an incident, some rejections, feedback, and two features that moved."""
    registry = Registry(models, SCHEMA)
    version = registry.active() or ""
    reference = registry.manifest(version).reference
    bins = FeatureBins.of(
        version,
        {name: entry.edges for name, entry in reference.items()},
        {name: entry.ratios for name, entry in reference.items()},
    )
    clock, rng = Clock(), np.random.default_rng(7)
    tally = Tally(SCHEMA.names, lambda: bins, clock=clock)
    tally.start()
    start = (time.time() // 60 - MINUTES + 1) * 60
    for minute in range(MINUTES):
        clock.now = start + 60 * minute
        _one_minute(tally, version, minute, rng)
    return tally.report()


def _one_minute(tally: Tally, version: str, minute: int, rng: np.random.Generator) -> None:
    incident = minute in INCIDENT
    stage, middle_s = ("fallback", 0.004) if incident else ("primary", 0.00045)
    for row in _rows(round(170 + 60 * math.sin(minute / 9) + rng.normal(0, 9)), minute):
        tally.answered(stage, version, tuple(row.tolist()), rng.beta(1, 12), middle_s * rng.lognormal(0, 0.45))
    if minute == INCIDENT.start:
        tally.failed(9, 0.35)
    for problem, times in _PROBLEMS:
        for _ in range(rng.poisson(times / 4)):
            tally.rejected([problem])
    if minute % 3 == 0:
        tally.feedback(version, stage, predicted := int(rng.random() < 0.3), predicted ^ int(rng.random() < 0.1))
    tally.flush()


def _rows(count: int, seed: int) -> Matrix:
    """Rows of the contract; `hour_of_day` has moved a little, `lag_1` a lot."""
    rows = SCHEMA.sample(count, seed=100 + seed)
    hour, lag = SCHEMA.names.index("hour_of_day"), SCHEMA.names.index("lag_1")
    rows[:, hour] = 24 * (rows[:, hour] / 24) ** 1.6
    rows[:, lag] = 1e6 * (rows[:, lag] / 1e6) ** 2.4
    return rows
