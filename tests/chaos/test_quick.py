"""A few faults of the chaos suite, each as short as it can be; `make chaos` injects all of them."""

from __future__ import annotations

import pytest

import tests.chaos.rows  # noqa: F401 - registers the faults
from tests.chaos.arena import run

QUICK = ("sigkill", "primary", "crashloop", "auditgone", "slow")


@pytest.mark.parametrize("name", QUICK)
def test_the_service_stands(name: str) -> None:
    """Requests fail, and are degraded, only where the fault leaves no choice; times are not judged here."""
    result = run(name, quick=True)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.summary.requests > 50
    assert not result.shortfalls, result.summary.details
