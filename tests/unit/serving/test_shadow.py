"""A shadow sees what was answered, counts where it would have decided otherwise, and is in nobody's way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.contract.schema import FeatureSchema, Readings
from app.model.registry import Registry
from app.model.stages import FALLBACK, PRIMARY
from app.serving import shadow as module
from app.serving.prediction import PredictedBatch, Prediction
from app.serving.quarantine import Quarantine
from app.serving.reload import RETRY_S, ModelFollower
from app.serving.shadow import QUEUED, SLICE_ROWS, SLICES_OF_A_BATCH, Shadow
from app.serving.shadow_model import ShadowModel
from app.serving.shadow_state import ShadowState, together
from tests.conftest import draft_of
from tests.fakes import Clock, ConstantModel, MemorySink, NanModel, RaisingModel, logger, started_tally
from tests.unit.serving.test_chain import builder
from tests.unit.serving.test_quarantine import dead_pid, died
from tests.unit.telemetry.test_tally import counted
from tests.waiting import wait_until

ROW = tuple(FeatureSchema().example().values())


class World:
    """A worker that serves, with the shadow version that `candidate` becomes."""

    def __init__(self, registry: Registry, schema: FeatureSchema, version: str) -> None:
        self.clock = Clock()
        self.sink, self.tally = MemorySink(), started_tally()
        log = logger(self.sink)
        self.registry, self.schema = registry, schema
        self.follower = ModelFollower(registry, builder(schema), Quarantine(registry.folder / ".quarantine"), log)
        self.follower.arm()
        self.quarantine = Quarantine(registry.folder / ".shadow")
        self.model = ShadowModel(version, registry, builder(schema), self.follower, self.quarantine, log, self.clock)
        self.shadow = Shadow(self.model, log, self.tally, look_interval_s=1, clock=self.clock)

    def counts(self) -> dict[str, float]:
        """What Prometheus sees."""
        names = {"same": {"agreement": "same"}, "different": {"agreement": "different"}}
        found = {name: counted(self.tally, "shadow_rows_total", **labels) for name, labels in names.items()}
        return found | {name: counted(self.tally, f"shadow_{name}_total") for name in ("dropped", "failures")}

    def look(self) -> None:
        """Lets it look again, at what it looks at now and then."""
        self.clock.now += 1
        self.shadow.work()

    def finish(self) -> None:
        """Lets it score all that waits."""
        while self.shadow._queue:
            self.shadow.work()


def shadowing(registry: Registry, schema: FeatureSchema, estimator: Any, **more: Any) -> World:
    version = registry.register(draft_of(schema, primary=estimator, **more))
    return World(registry, schema, version)


@pytest.fixture
def world(registry: Registry, version: str, schema: FeatureSchema) -> World:
    """The shadow takes every reading for an anomaly."""
    made = shadowing(registry, schema, ConstantModel(0.9))
    made.shadow.work()
    return made


@pytest.fixture(autouse=True)
def _unhindered() -> Iterator[None]:
    yield
    ConstantModel.unhindered.set()


def scores_again(world: World) -> bool:
    return world.shadow.state.loaded and world.shadow.state.refused is None


def answered(is_anomaly: bool, stage: str = PRIMARY) -> Prediction:
    return Prediction(ROW, float(is_anomaly), is_anomaly, stage, "v1", "id", 0.1, None)


def batch(decisions: list[bool], stage: str = PRIMARY) -> PredictedBatch:
    rows = np.array([ROW] * len(decisions))
    return PredictedBatch(Readings(rows), [0.5] * len(decisions), decisions, stage, "v1", "id", 0.1, None)


def test_agreement_is_counted_reading_by_reading(world: World) -> None:
    """Single readings and batches alike, in the worker's own state too."""
    for decision in (True, False, True):
        world.shadow.offer(answered(decision))
    world.shadow.offer_batch(batch([True, False, False, False]))
    world.finish()
    assert world.counts() == {"same": 3, "different": 4, "dropped": 0, "failures": 0}
    assert (world.shadow.state.rows, world.shadow.state.disagreements) == (7, 4)
    assert [event["version"] for event in world.sink.named("shadow.loaded")] == [world.model.version]


def test_only_answers_of_the_primary_are_compared(world: World) -> None:
    """Another stage's decisions say nothing about the two versions."""
    world.shadow.offer(answered(False, FALLBACK))
    world.shadow.offer_batch(batch([False], FALLBACK))
    assert not world.shadow._queue


def test_no_piece_of_work_is_long(world: World) -> None:
    """Readings are scored some hundred at a time, in order."""
    for _ in range(2 * SLICE_ROWS + 1):
        world.shadow.offer(answered(True))
    scored = []
    while world.shadow._queue:
        before = world.shadow.state.rows
        world.shadow.work()
        scored.append(world.shadow.state.rows - before)
    assert scored == [SLICE_ROWS, SLICE_ROWS, 1]


def test_what_there_is_no_room_for_is_dropped_and_counted(world: World) -> None:
    """Of single readings those beyond the queue, of a large batch those beyond its slices."""
    large = SLICES_OF_A_BATCH * SLICE_ROWS + 7
    world.shadow.offer_batch(batch([True] * large))
    assert len(world.shadow._queue) == SLICES_OF_A_BATCH
    for _ in range(QUEUED):
        world.shadow.offer(answered(True))
    world.shadow.offer_batch(batch([True] * 3))
    assert len(world.shadow._queue) == QUEUED
    world.finish()
    world.look()
    assert world.shadow.state.dropped == 7 + SLICES_OF_A_BATCH + 3
    assert world.counts() == {
        "same": large - 7 + QUEUED - SLICES_OF_A_BATCH,
        "different": 0,
        "dropped": world.shadow.state.dropped,
        "failures": 0,
    }


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        pytest.param(RaisingModel(), "RuntimeError: this model cannot predict", id="it raises"),
        pytest.param(NanModel(), "not finite", id="it gives NaN"),
    ],
)
def test_a_bad_model_is_refused_and_told_once(
    registry: Registry, version: str, schema: FeatureSchema, model: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The active version's health is not touched, and nothing is taken."""
    candidate = registry.register(draft_of(schema, primary=ConstantModel()))
    world = World(registry, schema, candidate)
    sound, refused = registry.load, replace(registry.load(candidate), estimators={PRIMARY: model})
    monkeypatch.setattr(registry, "load", lambda _: refused)
    for _ in range(3):
        world.look()
        world.clock.now += RETRY_S
    world.shadow.offer(answered(True))
    (event,) = world.sink.named("shadow.refused")
    assert reason in event["reason"]
    assert (world.shadow.state.loaded, world.shadow.state.refused) == (False, event["reason"])
    assert not world.shadow._queue
    monkeypatch.setattr(registry, "load", sound)
    world.clock.now += RETRY_S
    world.look()
    assert scores_again(world)


def test_a_damaged_file_is_refused(registry: Registry, version: str, schema: FeatureSchema) -> None:
    """With the reason the registry gives."""
    candidate = registry.register(draft_of(schema, primary=ConstantModel()))
    (registry.folder / candidate / "primary.joblib").write_bytes(b"")
    world = World(registry, schema, candidate)
    world.shadow.work()
    assert "SHA-256 is" in (world.shadow.state.refused or "")


def test_a_version_without_a_primary_is_refused(registry: Registry, version: str, schema: FeatureSchema) -> None:
    """There is nothing to compare with the active primary."""
    world = World(registry, schema, registry.register(draft_of(schema, fallback=ConstantModel())))
    world.shadow.work()
    assert "the version has none" in (world.shadow.state.refused or "")


def test_a_missing_version_scores_as_soon_as_it_is_registered(
    registry: Registry, version: str, schema: FeatureSchema
) -> None:
    """No minute of waiting: whether it is there costs next to nothing to find out."""
    candidate = registry.register(draft_of(schema, primary=ConstantModel()))
    away = registry.folder.parent / "away"
    (registry.folder / candidate).rename(away)
    world = World(registry, schema, candidate)
    world.look()
    assert world.shadow.state.refused == f"no version {candidate!r} in {registry.folder}"
    away.rename(registry.folder / candidate)
    world.look()
    assert scores_again(world)


def test_a_shadow_of_itself_does_nothing_until_another_version_is_active(world: World, version: str) -> None:
    """And says why; activating it ends the comparison, going back begins it again."""
    world.shadow.offer(answered(True))
    world.registry.activate(world.model.version)
    world.follower.follow()
    world.look()
    world.shadow.offer(answered(True))
    assert world.shadow.state.refused == "it is the active version: there is nothing to compare"
    assert (world.shadow.state.loaded, world.shadow.state.dropped, world.shadow.state.rows) == (False, 1, 0)
    world.registry.activate(version)
    world.follower.follow()
    world.look()
    world.shadow.offer(answered(True))
    world.finish()
    assert scores_again(world)
    assert world.shadow.state.rows == 1


def test_a_model_that_hangs_costs_one_thread_and_is_tried_again_once_it_is_back(world: World) -> None:
    """Its readings are dropped meanwhile."""
    stage = world.model.stage
    assert stage is not None
    stage.deadline_s = 0.01
    ConstantModel.unhindered.clear()
    for _ in range(stage.breaker_failures):
        world.shadow.offer(answered(True))
        world.shadow.work()
    world.shadow.offer(answered(True))
    assert (world.model.stage, world.shadow.state.loaded) == (None, True)
    assert "no answer within 10 ms" in (world.shadow.state.refused or "")
    assert world.counts()["failures"] == stage.breaker_failures
    assert not world.shadow._queue
    ConstantModel.unhindered.set()
    wait_until(lambda: stage.caller.abandoned == 0)
    stage.deadline_s = 30
    world.clock.now += RETRY_S
    world.look()
    world.shadow.offer(answered(True))
    world.finish()
    assert scores_again(world)
    assert world.shadow.state.rows == 1


def test_a_model_that_takes_workers_with_it_is_left_alone(world: World) -> None:
    """As long as the service runs; whoever wants it tried again starts anew."""
    died(world.registry.folder / ".shadow", world.model.version, [dead_pid(), dead_pid()])
    world.model.refuse("for a test")
    world.clock.now += RETRY_S
    world.look()
    assert world.model.stage is None
    assert "workers died" in (world.shadow.state.refused or "")


def test_a_death_over_live_readings_leaves_its_mark(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The marker is there while it scores, and only then."""
    markers = world.registry.folder / ".shadow"
    seen: list[list[str]] = []
    stage = world.model.stage
    assert stage is not None
    monkeypatch.setattr(
        ConstantModel, "predict_proba", lambda *_: seen.append([path.read_text() for path in markers.iterdir()])
    )
    world.shadow.offer(answered(True))
    world.shadow.work()
    assert seen == [[world.model.version]]
    assert list(markers.iterdir()) == []


def test_its_thread_outlives_a_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And tells of it once in a while, not every time."""
    monkeypatch.setattr(module, "WAKE_INTERVAL_S", 0.001)
    monkeypatch.setattr(world.shadow, "_score", _fault)
    world.shadow.offer(answered(True))
    world.shadow.start()
    wait_until(lambda: world.model.stage is None)
    monkeypatch.undo()
    world.clock.now += RETRY_S
    wait_until(lambda: world.model.stage is not None)
    world.shadow.offer(answered(True))
    wait_until(lambda: world.shadow.state.rows == 1)
    world.shadow.stop()
    assert len(world.sink.named("shadow.failed")) == 1


def _fault(*_: object) -> None:
    raise RuntimeError("a fault")


def test_stopping_does_not_wait_for_a_model_that_hangs(world: World) -> None:
    """The thread is left behind; it cannot keep the process."""
    ConstantModel.unhindered.clear()
    stage = world.model.stage
    assert stage is not None
    stage.deadline_s = 30
    world.shadow.offer(answered(True))
    world.shadow.start()
    wait_until(lambda: not world.shadow._queue)
    world.shadow.stop()
    (thread,) = (thread for thread in threading.enumerate() if thread is world.shadow._thread)
    assert thread.daemon
    ConstantModel.unhindered.set()
    thread.join(30)
    assert not thread.is_alive()


def test_all_workers_together() -> None:
    """Sums, each reason once, and loaded only where all have it."""
    one = ShadowState(version="v", loaded=True, refused=None, rows=5, disagreements=1, dropped=2, failures=0)
    two = ShadowState(version="v", loaded=False, refused="torn", rows=1, disagreements=0, dropped=0, failures=3)
    assert together([one, None, two, two]) == ShadowState(
        version="v", loaded=False, refused="torn", rows=7, disagreements=1, dropped=2, failures=6
    )
    assert together([None]) is None
