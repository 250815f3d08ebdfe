"""The page's surroundings: a browser, and a service that takes any of its three states on demand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from app.contract.schema import FeatureSchema
from app.serving.board import WorkerBoard
from tests.browser.breakable import FOLDER, register_breakable
from tests.browser.busy_hour import take_a_place
from tests.e2e.conftest import Service, eventually

CHROMIUM = Path("/usr/bin/chromium")
REQUEST_ID = "order-17-check"
"""Sent with the prediction that meets the broken stages."""

BROKEN = {"healthy": (), "degraded": ("primary",), "unhealthy": ("primary", "fallback", "baseline")}
"""The stages that are broken in each state."""


class Triage:
    """A service with one worker, a second place on its board with an hour of traffic, and stages that can break."""

    def __init__(self, folder: Path) -> None:
        self._broken, self._models = folder / "broken", folder / "models"
        self._broken.mkdir(parents=True)
        register_breakable(self._models)
        self._busy: WorkerBoard | None = None
        self.service = Service(
            folder / "service", self._models,
            **{FOLDER: str(self._broken)}, BASELINE_RULE="tests.browser.breakable:breakable_rule",
            SELF_TEST_INTERVAL_S="0.2", PRIMARY_DEADLINE_MS="5000", FALLBACK_DEADLINE_MS="5000",
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"{self.service.url}/"

    def become(self, status: str) -> None:
        """Breaks and mends stages until the service has this status; a prediction meets what is broken."""
        self.leave()
        for stage in BROKEN["unhealthy"]:
            (self._broken / stage).unlink(missing_ok=True)
        eventually(lambda: self._status() == "healthy", "it is healthy")
        for stage in BROKEN[status]:
            (self._broken / stage).touch()
        self.service.post("/predict", FeatureSchema().example(), {"X-Request-ID": REQUEST_ID})
        eventually(lambda: self._status() == status and self._settled(status), f"it is {status}")
        self._busy = take_a_place(self.service.folder / "runtime" / "board", self._models)

    def leave(self) -> None:
        """Takes the busy worker off the board."""
        if self._busy is not None:
            self._busy.leave()
            self._busy = None

    def _detailed(self) -> Any:
        return self.service.request("GET", "/health/detailed").json

    def _status(self) -> str:
        return str(self._detailed()["status"])

    def _settled(self, status: str) -> bool:
        """Whether the worker tells that its breakers are open."""
        stages = self._detailed()["workers"][0]["stages"]
        return all(stages[stage]["breaker"] == "open" for stage in BROKEN[status])


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's own Chromium, without a window. A missing one is a failure: nothing else tests the page."""
    assert CHROMIUM.exists(), f"{CHROMIUM} is missing: apt-get install chromium"
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield browser
        browser.close()
