"""`GET /health` and its relatives: for probes, and for a person with curl."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Blueprint, request

from app.api.exchange import UNCACHED, Reply, respond
from app.api.replies import health as replies
from app.serving.board import Failure, Pulse, WorkerReport
from app.serving.health import UNHEALTHY, Health, HealthCheck
from app.serving.reload import ModelFollower
from app.serving.shadow_state import together
from app.serving.stage import StageState
from app.serving.traffic import Traffic, summarize


def health_views(check: HealthCheck, follower: ModelFollower, environment: dict[str, str]) -> Blueprint:
    """The endpoints that say how the service is."""
    views = Blueprint("health", __name__, url_prefix="/health")

    @views.get("")
    def health() -> Reply:
        found = check.health()
        return _uncached(_summary(found), 503 if found.status == UNHEALTHY else 200)

    @views.get("/detailed")
    def detailed() -> Reply:
        found = check.health()
        workers = [_worker(report, pulse) for report, pulse in found.workers]
        traffic = _traffic(summarize([report.traffic for report, _ in found.workers], follower.chain.bins))
        shadow = together(report.shadow for report, _ in found.workers)
        return _uncached(
            {**_summary(found), "environment": environment, "traffic": traffic, "shadow": shadow, "workers": workers}
        )

    @views.get("/live")
    def live() -> Reply:
        return _uncached({"status": "alive"})

    @views.get("/ready")
    def ready() -> Reply:
        is_ready = check.ready
        return _uncached({"ready": is_ready, "draining": check.draining}, 200 if is_ready else 503)

    return views


def _uncached(document: Mapping[str, Any], status: int = 200) -> Reply:
    return respond(request.environ, document, status, UNCACHED)


def _summary(health: Health) -> replies.Health:
    return {
        "status": health.status,
        "cause": "; ".join(health.causes) or None,
        "causes": list(health.causes),
        "model_loaded": health.model_loaded,
        "model_version": health.workers[0][0].model_version if health.workers else None,
        **_pulse(health.pulse),
    }


def _pulse(pulse: Pulse) -> replies.Pulse:
    return {
        "last_prediction_success": pulse.last_success,
        "consecutive_failures": pulse.consecutive_failures,
        "last_prediction_time": _time(pulse.last_prediction_time),
    }


_UNTOLD = {"traffic", "reported_steady"}
"""Members of a worker's report that are told otherwise, or mean nothing outside this machine."""


def _worker(report: WorkerReport, pulse: Pulse) -> dict[str, Any]:
    return {
        **{name: value for name, value in msgspec.structs.asdict(report).items() if name not in _UNTOLD},
        **_pulse(pulse),
        "started": _time(report.started),
        "reported": _time(report.reported),
        "self_test_last_success": _time(report.self_test_last_success),
        "stages": {name: _stage(state) for name, state in report.stages.items()},
        "failures": [_failure(failure) for failure in report.failures],
    }


def _traffic(traffic: Traffic) -> dict[str, Any]:
    members = dataclasses.asdict(traffic)
    by_minute = [{"minute": _time(start), **span} for start, span in members.pop("minutes").items()]
    return {**members, "minutes": by_minute}


def _stage(state: StageState) -> replies.StageHealth:
    return {
        "answering": state.answering,
        "since": _time(state.since),
        "reason": state.reason,
        "consecutive_failures": state.consecutive_failures,
        "breaker": "open" if state.breaker_open else "closed",
        "abandoned_threads": state.abandoned_threads,
    }


def _failure(failure: Failure) -> replies.FailureHealth:
    return {
        "what": failure.what,
        "since": _time(failure.since),
        "last": _time(failure.last),
        "count": failure.count,
        "request_id": failure.request_id,
    }


def _time(unix_s: float | None) -> str | None:
    if unix_s is None:
        return None
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
