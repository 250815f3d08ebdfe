"""Three replicas behind nginx: whatever is done to one of them at a time, no client sees a failure."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from tests.conftest import draft_of, fitted_logistic
from tests.e2e.conftest import Answer, Service, ask, eventually
from tests.replicas.balancer import Balancer
from tests.replicas.load import BODY, HEADERS, Load

REPLICAS = 3


@dataclass(frozen=True, slots=True)
class Fleet:
    """The replicas, nginx before them, and two model versions, of which the first is active."""

    replicas: list[Service]
    registries: list[Registry]
    """One for each replica, or the same for all."""
    balancer: Balancer
    versions: tuple[str, str]

    def ask(self, path: str, body: bytes) -> Answer:
        """One POST by way of nginx."""
        return ask(self.balancer.port, "POST", path, body, HEADERS)

    def serve(self, version: str) -> None:
        """Makes a version active, in one registry after the other, and waits until each replica answers with it."""
        for replica, registry in zip(self.replicas, self.registries, strict=True):
            registry.activate(version)
            eventually(partial(serves, replica, version), f"{version} is served")


def predicted_by(replica: Service) -> dict[str, str]:
    """A replica's own answer to a prediction."""
    answer = replica.request("POST", "/predict", BODY, HEADERS)
    assert answer.status == 200
    document: dict[str, str] = answer.json
    return document


def serves(replica: Service, version: str) -> bool:
    return predicted_by(replica)["model_version"] == version


@pytest.fixture(params=["shared registry", "a registry each"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path, schema: FeatureSchema) -> Iterator[Fleet]:
    folders = [tmp_path / "models-0"] * REPLICAS
    registry = Registry(folders[0], schema)
    old, new = (registry.register(draft_of(schema, primary=fitted_logistic(schema, seed))) for seed in (1, 2))
    registry.activate(old)
    if request.param == "a registry each":
        folders = [tmp_path / f"models-{number}" for number in range(REPLICAS)]
        for folder in folders[1:]:
            shutil.copytree(folders[0], folder)
    replicas = [Service(tmp_path / f"replica-{n}", folder, DRAIN_S="1") for n, folder in enumerate(folders)]
    with ExitStack() as stack:
        for replica in replicas:
            stack.enter_context(replica)
        balancer = stack.enter_context(Balancer(tmp_path, [replica.port for replica in replicas]))
        yield Fleet(replicas, [Registry(folder, schema) for folder in folders], balancer, (old, new))


one_registry = pytest.mark.parametrize("fleet", ["shared registry"], indirect=True)


def restart(replica: Service) -> None:
    """Asks it to leave, as an orchestrator does."""
    assert replica.stop() == 0
    replica.start()


def kill(replica: Service) -> None:
    """Tears it away, master and workers at once, in the middle of whatever it does."""
    replica.kill()
    replica.start()


@one_registry
@pytest.mark.parametrize("fell", [restart, kill])
def test_a_replica_may_leave(fleet: Fleet, fell: Callable[[Service], None], capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other, each asked to leave, or killed, and started again under load: every request is answered."""
    with Load(fleet.balancer.port) as load:
        for replica in fleet.replicas:
            fell(replica)
            load.go_on()
    report(capsys, f"{fell.__name__} each of {REPLICAS}", fleet, load)
    assert load.failures == []


def test_a_model_version_reaches_every_replica(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """To the new version and back, under load: every request is answered, by the one or the other."""
    old, new = fleet.versions
    with Load(fleet.balancer.port) as load:
        for version in (new, old):
            fleet.serve(version)
            load.go_on(version)
    report(capsys, "a new model version and back", fleet, load)
    assert load.failures == []
    assert set(load.versions) == {old, new}


def test_feedback_may_reach_any_replica(fleet: Fleet) -> None:
    """A prediction's id says all there is to know: whoever gets its feedback counts it, whatever it serves itself."""
    fleet.registries[0].activate(fleet.versions[1])
    eventually(partial(serves, fleet.replicas[0], fleet.versions[1]), "the new version is served")
    for predicting, hearing in itertools.product(fleet.replicas, repeat=2):
        feedback = {"prediction_id": predicted_by(predicting)["prediction_id"], "actual": 1}
        assert hearing.post("/feedback", feedback).status == 202
    for predicting in fleet.replicas:
        feedback = {"prediction_id": predicted_by(predicting)["prediction_id"], "actual": 0}
        assert fleet.ask("/feedback", json.dumps(feedback).encode()).status == 202


@one_registry
def test_without_any_replica_clients_get_the_service_s_own_envelope(fleet: Fleet) -> None:
    """503 with Retry-After and a problem document; the moment one is back, it is asked, however lately it failed."""
    for replica in fleet.replicas:
        replica.kill()
    answer = fleet.ask("/predict", BODY)
    assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.headers["retry-after"] == "2"
    assert (answer.json["success"], answer.json["error"]) == (False, "No replica answers")
    fleet.replicas[1].start()
    assert fleet.ask("/predict", BODY).status == 200


def report(capsys: pytest.CaptureFixture[str], what: str, fleet: Fleet, load: Load) -> None:
    """The figures, whether the test passes or not."""
    with capsys.disabled():
        print(
            f"\n{what}: {load.answers} predictions answered, {len(load.failures)} failures, "
            f"{fleet.balancer.tried_again()} asked of a second replica, slowest {load.slowest_s * 1000:.0f} ms"
        )
