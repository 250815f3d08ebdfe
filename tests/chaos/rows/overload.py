"""More requests than can be answered, and more connections than can be kept."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.chaos.arena import SLACK, Arena, Probe, ready_workers, row
from tests.chaos.estimators import FaultyModel
from tests.chaos.judge import Judgement, Verdict
from tests.chaos.load import Record, percentile
from tests.chaos.openloop import OpenLoop, Sample
from tests.chaos.proc import descriptors, rss_mb
from tests.conftest import fitted_logistic
from tests.e2e.conftest import Service

WARM_UP_S = 3.0
"""Longer than the service's patience with what may be a stall."""

MEASURED_S = 3.0
LATE_S = 1.0
"""An answer after that is none: whoever asked has given up."""

FAST_S = 0.3
"""Refusals come no later: a turn of the event loop, and what of the next one comes before them."""

GOODPUT, LEAST_GOODPUT = 0.9, 0.75
"""Of what could be answered; the second is what fails the suite, since the load takes its CPU time from the service."""

MAX_CONNECTIONS = 50


@row("overload", "open-loop load at 1, 2, 5 and 10 times of what the service can answer")
def too_many_requests(arena: Arena) -> None:
    """It goes on answering what it can; the excess is told at once when to come back."""
    service = _slow_service(arena)
    multiples = (1, 5) if arena.quick else (1, 2, 5, 10)
    goodput = {0.0: _measured(arena, service, math.inf, connections=32)}
    with _watched(arena, service), Probe(service, "/health/ready") as probe:
        for multiple in multiples:
            goodput[multiple] = _measured(arena, service, multiple * goodput[0.0])
    arena.expect(set(probe.statuses) == {200}, f"readiness answered {set(probe.statuses)}")
    arena.within(probe.p99_s, 0.5, "99 % of readiness probes within")
    _expect_goodput(arena, goodput)


@row("flood", "the same with a connection for each request, and MAX_CONNECTIONS=50")
def too_many_connections(arena: Arena) -> None:
    """Connections beyond the limit get a 503, those far beyond it are cut; neither keeps the others waiting."""
    service = _slow_service(arena, MAX_CONNECTIONS=str(MAX_CONNECTIONS))
    goodput = {0.0: _measured(arena, service, math.inf, connections=32, fresh=True)}
    with _watched(arena, service):
        for multiple in (5,) if arena.quick else (2, 5):
            goodput[multiple] = _measured(arena, service, multiple * goodput[0.0], fresh=True)
    _expect_goodput(arena, goodput)


def _slow_service(arena: Arena, **settings: str) -> Service:
    """A few hundred requests a second are all it can do, so that one machine can ask for ten times as many."""
    arena.register(primary=FaultyModel(fitted_logistic(arena.schema), arena.flag))
    service = arena.service(env=settings)
    arena.flag.write_text("slow")
    return service


def _measured(
    arena: Arena, service: Service, rate_per_s: float, *, connections: int = 5000, fresh: bool = False
) -> float:
    """Answers a second that came in time, once the service has noticed the overload."""
    warm_up_s = 0.0 if math.isinf(rate_per_s) else WARM_UP_S
    load = OpenLoop(arena.judge, service.port, rate_per_s, warm_up_s + MEASURED_S, connections, fresh)
    samples = load.run()
    begin = min(sample.sent for sample in samples) + warm_up_s
    measured = [sample for sample in samples if begin <= sample.sent < begin + MEASURED_S]
    records = [_record(arena, sample) for sample in measured]
    good = [one.latency_s for one in records if one.right and one.latency_s <= LATE_S]
    if not math.isinf(rate_per_s):
        refused = [one for one in measured if one.status == 503]
        outcomes = Counter(one.status for one in measured)
        arena.records += [one for one in records if one.judgement.verdict is not Verdict.FAILED]
        arena.notes.append(
            f"{rate_per_s:.0f}/s: {len(good) / MEASURED_S:.0f}/s answered, 99 % within {_ms(good)} ms; "
            f"{len(refused) / MEASURED_S:.0f}/s refused, 99 % within {_ms([one.latency_s for one in refused])} ms"
            + (f"; {outcomes[0] / MEASURED_S:.0f}/s cut" if outcomes[0] else "")
        )
        arena.expect(all(one.retry_after for one in refused), "a 503 without Retry-After")
        arena.expect(set(outcomes) <= {200, 503, 0}, f"statuses {dict(outcomes)}")
        arena.expect(fresh or not outcomes[0], f"{outcomes[0]} connections were cut")
        if percentile([one.latency_s for one in refused], 0.99) > SLACK * FAST_S:
            arena.delays.append(f"refused after {_ms([one.latency_s for one in refused])} ms")
    return len(good) / MEASURED_S


def _record(arena: Arena, sample: Sample) -> Record:
    judgement = (
        arena.judge.of(sample.position, sample.status, sample.body, sample.retry_after)
        if sample.status
        else Judgement(Verdict.FAILED, "the connection was cut")
    )
    return Record(sample.sent, sample.sent + sample.latency_s, False, judgement)


def _expect_goodput(arena: Arena, goodput: dict[float, float]) -> None:
    """At every multiple of the capacity, compared with the best of all."""
    capacity, peak = goodput[0.0], max(goodput.values())
    worst = min(rate / min(peak, multiple * capacity) for multiple, rate in goodput.items() if multiple)
    arena.notes.insert(
        0, f"at most {peak:.0f}/s answered, under every load at least {worst:.0%} (> {GOODPUT:.0%}) of what could be"
    )
    if worst < LEAST_GOODPUT:
        arena.delays.append(f"only {worst:.0%} of what could be answered")


@contextmanager
def _watched(arena: Arena, service: Service) -> Iterator[None]:
    """Memory and descriptors of the workers, whatever is asked of them."""
    workers, stopping = ready_workers(service), threading.Event()
    seen: list[tuple[float, int]] = []

    def watch() -> None:
        while not stopping.wait(0.1):
            seen.append((max(map(rss_mb, workers)), max(map(descriptors, workers))))

    before_mb = max(map(rss_mb, workers))
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopping.set()
        watcher.join(10)
    grown_mb, most = max(mb for mb, _ in seen) - before_mb, max(count for _, count in seen)
    arena.notes.append(f"a worker grew by {grown_mb:.0f} MB and had {most} descriptors at most")
    arena.expect(ready_workers(service) == workers, "a worker was replaced")
    arena.expect(grown_mb < 100, f"a worker grew by {grown_mb:.0f} MB")
    arena.expect(most < 1024, f"{most} descriptors")


def _ms(latencies_s: Sequence[float]) -> str:
    return f"{percentile(latencies_s, 0.99) * 1000:.0f}"
