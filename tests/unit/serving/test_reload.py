"""Following the registry's pointer."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.serving.quarantine import Quarantine
from app.serving.reload import ModelFollower
from tests.conftest import draft_of
from tests.fakes import Clock, ConstantModel, MemorySink, logger
from tests.unit.serving.test_chain import builder


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def follower(registry: Registry, schema: FeatureSchema, sink: MemorySink) -> ModelFollower:
    return follower_of(registry, schema, sink, Clock())


def follower_of(registry: Registry, schema: FeatureSchema, sink: MemorySink, clock: Clock) -> ModelFollower:
    quarantine = Quarantine(registry.folder / ".quarantine")
    return ModelFollower(registry, builder(schema), quarantine, logger(sink), clock)


def serving(follower: ModelFollower) -> ModelFollower:
    follower.load()
    follower.arm()
    return follower


def corrupt(registry: Registry, version: str, name: str) -> None:
    path = registry.folder / version / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_serves_the_active_version(follower: ModelFollower, version: str, sink: MemorySink) -> None:
    """The ordinary start."""
    serving(follower)
    assert (follower.chain.version, follower.model_loaded, follower.refused) == (version, True, None)
    assert [event["version"] for event in sink.named("bundle.loaded")] == [version]


def test_starts_on_the_rule_where_nothing_is_active(follower: ModelFollower, sink: MemorySink) -> None:
    """A service without a model still answers, and says why it has none."""
    serving(follower)
    assert [stage.name for stage in follower.chain.stages] == ["baseline"]
    assert {event["reason"] for event in sink.named("bundle.refused")} == {"no active model version"}


def test_starts_on_the_fallback_where_the_primary_is_tampered_with(
    follower: ModelFollower, registry: Registry, version: str, sink: MemorySink
) -> None:
    """One bad file costs one stage."""
    corrupt(registry, version, "primary.joblib")
    serving(follower)
    assert [stage.name for stage in follower.chain.stages] == ["fallback", "baseline"]
    assert not follower.model_loaded
    assert "SHA-256" in sink.named("bundle.refused")[0]["reason"]


def test_starts_on_the_rule_where_the_pointer_names_nothing_real(follower: ModelFollower, registry: Registry) -> None:
    """A pointer edited by hand must not stop the service."""
    registry.folder.mkdir(parents=True)
    (registry.folder / "ACTIVE").write_text("no-such-version\n")
    serving(follower)
    assert [stage.name for stage in follower.chain.stages] == ["baseline"]
    assert "no-such-version" in follower.chain.absent["primary"]


def test_takes_the_version_that_became_active_between_load_and_start(
    follower: ModelFollower, registry: Registry, version: str, schema: FeatureSchema, logistic: Any
) -> None:
    """A worker that is replaced hours later must not come back with the master's old copy."""
    follower.load()
    newer = registry.register(draft_of(schema, primary=logistic))
    registry.activate(newer)
    follower.arm()
    assert follower.chain.version == newer


def test_swaps_to_a_newly_activated_version(
    follower: ModelFollower, registry: Registry, version: str, schema: FeatureSchema, logistic: Any
) -> None:
    """No restart is needed."""
    serving(follower)
    newer = registry.register(draft_of(schema, primary=logistic))
    registry.activate(newer)
    follower.follow()
    assert follower.chain.version == newer
    registry.rollback()
    follower.follow()
    assert follower.chain.version == version


def test_keeps_the_old_version_where_the_new_one_is_bad(
    follower: ModelFollower, registry: Registry, version: str, schema: FeatureSchema, sink: MemorySink
) -> None:
    """Even a half-usable newcomer does not replace a whole version; the refusal is told once."""
    serving(follower)
    newer = registry.register(draft_of(schema, primary=ConstantModel(), fallback=ConstantModel(0.1)))
    registry.activate(newer)
    corrupt(registry, newer, "primary.joblib")
    for _ in range(3):
        follower.follow()
    assert follower.chain.version == version
    assert follower.refused is not None
    assert newer in follower.refused
    assert len(sink.named("bundle.refused")) == 1


def test_forgets_a_refusal_once_the_pointer_is_right_again(
    follower: ModelFollower, registry: Registry, version: str
) -> None:
    """Rolling the pointer back mends health."""
    serving(follower)
    (registry.folder / "ACTIVE").write_text("no-such-version\n")
    follower.follow()
    assert follower.refused is not None
    (registry.folder / "ACTIVE").write_text(version + "\n")
    follower.follow()
    assert follower.chain.version == version
    assert not follower.refused


def test_goes_on_serving_where_the_pointer_disappears(
    follower: ModelFollower, registry: Registry, version: str
) -> None:
    """A vanished volume is no reason to stop answering."""
    serving(follower)
    (registry.folder / "ACTIVE").unlink()
    follower.follow()
    assert follower.chain.version == version
    assert follower.refused is not None


def test_a_replaced_worker_keeps_the_masters_version_where_the_new_one_is_bad(
    follower: ModelFollower, registry: Registry, version: str
) -> None:
    """It must not bring less than the workers beside it."""
    follower.load()
    (registry.folder / "ACTIVE").write_text("no-such-version\n")
    follower.arm()
    assert (follower.chain.version, follower.model_loaded) == (version, True)
    assert follower.refused is not None
    assert "no-such-version" in follower.refused


@pytest.mark.parametrize("content", [b"\xff\xfe", None], ids=["no text", "a folder"])
def test_a_pointer_that_cannot_be_read_does_not_stop_the_service(
    follower: ModelFollower, registry: Registry, content: bytes | None
) -> None:
    """It starts on the rule, and says why."""
    registry.folder.mkdir(parents=True)
    pointer = registry.folder / "ACTIVE"
    pointer.mkdir() if content is None else pointer.write_bytes(content)
    serving(follower)
    follower.follow()
    assert [stage.name for stage in follower.chain.stages] == ["baseline"]
    assert "cannot be read" in follower.chain.absent["primary"]


def test_a_repaired_version_is_taken_up_when_it_is_activated_again(
    follower: ModelFollower, registry: Registry, version: str
) -> None:
    """Without a restart."""
    good = (registry.folder / version / "primary.joblib").read_bytes()
    corrupt(registry, version, "primary.joblib")
    serving(follower)
    assert not follower.model_loaded
    (registry.folder / version / "primary.joblib").write_bytes(good)
    follower.follow()
    assert not follower.model_loaded
    registry.activate(version)
    follower.follow()
    assert follower.model_loaded
    assert not follower.chain.absent


def test_a_repaired_version_is_taken_up_by_itself_after_a_while(
    registry: Registry, version: str, schema: FeatureSchema, sink: MemorySink
) -> None:
    """A volume that came back needs no hand."""
    clock = Clock()
    follower = ModelFollower(
        registry, builder(schema), Quarantine(registry.folder / ".quarantine"), logger(sink), clock
    )
    good = (registry.folder / version / "primary.joblib").read_bytes()
    corrupt(registry, version, "primary.joblib")
    serving(follower)
    clock.now += 3600
    follower.follow()
    assert not follower.model_loaded
    (registry.folder / version / "primary.joblib").write_bytes(good)
    clock.now += 3600
    follower.follow()
    assert follower.model_loaded


def test_a_rollback_ends_the_refusal_even_where_the_old_version_is_not_whole(
    follower: ModelFollower, registry: Registry, version: str
) -> None:
    """What health says must be about the version that is active now."""
    corrupt(registry, version, "fallback.joblib")
    serving(follower)
    pointer = registry.folder / "ACTIVE"
    pointer.write_text("rotten\n")
    follower.follow()
    assert follower.refused is not None
    pointer.write_text(version + "\n")
    follower.follow()
    assert follower.refused is None
    assert set(follower.chain.absent) == {"fallback"}


def test_a_refused_first_version_is_told(follower: ModelFollower, registry: Registry, sink: MemorySink) -> None:
    """A service that has only its rule says why it still has nothing else."""
    serving(follower)
    registry.folder.mkdir(parents=True, exist_ok=True)
    (registry.folder / "ACTIVE").write_text("rotten\n")
    follower.follow()
    assert follower.refused is not None
    assert "rotten" in follower.refused
    assert "rotten" in sink.named("bundle.refused")[-1]["reason"]


def test_a_version_that_hung_in_its_proof_does_not_stand_in_the_way_of_the_next(
    registry: Registry, version: str, schema: FeatureSchema, logistic: Any, sink: MemorySink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Nor is it tried again while it hangs: each try would leave another thread behind."""
    monkeypatch.setattr("app.serving.chain.PROOF_DEADLINE_S", 0.05)
    clock = Clock()
    follower = ModelFollower(
        registry, builder(schema), Quarantine(registry.folder / ".quarantine"), logger(sink), clock
    )
    serving(follower)
    hanging = registry.register(draft_of(schema, primary=ConstantModel()))
    registry.activate(hanging)
    ConstantModel.unhindered.clear()
    try:
        for _ in range(5):
            follower.follow()
            clock.now += 3600
        threads = [thread for thread in threading.enumerate() if thread.name == "primary-proof"]
        assert len(threads) == 1
        assert follower.chain.version == version
        monkeypatch.setattr("app.serving.chain.PROOF_DEADLINE_S", 30)
        newer = registry.register(draft_of(schema, primary=logistic))
        registry.activate(newer)
        follower.follow()
        assert (follower.chain.version, follower.refused) == (newer, None)
    finally:
        ConstantModel.unhindered.set()
