"""The state of all workers as gauges."""

from __future__ import annotations

import pytest

from app.model.manifest import current_environment
from app.serving.gauges import StateGauges
from tests.unit.serving.test_health import World, world

__all__ = ["world"]  # the fixture


def samples(world: World, family: str, label: str) -> dict[str, float]:
    """One gauge by its one label."""
    gauges = StateGauges(world.check, world.follower, current_environment())
    return {
        sample.labels[label]: sample.value
        for metric in gauges.collect() if metric.name == family for sample in metric.samples
    }  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "audit_full", "status"),
    [(False, False, "healthy"), (True, False, "degraded"), (False, True, "degraded")],
)
def test_the_status_is_what_health_says(broken: bool, audit_full: bool, status: str, world: World) -> None:
    """One of the three, whatever the reason."""
    world.primary.broken, world.audit.full = broken, audit_full
    world.check.self_test()
    if audit_full:
        world.check.audit_failed(OSError(28, "No space left on device"))
    assert world.check.health().status == status
    assert samples(world, "service_status", "status") == {
        name: float(name == status) for name in ("healthy", "degraded", "unhealthy")
    }


def test_before_any_worker_reports_it_is_unhealthy(world: World) -> None:
    """As `/health` says."""
    assert samples(world, "service_status", "status")["unhealthy"] == 1
    assert samples(world, "workers", "state") == {}
