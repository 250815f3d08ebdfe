"""Reports and spans for tests of the page, each with what a test cares about."""

from __future__ import annotations

from typing import Any

import msgspec

from app.serving.board import WorkerReport
from app.serving.stage import StageState
from app.serving.traffic import Span
from app.telemetry.tally import OUTCOMES, TrafficReport

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""

REPORT = WorkerReport(
    pid=41,
    started=NOW - 3_600,
    reported=NOW,
    reported_steady=0.0,
    status="healthy",
    causes=[],
    ready=True,
    draining=False,
    model_version="v2",
    model_loaded=True,
    stages={
        "primary": StageState(answering=True, since=NOW - 3_000),
        "fallback": StageState(answering=True, since=NOW - 3_000),
        "baseline": StageState(answering=True, since=NOW - 3_000),
    },
    absent={},
    scorers={"primary": "compiled", "fallback": "compiled"},
    warnings=[],
    self_test_last_success=NOW - 2,
    audit_errors=0,
    log_lines_dropped=0,
    failures=[],
    traffic=TrafficReport(),
)


def report(**changes: Any) -> WorkerReport:
    """A healthy worker's report, but for `changes`."""
    return msgspec.structs.replace(REPORT, **changes)


def silent(since: float, **more: Any) -> StageState:
    """A stage that gives no answer."""
    return StageState(answering=False, since=since, reason="deadline: 250 ms", **more)


def span(p50_ms: float | None = None, feedback: int = 0, **outcomes: int) -> Span:
    """A minute or an hour with these outcomes."""
    share = 0.75 if feedback else None
    counts = {outcome: outcomes.get(outcome, 0) for outcome in OUTCOMES}
    return Span(counts, p50_ms, p50_ms and p50_ms * 4, share, share, share, feedback)
