"""Why a worker should make room for a fresh one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import pytest

from app.errors import StageFailedError
from app.serving.board import WorkerBoard
from app.serving.chain import Chain
from app.serving.deadline import DeadlineCaller
from app.serving.departure import ODD_TESTS, DepartureCheck
from app.serving.memory import memory_mb
from app.serving.reload import ModelFollower
from app.serving.stage import Probe, Stage, StageState
from tests.fakes import RaisingScorer
from tests.unit.serving.test_board import report


@dataclass
class Follower:
    """As much of a follower as is looked at."""

    chain: Chain


class World:
    """A worker whose primary fails when told to, and what its siblings say of theirs."""

    def __init__(self, folder: Path, max_memory_mb: int = 0) -> None:
        self.scorer = RaisingScorer()
        self.stage = Stage("primary", self.scorer, 0.5, Probe(np.zeros((1, 1))), 1.0, DeadlineCaller("primary", 1), 2)
        self.board = WorkerBoard(folder / "board")
        self.board.join()
        follower = cast(ModelFollower, Follower(Chain("v", (self.stage,))))
        self.check = DepartureCheck(follower, self.board, max_memory_mb)

    def siblings(self, *answering: bool, version: str = "v") -> None:
        """Puts living processes on the board, other than this one."""
        for pid, one in zip((os.getppid(), 1), answering, strict=False):
            state = StageState(answering=one, since=0.0)
            said = msgspec.structs.replace(report(pid), stages={"primary": state}, model_version=version)
            (self.board.folder / f"{pid}.json").write_bytes(msgspec.json.encode(said))
            (self.board.folder / f"{pid}.pulse").write_bytes((self.board.folder / f"{os.getpid()}.pulse").read_bytes())

    def self_tests(self, outcomes: Iterable[bool]) -> None:
        for passes in outcomes:
            self.scorer.broken = not passes
            with suppress(StageFailedError):  # the stage remembers
                self.stage.self_test()
            self.check.self_tested()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_worker_that_is_well_stays(world: World) -> None:
    """Whatever its siblings say."""
    world.siblings(False, True)
    world.self_tests([True] * 5)
    assert world.check.due() is None


def test_a_worker_whose_primary_fails_alone_should_go(world: World) -> None:
    """Not at once: a version that becomes active reaches its siblings a little later."""
    world.siblings(True, True)
    world.self_tests([False] * (ODD_TESTS - 1))
    assert world.check.due() is None
    world.self_tests([False])
    departure = world.check.due()
    assert departure is not None
    assert not departure.urgent
    assert "no other worker" in departure.reason


@pytest.mark.parametrize(
    ("answering", "version"),
    [pytest.param((True, False), "v", id="a sibling fails too"), pytest.param((), "v", id="it is alone"),
     pytest.param((True, True), "other", id="the siblings serve another version")],
)  # fmt: skip
def test_a_worker_whose_model_may_be_to_blame_stays(world: World, answering: tuple[bool, ...], version: str) -> None:
    """A fresh worker would have the same model."""
    world.siblings(*answering, version=version)
    world.self_tests([False] * 5)
    assert world.check.due() is None


def test_one_good_self_test_is_enough_to_stay(world: World) -> None:
    """Only failures in a row count."""
    world.siblings(True)
    world.self_tests([False, False, True, False, False])
    assert world.check.due() is None


def test_a_worker_beyond_its_memory_should_go(tmp_path: Path) -> None:
    """Far beyond it, whoever stays."""
    held_mb = int(memory_mb())
    little = World(tmp_path, max_memory_mb=int(held_mb * 0.9)).check.due()
    much = World(tmp_path, max_memory_mb=held_mb // 2).check.due()
    assert little is not None
    assert much is not None
    assert (little.urgent, much.urgent) == (False, True)
    assert "MAX_WORKER_MEMORY_MB" in much.reason
    assert World(tmp_path, max_memory_mb=held_mb * 10).check.due() is None
    assert World(tmp_path, max_memory_mb=0).check.due() is None


@pytest.mark.parametrize(("max_memory_mb", "outcome"), [(50, "refused"), (500, "given"), (0, "given")])
def test_no_call_can_take_far_more_than_that(max_memory_mb: int, outcome: str) -> None:
    """A process of its own asks for 200 MB: half a second later would be too late to look."""
    script = (
        "from app.serving.memory import bound_memory\n"
        f"bound_memory({max_memory_mb})\n"
        "try:\n    bytearray(200 * 2**20)\n    print('given')\n"
        "except MemoryError:\n    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == outcome
