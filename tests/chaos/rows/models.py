"""Models that fail in every way a model can."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.chaos.arena import Arena, Probe, detailed, ready_workers, row
from tests.chaos.estimators import FaultyModel
from tests.chaos.load import Load, Record, percentile
from tests.chaos.proc import lives, rss_mb
from tests.conftest import fitted_logistic
from tests.e2e.conftest import Service

FIVE_HUNG_CALLS_S = 2.0


def _faulty_primary(arena: Arena) -> None:
    arena.register(primary=FaultyModel(fitted_logistic(arena.schema), arena.flag))


def _since(load: Load, moment: float) -> list[Record]:
    return [record for record in load.records if record.sent > moment]


def _answering(service: Service, stage: str) -> Callable[[], bool]:
    """Whether a stage answers in every worker."""

    def all_workers() -> bool:
        workers = detailed(service)["workers"]
        return len(workers) == 2 and all(worker["stages"][stage]["answering"] for worker in workers)

    return all_workers


def _opened(service: Service) -> Callable[[], bool]:
    """Whether the primary's breaker is open in every worker."""

    def all_workers() -> bool:
        workers = detailed(service)["workers"]
        return bool(workers) and all(worker["stages"]["primary"]["breaker"] == "open" for worker in workers)

    return all_workers


@row("primary", "the primary raises, returns NaN, a wrong shape, a wrong dtype")
def primary_fails(arena: Arena) -> None:
    """The fallback answers and says so; the breaker opens; the self-test brings the primary back."""
    _faulty_primary(arena)
    service = arena.service()
    with arena.load(service) as load:
        for fault in ("raise", "nan", "shape", "dtype"):
            time.sleep(0.3)
            arena.flag.write_text(fault)
            start = time.monotonic()
            arena.seconds_until(_opened(service))
            time.sleep(0.3)
            arena.expect_stage("fallback", _since(load, start + 0.05))
            arena.expect("primary" in str(detailed(service)["causes"]), f"{fault}: health names no cause")
            arena.flag.unlink()
            arena.recovered(arena.seconds_until(_answering(service, "primary")))
        start = time.monotonic()
        time.sleep(0.3)
        arena.expect_stage("primary", _since(load, start))
    arena.expect_no_failures()
    arena.expect_audited(service)


@row("hang", "the primary hangs, the interpreter lock released")
def primary_hangs(arena: Arena) -> None:
    """A few requests wait for its deadline, the later ones for nothing."""
    _faulty_primary(arena)
    service = arena.service()
    with arena.load(service) as load, Probe(service, "/health/live") as probe:
        time.sleep(0.5)
        arena.flag.write_text("hang")
        opened_s = arena.seconds_until(_opened(service))
        arena.notes.append(f"every breaker open after {opened_s:.2f} s")
        start = time.monotonic()
        time.sleep(3)
        later = _since(load, start + FIVE_HUNG_CALLS_S)
        arena.expect_stage("fallback", later)
        arena.flag.unlink()
        arena.recovered(arena.seconds_until(_answering(service, "primary")))
        time.sleep(0.3)
    arena.expect_no_failures()
    arena.expect(set(probe.statuses) == {200}, f"health answered {sorted(set(probe.statuses))}")
    arena.within(max(probe.latencies_s), FIVE_HUNG_CALLS_S, "health answers all along, at the longest after")
    arena.within(percentile([one.latency_s for one in later], 0.99), 0.05, "99 % of the later requests within")
    arena.expect_audited(service)


@row("hold", "the primary hangs in one worker, the interpreter lock held")
def primary_holds_the_lock(arena: Arena) -> None:
    """Nothing of that worker runs, so gunicorn ends it after WORKER_TIMEOUT_S; the other one serves."""
    _faulty_primary(arena)
    service = arena.service(WORKER_TIMEOUT_S="2")
    with arena.load(service) as load, Probe(service, "/health/live") as probe:
        time.sleep(0.5)
        before = ready_workers(service)
        arena.flag.write_text("hold")
        start = time.monotonic()
        arena.seconds_until(lambda: not all(map(lives, before)))
        killed = time.monotonic()
        arena.seconds_until(lambda: len(ready_workers(service) - before) == 1)
        ended = time.monotonic()
        arena.recovered(ended - start)
        time.sleep(0.5)
        arena.expect_no_failures(_since(load, ended))
    during = [one for one in load.records if start <= one.sent <= ended]
    arena.notes.append(f"the other worker answered {sum(one.right for one in during):,} requests meanwhile")
    arena.expect(any(one.right for one in during), "nobody answered meanwhile")
    arena.expect_only_in_flight([killed])
    arena.expect(200 in probe.statuses, "health never answered")


@row("leak", "the primary leaks memory in every call")
def primary_leaks(arena: Arena) -> None:
    """Workers beyond MAX_WORKER_MEMORY_MB are replaced one by one, and nobody notices."""
    _faulty_primary(arena)
    limit_mb = _memory_of_a_worker(arena) + 40
    service = arena.service(MAX_WORKER_MEMORY_MB=str(limit_mb))
    with arena.load(service):
        time.sleep(0.3)
        arena.flag.write_text("leak")
        arena.seconds_until(lambda: len(service.events("worker.leaving")) >= 3)
        arena.flag.unlink()
        start = time.monotonic()
        arena.seconds_until(lambda: _small(service, limit_mb))
        arena.recovered(time.monotonic() - start)
        time.sleep(0.3)
    _expect_memory_named(arena, service)
    arena.expect_no_failures()
    arena.expect_audited(service)


@row("allocate", "the primary allocates without bound within one call")
def primary_allocates(arena: Arena) -> None:
    """One worker is replaced; the machine keeps its memory."""
    _faulty_primary(arena)
    limit_mb = _memory_of_a_worker(arena) + 100
    service = arena.service(MAX_WORKER_MEMORY_MB=str(limit_mb))
    peak_mb = 0.0
    with arena.load(service):
        time.sleep(0.3)
        before = ready_workers(service)
        arena.flag.write_text("allocate")
        start = time.monotonic()
        while len(ready_workers(service) - before) < 1 and time.monotonic() - start < 30:
            peak_mb = max([peak_mb, *_sizes(before)])
        arena.recovered(time.monotonic() - start)
        time.sleep(0.3)
    arena.notes.append(f"it got to {peak_mb:.0f} MB, with MAX_WORKER_MEMORY_MB={limit_mb}")
    arena.expect(peak_mb < 3 * limit_mb, f"a worker took {peak_mb:.0f} MB")
    arena.expect(len(ready_workers(service) & before) == 1, "more than one worker was replaced")
    _expect_memory_named(arena, service)
    arena.expect_no_failures()
    arena.expect_audited(service)


def _memory_of_a_worker(arena: Arena) -> int:
    """What one needs that is well."""
    service = arena.service()
    with arena.load(service):
        time.sleep(0.5)
    size_mb = max(map(rss_mb, ready_workers(service)))
    service.stop()
    arena.records.clear()
    return int(size_mb)


def _sizes(pids: set[int]) -> list[float]:
    sizes = []
    for pid in pids:
        try:
            sizes.append(rss_mb(pid))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return sizes


def _small(service: Service, limit_mb: int) -> bool:
    workers = ready_workers(service)
    return len(workers) == 2 and max(_sizes(workers), default=limit_mb) < limit_mb


def _expect_memory_named(arena: Arena, service: Service) -> None:
    reasons = {event["reason"].partition(" MB")[2] for event in service.events("worker.leaving")}
    arena.expect(all("MAX_WORKER_MEMORY_MB" in reason for reason in reasons) and reasons, f"left for {reasons}")
    arena.notes.append(f"{len(service.events('worker.leaving'))} workers left")


@row("odd", "the primary fails in one worker only")
def primary_fails_in_one_worker(arena: Arena) -> None:
    """Then it is not the model: that worker makes room for a fresh one."""
    _faulty_primary(arena)
    service = arena.service(SELF_TEST_INTERVAL_S="0.5")
    with arena.load(service):
        time.sleep(0.3)
        before = ready_workers(service)
        arena.flag.write_text("odd")
        start = time.monotonic()
        arena.seconds_until(lambda: len(ready_workers(service) - before) == 1 and _answering(service, "primary")())
        arena.recovered(time.monotonic() - start)
        time.sleep(0.3)
    arena.expect(len(service.events("worker.leaving")) == 1, "not one worker left")
    arena.expect(len(ready_workers(service) & before) == 1, "the other one did not stay")
    arena.expect_no_failures()
    arena.expect_audited(service)


@row("models", "both models are broken")
def both_models_are_broken(arena: Arena) -> None:
    """The rule answers, and says so."""
    model = FaultyModel(fitted_logistic(arena.schema), arena.flag)
    arena.register(primary=model, fallback=FaultyModel(fitted_logistic(arena.schema, 100), arena.flag))
    service = arena.service()
    with arena.load(service) as load:
        time.sleep(0.3)
        arena.flag.write_text("raise")
        start = time.monotonic()
        time.sleep(1.5)
        broken = _since(load, start + 0.05)
        arena.flag.unlink()
        arena.recovered(arena.seconds_until(_answering(service, "primary")))
    arena.expect_stage("baseline", [one for one in broken if one.answered < start + 1.5])
    arena.expect_no_failures()
    arena.expect_audited(service)


@row("stages", "both models and the rule are broken")
def all_stages_are_broken(arena: Arena) -> None:
    """Nothing is left to answer with: every request is told so at once, and when to come back."""
    model = FaultyModel(fitted_logistic(arena.schema), arena.flag)
    arena.register(primary=model, fallback=model)
    service = arena.service(BASELINE_RULE="tests.chaos.estimators:breakable_rule", CHAOS_RULE_BROKEN=str(arena.flag))
    with arena.load(service) as load:
        time.sleep(0.3)
        arena.flag.write_text("raise")
        start = time.monotonic()
        time.sleep(1.5)
        broken = [one for one in _since(load, start + 0.05) if one.answered < start + 1.5]
        status = detailed(service)["status"]
        arena.flag.unlink()
        arena.recovered(arena.seconds_until(_answering(service, "primary")))
        start = time.monotonic()
        time.sleep(0.5)
        arena.expect_no_failures(_since(load, start))
    arena.expect(status == "unhealthy", f"it called itself {status}")
    _expect_refused(arena, broken)


def _expect_refused(arena: Arena, records: Sequence[Record]) -> None:
    """All of these were told 503 at once, and when to come back."""
    rude = [one for one in records if one.judgement.retry_after is None or not one.judgement.detail.startswith("503")]
    arena.expect(records and not rude, f"{len(rude)} of {len(records)} were not told when to come back")
    arena.within(percentile([one.latency_s for one in records], 0.99), 0.05, "99 % refused within")
