"""Processes that are torn away, told to leave, or cannot live."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from sklearn.ensemble import HistGradientBoostingClassifier

from tests.chaos.arena import Arena, detailed, ready_workers, row
from tests.chaos.estimators import FaultyModel
from tests.chaos.proc import age_order, descriptors, lives, rss_mb
from tests.conftest import fitted_logistic
from tests.e2e.conftest import Service

LIFE_S = 1.2
"""Between two kills: each of two workers lives beyond what counts as dying at once."""


@row("sigkill", "a worker is killed (SIGKILL), 20 times")
def worker_is_killed(arena: Arena) -> None:
    """Only what it was answering is lost, and only without a retry."""
    arena.register()
    service = arena.service()
    time.sleep(2 * LIFE_S)
    _kill_one(arena, service)  # what is made once is no leak
    before, moments = _footprint(service), []
    with arena.load(service):
        for _ in range(arena.times(20)):
            time.sleep(LIFE_S)
            moments.append(time.monotonic())
            arena.recovered(_kill_one(arena, service))
    arena.expect_only_in_flight(moments)
    arena.within(arena.recovery_s or 0, 0.5, "both workers ready again within")
    arena.expect_audited(service)
    _expect_no_leak(arena, before, _footprint(service))


def _kill_one(arena: Arena, service: Service) -> float:
    """Kills the older worker; seconds until two are ready again."""
    victim = min(ready_workers(service), key=age_order)
    os.kill(victim, signal.SIGKILL)
    return arena.seconds_until(lambda: len(ready_workers(service) - {victim}) == 2)


def _footprint(service: Service) -> dict[str, float]:
    workers = ready_workers(service)
    return {
        "descriptors of the master": descriptors(service.pid),
        "descriptors of the workers": max(map(descriptors, workers)),
        "files in RUNTIME_DIR": sum(1 for _ in Path(service.env["RUNTIME_DIR"]).rglob("*")),
        "MB of the master": rss_mb(service.pid),
        "MB of the workers": max(map(rss_mb, workers)),
    }


def _expect_no_leak(arena: Arena, before: dict[str, float], after: dict[str, float]) -> None:
    allowed = {"descriptors of the workers": 20, "MB of the master": 4, "MB of the workers": 30}  # connections, caches
    grown = {name: after[name] - before[name] for name in before if after[name] - before[name] > allowed.get(name, 0)}
    arena.expect(not grown, f"leaked: {grown}")
    if not grown:
        arena.notes.append("no descriptors, memory or files leaked")


@row("sigterm", "replicas are stopped in turn (SIGTERM, with drain), 20 times")
def replicas_are_stopped_in_turn(arena: Arena) -> None:
    """A balancer that asks for readiness loses nothing; each leaves by itself, with status 0."""
    arena.register()
    replicas = [arena.service(DRAIN_S="0.5", GRACEFUL_TIMEOUT_S="10") for _ in range(2)]
    in_rotation = list(replicas)
    statuses, took_s = set(), 0.0
    with arena.load(lambda: in_rotation[0].url):
        for turn in range(arena.times(20)):
            leaving = replicas[turn % 2]
            time.sleep(0.3)
            start = time.monotonic()
            leaving.process.terminate()
            arena.seconds_until(lambda leaving=leaving: _readiness(leaving) == 503, 5)  # type: ignore[misc]
            in_rotation.remove(leaving)
            statuses.add(leaving.process.wait(15))
            took_s = max(took_s, time.monotonic() - start)
            leaving.start()
            arena.recovered(time.monotonic() - start)
            in_rotation.append(leaving)
    arena.expect_no_failures()
    arena.expect(statuses == {0}, f"exit statuses {statuses}")
    arena.within(took_s, 10.0, "left within")
    arena.expect_audited(*replicas)


def _readiness(service: Service) -> int:
    try:
        return service.request("GET", "/health/ready").status
    except OSError:
        return 0


@row("hup", "gunicorn reloads (SIGHUP), 3 times")
def gunicorn_reloads(arena: Arena) -> None:
    """Fresh workers take over; the old ones end what they began."""
    arena.register()
    service = arena.service()
    with arena.load(service):
        for _ in range(arena.times(3)):
            time.sleep(0.5)
            old = ready_workers(service)
            service.process.send_signal(signal.SIGHUP)
            arena.recovered(arena.seconds_until(lambda old=old: len(ready_workers(service) - old) == 2))  # type: ignore[misc]
            arena.seconds_until(lambda old=old: not any(map(lives, old)))  # type: ignore[misc]
    arena.expect_no_failures()
    arena.expect_audited(service)


@row("openmp", "workers are killed whose model uses OpenMP, 5 times")
def workers_fork_beside_openmp(arena: Arena) -> None:
    """Their successors predict: the master has no thread of OpenMP's that a fork would lose."""
    rows = arena.schema.sample(400, 3)
    trees = HistGradientBoostingClassifier(max_iter=20).fit(rows, (rows[:, 0] > rows[:, 6]).astype(int))
    arena.register(primary=FaultyModel(trees, arena.flag))  # never compiled, so that it is OpenMP that predicts
    service, moments = arena.service(), []
    with arena.load(service):
        for _ in range(arena.times(5)):
            time.sleep(LIFE_S)
            moments.append(time.monotonic())
            arena.recovered(_kill_one(arena, service))
    arena.expect_only_in_flight(moments)
    arena.expect_stage("primary", [record for record in arena.records if record.right])


@row("crashloop", "a version that kills every worker half a second after its start")
def workers_die_again_and_again(arena: Arena) -> None:
    """They wait longer and longer, it shows, and a rollback ends it while it goes on."""
    good = arena.register()
    deadly = arena.register(seed=1, activate=False, primary=FaultyModel(fitted_logistic(arena.schema, 1), arena.flag))
    service = arena.service()
    with arena.load(service) as load:
        time.sleep(0.5)
        arena.registry.activate(deadly)
        arena.seconds_until(lambda: any(record.judgement.version == deadly for record in load.records))
        arena.flag.write_text("die_soon")
        arena.seconds_until(lambda: len(service.events("worker.backoff")) >= (2 if arena.quick else 4))
        start = time.monotonic()
        arena.registry.rollback()
        arena.seconds_until(lambda: len(ready_workers(service)) == 2)
        arena.recovered(time.monotonic() - start)
        time.sleep(0.5)
        calm = [record for record in load.records if record.sent > start + (arena.recovery_s or 0)]
    pauses = [event["pause_s"] for event in service.events("worker.backoff")]
    arena.notes.append(f"pauses of {min(pauses):g} to {max(pauses):g} s; nobody answers while both wait")
    arena.expect(max(pauses) <= 10, f"a pause of {max(pauses)} s")
    arena.expect_no_failures(calm)
    arena.expect(calm and {one.judgement.version for one in calm} == {good}, "the old version does not serve again")
    starts = service.request("GET", "/metrics").body.decode()
    arena.expect(f"worker_starts_total {float(len(service.events('service.started')))}" in starts, "starts not counted")
    arena.expect(detailed(service)["status"] == "healthy", "not healthy after the rollback")
