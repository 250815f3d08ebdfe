"""From a fault to the message that wakes somebody: the service, Prometheus, Alertmanager and a webhook, all real."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.settings import Settings
from tests.e2e.conftest import eventually
from tests.observability.conftest import Watched
from tests.observability.monitoring import alertmanager, prometheus, query, webhook

ARRIVES_WITHIN_S = 60.0


def test_a_broken_primary_reaches_the_pager_and_its_mending_too(
    watched: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under load; how long it took is printed, that it arrives is asserted."""
    with ExitStack() as stack:
        hook = stack.enter_context(webhook())
        at = stack.enter_context(alertmanager(tmp_path, hook))
        url = stack.enter_context(prometheus(tmp_path, watched.target, at))
        stack.enter_context(watched.load())
        eventually(lambda: query(url, 'stage_available{stage="primary"} == 2'), "Prometheus sees two healthy workers")
        assert hook.received == []
        fault = time.monotonic()
        (watched.broken / "primary").touch()
        eventually(lambda: health(watched) == "degraded", "health says so", ARRIVES_WITHIN_S)
        health_s = time.monotonic() - fault
        eventually(lambda: hook.arrived("PrimaryUnavailable", "firing"), "the alert arrives", ARRIVES_WITHIN_S)
        alert_s = (hook.arrived("PrimaryUnavailable", "firing") or 0) - fault
        (watched.broken / "primary").unlink()
        eventually(lambda: health(watched) == "healthy", "it is well again", ARRIVES_WITHIN_S)
        eventually(lambda: hook.arrived("PrimaryUnavailable", "resolved"), "so says the pager", ARRIVES_WITHIN_S)
    with capsys.disabled():
        interval_s = Settings.model_fields["self_test_interval_s"].default
        print(f"\nfault to /health: {health_s:.1f} s (a self-test every {interval_s} s), to the alert: {alert_s:.1f} s")


def health(watched: Watched) -> str:
    return str(watched.service.request("GET", "/health").json["status"])
