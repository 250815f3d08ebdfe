"""What the service knows about itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.model.scorer import Scorer
from app.serving.board import WorkerBoard
from app.serving.chain import Chain
from app.serving.deadline import DeadlineCaller
from app.serving.failures import FailureBook
from app.serving.health import HealthCheck
from app.serving.reload import ModelFollower
from app.serving.stage import Probe, Stage
from app.telemetry.audit import PredictionLogger
from tests.fakes import Clock, ConstantScorer, MemorySink, RaisingScorer, logger, started_tally
from tests.unit.serving.test_stage import ROWS


class FullDisk(PredictionLogger):
    """An audit whose disk is full while `full` is set."""

    full = False

    def append(self, lines: Sequence[bytes]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().append(lines)


class FixedFollower(ModelFollower):
    """Serves a given chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.refused = None


@dataclass
class World:
    """A health check with everything around it in reach."""

    check: HealthCheck
    primary: RaisingScorer
    follower: FixedFollower
    board: WorkerBoard
    sink: MemorySink
    clock: Clock
    audit_dir: Path
    audit: FullDisk


@pytest.fixture
def world(tmp_path: Path) -> World:
    clock, sink, primary = Clock(), MemorySink(), RaisingScorer()
    primary.broken = False
    scorers: dict[str, Scorer] = {"primary": primary, "baseline": ConstantScorer(0.0)}
    stages = tuple(
        Stage(name, scorer, 0.5, Probe(ROWS), 1, DeadlineCaller(name, 2), 2, clock=clock)
        for name, scorer in scorers.items()
    )
    follower = FixedFollower(Chain("v1", stages))
    board = WorkerBoard(tmp_path / "board")
    board.join()
    audit = FullDisk(tmp_path / "audit")
    check = HealthCheck(
        follower,
        audit,
        board,
        sink,
        logger(sink),
        started_tally(),
        audit_required=False,
        stale_after_s=20,
        clock=clock,
        steady_clock=clock,
    )
    return World(check, primary, follower, board, sink, clock, tmp_path / "audit", audit)


def test_is_unhealthy_before_any_worker_has_reported(world: World) -> None:
    """Nothing is known, so nothing is promised."""
    health = world.check.health()
    assert (health.status, health.causes) == ("unhealthy", ("no worker has reported yet",))
    assert not world.check.ready


def test_is_healthy_once_every_stage_passed_its_self_test(world: World) -> None:
    """The ordinary state."""
    world.check.self_test()
    health = world.check.health()
    assert (health.status, health.causes, health.model_loaded) == ("healthy", (), True)
    assert world.check.ready


def test_is_degraded_while_the_primary_does_not_answer(world: World) -> None:
    """The service answers, but not as it should; the cause says what is wrong."""
    world.primary.broken = True
    world.check.self_test()
    health = world.check.health()
    assert health.status == "degraded"
    assert health.causes == ("primary is not answering: exception: ValueError: the model is broken",)
    assert world.check.ready


def test_recovers_by_itself_and_logs_both_changes(world: World) -> None:
    """The breaker opens and closes without any request."""
    world.check.self_test()
    world.primary.broken = True
    for _ in range(3):
        world.check.self_test()
    world.primary.broken = False
    world.check.self_test()
    assert world.check.health().status == "healthy"
    assert [event["status"] for event in world.sink.named("health.changed")] == ["healthy", "degraded", "healthy"]
    assert len(world.sink.named("breaker.opened")) == 1
    assert len(world.sink.named("breaker.closed")) == 1


def test_is_unhealthy_when_nothing_answers(world: World) -> None:
    """Only then do probes see a 503."""
    world.primary.broken = True
    world.follower.chain = Chain("v1", world.follower.chain.stages[:1])
    world.check.self_test()
    assert world.check.health().status == "unhealthy"
    assert not world.check.ready


def test_a_refused_version_degrades(world: World) -> None:
    """The old version answers, but it is not the one that was asked for."""
    world.follower.refused = "v2 was refused: bad hash"
    world.check.self_test()
    assert world.check.health().causes == ("v2 was refused: bad hash",)


def test_an_audit_that_cannot_be_written_degrades_until_it_can(world: World) -> None:
    """The folder is in the way first, then it is not."""
    world.audit_dir.write_text("not a folder")
    world.check.self_test()
    assert world.check.health().status == "degraded"
    assert "cannot be written" in world.check.health().causes[0]
    world.audit_dir.unlink()
    world.check.self_test()
    assert world.check.health().status == "healthy"


def test_a_required_audit_that_cannot_be_written_is_unhealthy(world: World, tmp_path: Path) -> None:
    """With AUDIT_REQUIRED no prediction could leave."""
    world.audit_dir.write_text("not a folder")
    strict = HealthCheck(
        world.follower,
        PredictionLogger(world.audit_dir),
        world.board,
        world.sink,
        logger(world.sink),
        started_tally(),
        audit_required=True,
        stale_after_s=20,
    )
    strict.self_test()
    assert strict.health().status == "unhealthy"
    assert not strict.ready


def test_a_full_disk_is_no_recovery(world: World) -> None:
    """Opening a file says nothing about writing to it: only a written line ends the problem."""
    world.check.self_test()
    world.check.audit_failed(OSError(28, "No space left on device"))
    assert world.check.health().status == "degraded"
    world.audit.full = True
    world.check.self_test()
    assert world.check.health().status == "degraded"
    world.audit.full = False
    world.check.self_test()
    assert world.check.health().status == "healthy"


def test_an_audit_problem_shows_at_once(world: World) -> None:
    """Not only at the next self-test; and it says what to do."""
    world.check.self_test()
    world.check.audit_failed(OSError(28, "No space left on device"))
    (cause,) = world.check.health().causes
    assert cause.startswith("AUDIT_DIR: ")
    assert "No space left on device; mount a volume, free space or unset it" in cause


def test_a_worker_whose_self_tests_stopped_is_not_ready(world: World) -> None:
    """A watcher that hangs must not vouch for anything."""
    world.check.self_test()
    assert world.check.ready
    world.clock.now += 60
    assert not world.check.ready


def test_without_a_model_it_answers_but_is_not_ready(world: World) -> None:
    """A rollout of a version that cannot be loaded stops here."""
    world.follower.chain = Chain(None, world.follower.chain.stages[1:], {"primary": "no active model version"})
    world.check.self_test()
    assert world.check.health().status == "degraded"
    assert not world.check.ready


def test_a_draining_worker_is_not_ready_but_still_healthy(world: World) -> None:
    """A balancer looks elsewhere; requests that arrive are still answered."""
    world.check.self_test()
    world.check.drain()
    assert not world.check.ready
    assert world.check.health().status == "healthy"


def test_a_worker_that_stopped_reporting_is_named(world: World) -> None:
    """A hung worker cannot say that it hangs; the others can."""
    world.check.self_test()
    world.clock.now += 60
    health = world.check.health()
    assert (health.status, health.causes) == ("degraded", (f"worker {os.getpid()} has not reported for 60 s",))


def test_the_latest_prediction_of_all_workers_is_shown(world: World) -> None:
    """`last_prediction_time` is the service's, not the answering worker's."""
    world.check.self_test()
    world.board.beat(77.0, success=False)
    pulse = world.check.health().pulse
    assert (pulse.last_prediction_time, pulse.consecutive_failures, pulse.last_success) == (77.0, 1, False)


def test_failures_are_kept_with_first_and_last_time_and_count() -> None:
    """Repetition raises a count instead of pushing out the rest."""
    clock = Clock(10)
    book = FailureBook(clock)
    book.note("a")
    clock.now = 20
    book.note("b")
    clock.now = 30
    book.note("a")
    assert [(entry.what, entry.since, entry.last, entry.count) for entry in book.entries()] == [
        ("a", 10, 30, 2),
        ("b", 20, 20, 1),
    ]


def test_a_failure_keeps_the_last_request_that_met_it() -> None:
    """A self-test that meets it again every few seconds must not take the one trace to a request away."""
    book = FailureBook(Clock())
    for request_id in (None, "first", "second", None):
        book.note("a", request_id)
    book.note("b")
    assert [(entry.what, entry.request_id) for entry in book.entries()] == [("b", None), ("a", "second")]


def test_failures_are_bounded() -> None:
    """A thousand different errors cost no more memory than twenty."""
    book = FailureBook(Clock())
    for number in range(1_000):
        book.note(f"failure {number}")
    assert [entry.what for entry in book.entries()][:2] == ["failure 999", "failure 998"]
    assert len(book.entries()) == 20


def test_a_wall_clock_that_jumps_changes_nothing(world: World) -> None:
    """A self-test is as old as it is, whatever time it is said to be."""
    wall = Clock(10_000.0)
    check = HealthCheck(
        world.follower, world.audit, world.board, world.sink, logger(world.sink), started_tally(),
        audit_required=False, stale_after_s=20, clock=wall, steady_clock=world.clock,
    )  # fmt: skip
    check.self_test()
    for jump_s in (3600, -7200):
        wall.now += jump_s
        assert check.ready
        assert check.health().status == "healthy"
