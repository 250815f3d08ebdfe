"""Every query of the dashboard and of the rules, asked of a real Prometheus that scrapes a real service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import eventually
from tests.observability.conftest import Watched
from tests.observability.monitoring import DEPLOY, prometheus, query

QUIET = ("shadow_", "stage_failures_total", "feature_drift", "log_lines_dropped", "audit_errors")
"""What a healthy service without a shadow has no series of, or none within a minute."""


def expressions() -> list[tuple[str, str]]:
    """(panel, expression) of each target and annotation of the dashboard."""
    dashboard: Any = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
    found = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return found + [(entry["name"], entry["expr"]) for entry in dashboard["annotations"]["list"]]


def test_every_query_of_the_dashboard_is_valid_and_finds_what_there_is(watched: Watched, tmp_path: Path) -> None:
    """Under a little traffic with rejections and feedback; a misspelt metric would find nothing."""
    with prometheus(tmp_path, watched.target) as url, watched.load():
        eventually(lambda: query(url, "job:prediction_duration_seconds:p99_5m > 0"), "the rules have data", 60)
        eventually(lambda: query(url, "job_model_version_stage:feedback_recall:ratio1h"), "feedback is counted", 60)
        for panel, expression in expressions():
            found = query(url, expression)
            assert found or panel == "Versions" or any(name in expression for name in QUIET), (panel, expression)


def test_every_quiet_query_names_a_metric_that_exists(watched: Watched) -> None:
    """They find nothing today, but not because of a typing error."""
    served = watched.service.request("GET", "/metrics").body.decode()
    for _, expression in expressions():
        for name in ("shadow_rows", "shadow_dropped", "stage_failures", "log_lines_dropped", "audit_errors"):
            if f"{name}_total" in expression:
                assert f"# TYPE {name}_total counter" in served


@pytest.mark.parametrize("key", ["uid", "title", "panels", "templating", "schemaVersion"])
def test_the_dashboard_is_whole(key: str) -> None:
    """And its panels have numbers of their own."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
    assert key in dashboard
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
