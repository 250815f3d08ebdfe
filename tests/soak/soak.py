"""A whole run: warm up, measure, half of the traffic, measure, the other half, measure."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.worker.protocol import LINGER_S
from app.worker.worker import TICK_S
from tests.chaos.arena import Arena, ready_workers
from tests.chaos.proc import age_order
from tests.e2e.conftest import Service
from tests.footprint import until_steady
from tests.soak.activations import Activations, register_versions
from tests.soak.client import Tally
from tests.soak.growth import creep, growth
from tests.soak.samples import Sample, sample
from tests.soak.traffic import Traffic

WARM_UP = 0.1
"""Traffic before the first measurement, as a share of what follows: caches fill, counters get their labels."""
BETWEEN_S = 60.0
"""Longest time between two samples."""
ACTIVATE_EVERY_S = 5.0
SHED_SHARE = 0.001
"""Of the requests so many may be refused because of overload: the machine may be shared."""
SETTINGS = {"AUDIT_ROTATE_BYTES": str(8 << 20), "AUDIT_KEEP_BYTES": str(32 << 20)}
"""So small that files are closed and removed all the time."""

Watch = Callable[[Sample], None]


class WorkerReplacedError(Exception):
    """A worker has left that nobody had asked to."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run has shown."""

    seconds: float
    """Of traffic, the warm-up included."""
    tally: Tally
    activated: int
    refused: int
    start: Sample
    middle: Sample
    end: Sample
    findings: list[str]
    """What must not be."""


@dataclass(slots=True)
class Soak:
    """A service of two workers, its traffic, and the versions that change meanwhile."""

    arena: Arena
    minutes: float
    watch: Watch
    """Is shown every sample, those under load included."""
    service: Service = field(init=False)
    workers: list[int] = field(init=False)

    def run(self) -> Report:
        """All of it. Raises `WorkerReplacedError`."""
        good, bad = register_versions(self.arena)
        scratch = self.arena.folder / "tmp"
        scratch.mkdir()
        self.service = self.arena.service(env={**SETTINGS, "TMPDIR": str(scratch)})
        self.workers = sorted(ready_workers(self.service), key=age_order)
        half_s = self.minutes * 30
        traffic = Traffic(self.service.port, self.arena.judge)
        changes = Activations(self.arena, self.service, min(ACTIVATE_EVERY_S, half_s / 10), good, bad)
        warm_up, first, second = (
            self._phase(traffic, changes, seconds) for seconds in (2 * half_s * WARM_UP, half_s, half_s)
        )
        start, middle, end = warm_up[-1], first[-1], second[-1]
        found = [*traffic.tally.shown, *changes.problems, *growth(start, end), *creep(first, second)]
        found += [*shed_too_often(traffic.tally), *logged_errors(self.service, expected=bad)]
        return Report(traffic.seconds, traffic.tally, changes.activated, changes.refused, start, middle, end, found)

    def _phase(self, traffic: Traffic, changes: Activations, seconds: float) -> list[Sample]:
        """Traffic for a while, and what is held meanwhile and, last, when it has ended."""
        samples: list[Sample] = []
        with self._watching(min(BETWEEN_S, seconds / 4), samples), changes:
            traffic.run(seconds)
        now = sorted(ready_workers(self.service), key=age_order)
        if now != self.workers:
            raise WorkerReplacedError(f"workers {self.workers} became {now}")
        until_steady([self.service.pid, *self.workers], LINGER_S + TICK_S)
        self._look(samples)
        return samples

    @contextmanager
    def _watching(self, every_s: float, samples: list[Sample]) -> Iterator[None]:
        stopping = threading.Event()

        def go_on() -> None:
            while not stopping.wait(every_s):
                with suppress(OSError):  # a worker is gone: the end of the phase tells
                    self._look(samples)

        watcher = threading.Thread(target=go_on, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stopping.set()
            watcher.join(30)

    def _look(self, samples: list[Sample]) -> None:
        samples.append(sample(self.service, self.workers))
        self.watch(samples[-1])


def shed_too_often(tally: Tally) -> list[str]:
    """Says so where overload was more than an incident."""
    if tally.shed <= SHED_SHARE * tally.requests.total():
        return []
    return [f"{tally.shed:,} of {tally.requests.total():,} requests were refused because of overload"]


def logged_errors(service: Service, expected: str) -> list[str]:
    """Every line of the log that is no event, or an error that does not name what is `expected` to fail."""
    found = []
    for name in ("stdout", "stderr"):
        with (Path(service.folder) / name).open("rb") as lines:
            for line in lines:
                try:
                    wrong = json.loads(line)["level"] in ("error", "critical")
                except (ValueError, KeyError, TypeError):
                    wrong = True
                if wrong and expected.encode() not in line:
                    found.append(f"{name}: {line[:500].decode(errors='replace').rstrip()}")
    return found
