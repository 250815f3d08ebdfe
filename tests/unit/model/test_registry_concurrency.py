"""Several processes change one registry at once: no change is lost, and no reader sees half of one."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from tests.conftest import draft_of
from tests.unit.model.crafting import Scoring

SCHEMA = FeatureSchema()
PROCESSES = 4
ROUNDS = 12

fork = multiprocessing.get_context("fork")


def activate_by_turns(folder: Path, versions: list[str], first: int, start: Any) -> None:
    """Activates one version after the other, all processes from the same moment on."""
    registry = Registry(folder, SCHEMA)
    start.wait()
    for place in range(ROUNDS):
        registry.activate(versions[(first + place) % len(versions)])


def register_one(folder: Path, score: float, start: Any) -> None:
    """Registers a version of its own and activates it."""
    registry = Registry(folder, SCHEMA)
    start.wait()
    registry.activate(registry.register(draft_of(SCHEMA, primary=Scoring(score))))


@pytest.fixture
def versions(registry: Registry) -> list[str]:
    return [registry.register(draft_of(SCHEMA, primary=Scoring(score))) for score in (0.1, 0.2, 0.3)]


def assert_consistent(registry: Registry) -> None:
    """The history is one chain that ends at the pointer."""
    activations = [entry for entry in registry.history() if entry.action == "activate"]
    previous = [None, *(entry.version for entry in activations)]
    assert [entry.previous for entry in activations] == previous[:-1]
    assert registry.active() == previous[-1]
    assert sorted(path.name for path in registry.folder.iterdir() if path.name.startswith(".")) == [".lock"]


def test_concurrent_activations_leave_one_chain(registry: Registry, versions: list[str]) -> None:
    """Every activation is in the history, each knows the one before it, and the pointer is always whole."""
    registry.activate(versions[0])
    start = fork.Barrier(PROCESSES)
    workers = [
        fork.Process(target=activate_by_turns, args=(registry.folder, versions, first, start))
        for first in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    seen = set()
    while any(worker.is_alive() for worker in workers):
        seen.add(registry.active())
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    assert seen <= set(versions)
    assert sum(entry.action == "activate" for entry in registry.history()) == 1 + PROCESSES * ROUNDS
    assert_consistent(registry)


def test_concurrent_registrations_all_arrive(registry: Registry) -> None:
    """Each with its line of history, each whole."""
    start = fork.Barrier(PROCESSES)
    workers = [
        fork.Process(target=register_one, args=(registry.folder, place / 10, start)) for place in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    registered = [entry.version for entry in registry.history() if entry.action == "register"]
    assert sorted(registered) == registry.versions()
    assert len(registered) == PROCESSES
    for version in registered:
        registry.verify(version)
    assert_consistent(registry)
