"""The runbook looks where a fault shows; that its commands run is the business of `tests/documents`."""

from __future__ import annotations

from tests.e2e.conftest import eventually
from tests.observability.conftest import Watched


def test_a_fault_shows_where_the_runbook_looks_for_it(watched: Watched) -> None:
    """The primary's section reads the reason from the worker's stages."""
    (watched.broken / "primary").touch()
    eventually(lambda: watched.service.request("GET", "/health").json["status"] == "degraded", "it is degraded", 30)
    workers = watched.service.request("GET", "/health/detailed").json["workers"]
    assert any("exception" in str(worker["stages"]["primary"]["reason"]) for worker in workers)
