"""What a worker does beside answering."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.serving.background import Background
from app.serving.board import WorkerBoard
from app.serving.departure import DepartureCheck
from app.serving.health import HealthCheck
from app.serving.quarantine import Quarantine
from app.serving.reload import ModelFollower
from app.telemetry.audit import PredictionLogger
from app.telemetry.retention import AuditRetention
from tests.conftest import draft_of
from tests.fakes import ConstantModel, MemorySink, logger, started_tally
from tests.unit.serving.test_board import report
from tests.unit.serving.test_chain import builder
from tests.waiting import wait_until


class World:
    """A background with everything it watches over in reach."""

    def __init__(self, registry: Registry, schema: FeatureSchema, folder: Path) -> None:
        self.sink = MemorySink()
        log, tally = logger(self.sink), started_tally()
        self.follower = ModelFollower(registry, builder(schema), Quarantine(folder / "quarantine"), log)
        self.board = WorkerBoard(folder / "board")
        self.health = HealthCheck(
            self.follower,
            PredictionLogger(None),
            self.board,
            self.sink,
            log,
            tally,
            audit_required=False,
            stale_after_s=60,
        )
        self.background = Background(
            self.follower,
            self.health,
            self.board,
            DepartureCheck(self.follower, self.board, 0),
            AuditRetention(folder / "audit", log, keep_days=1, keep_bytes=0),
            self.sink,
            log,
            tally,
            reload_interval_s=0.01,
            self_test_interval_s=0.02,
        )


@pytest.fixture
def world(registry: Registry, schema: FeatureSchema, tmp_path: Path) -> Iterator[World]:
    made = World(registry, schema, tmp_path)
    yield made
    made.background.stop()


def test_starting_serves_and_tests_before_it_returns(world: World, version: str) -> None:
    """The first request finds a proven model and a known state."""
    world.follower.load()
    world.background.start()
    assert world.follower.chain.version == version
    assert world.health.health().status == "healthy"
    assert [event["version"] for event in world.sink.named("service.started")] == [version]


def test_starting_twice_is_starting_once(world: World) -> None:
    """Every first request of a threaded server may try."""
    threads = [threading.Thread(target=world.background.start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(world.sink.named("service.started")) == 1


def test_it_follows_the_registry(
    world: World, registry: Registry, version: str, schema: FeatureSchema, logistic: Any
) -> None:
    """Activation reaches the worker without a request."""
    world.background.start()
    newer = registry.register(draft_of(schema, primary=logistic))
    registry.activate(newer)
    wait_until(lambda: world.follower.chain.version == newer)


def test_it_outlives_a_fault_in_what_it_does(world: World, version: str) -> None:
    """A watcher that dies in silence would read as health."""
    world.background.start()
    healthy, world.follower.follow = world.follower.follow, _fault  # type: ignore[method-assign]
    wait_until(lambda: bool(world.sink.named("background.failed")))
    world.follower.follow = healthy  # type: ignore[method-assign]
    seen = len(world.board.reports())
    assert seen == 1
    tested = world.board.reports()[0][0].self_test_last_success or 0
    wait_until(lambda: (world.board.reports()[0][0].self_test_last_success or 0) > tested)


def test_a_worker_whose_model_hangs_again_and_again_leaves(
    world: World, registry: Registry, schema: FeatureSchema
) -> None:
    """Abandoned threads cannot be ended, only left behind: the server is asked to stop, and a fresh worker follows."""
    registry.activate(registry.register(draft_of(schema, primary=ConstantModel())))
    asked = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        world.background.start()
        sibling_is_ready(world.board)
        stage = world.follower.chain.stages[0]
        stage.deadline_s = 0.01
        ConstantModel.unhindered.clear()
        wait_until(asked.is_set)
        assert world.health.draining
        assert stage.caller.exhausted
    finally:
        ConstantModel.unhindered.set()
        signal.signal(signal.SIGTERM, before)


def test_it_sweeps_the_audit(world: World, tmp_path: Path) -> None:
    """Files that are older than the audit is kept for go, without anybody asking."""
    old = tmp_path / "audit" / "predictions-20200101-1.jsonl"
    old.parent.mkdir()
    old.write_text("old\n")
    world.background.start()
    wait_until(lambda: not old.exists())
    wait_until(lambda: bool(world.sink.named("audit.removed")))


def test_stopping_leaves_the_board(world: World) -> None:
    """The other workers no longer see it."""
    world.background.start()
    world.background.stop()
    assert world.board.reports() == []
    assert len(world.sink.named("service.stopping")) == 1


def test_a_worker_that_is_the_last_one_ready_stays(
    world: World, registry: Registry, schema: FeatureSchema, logistic: Any
) -> None:
    """Its fallback answers; nobody would if it left."""
    registry.activate(registry.register(draft_of(schema, primary=ConstantModel(), fallback=logistic)))
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("it left"))
    try:
        world.background.start()
        stage = world.follower.chain.stages[0]
        stage.deadline_s = 0.01
        ConstantModel.unhindered.clear()
        wait_until(lambda: stage.breaker_open and stage.caller.exhausted)
        tested = world.board.reports()[0][0].reported
        wait_until(lambda: world.board.reports()[0][0].reported > tested)
        assert world.health.ready
        assert world.follower.chain.answer(schema.sample(3)).stage.name == "fallback"
    finally:
        ConstantModel.unhindered.set()
        signal.signal(signal.SIGTERM, before)


def sibling_is_ready(board: WorkerBoard) -> None:
    """Puts a second worker on the board: a living process, and ready."""
    sibling = WorkerBoard(board.folder)
    sibling.join()
    sibling._pid = os.getppid()
    (board.folder / f"{os.getppid()}.pulse").write_bytes((board.folder / f"{os.getpid()}.pulse").read_bytes())
    sibling.post(report(os.getppid()))


def _fault() -> None:
    raise RuntimeError("a fault")
