"""Why a worker should make room for a fresh one: what is wrong lies in its process, and a new one is without it."""

from __future__ import annotations

from typing import NamedTuple

from app.model.stages import PRIMARY
from app.serving.board import WorkerBoard
from app.serving.memory import bound_memory, memory_mb
from app.serving.reload import ModelFollower

URGENT_FACTOR = 1.5
"""A worker so far above its memory goes even where no other is ready: the system would kill it, or another, anyway."""

ODD_TESTS = 3
"""Self-tests in a row that the primary fails here and passes in every other worker: then it is not the model."""


class Departure(NamedTuple):
    """A reason to leave; `urgent`: whoever stays."""

    reason: str
    urgent: bool = False


class DepartureCheck:
    """Looks at this worker's hung calls, its memory, and how it differs from the others."""

    def __init__(self, follower: ModelFollower, board: WorkerBoard, max_memory_mb: int) -> None:
        self._follower = follower
        self._board = board
        self._max_memory_mb = max_memory_mb
        self._odd_tests = 0

    def start(self) -> None:
        """Sets the bound of this process's memory; call it after the last fork."""
        bound_memory(self._max_memory_mb)

    def due(self) -> Departure | None:
        """Why this worker should go, None where it should not."""
        if any(stage.caller.exhausted for stage in self._follower.chain.stages):
            return Departure("too many model calls hang")
        if self._max_memory_mb and (held_mb := memory_mb()) > self._max_memory_mb:
            reason = f"{held_mb:.0f} MB of memory, more than {self._max_memory_mb} (MAX_WORKER_MEMORY_MB)"
            return Departure(reason, urgent=held_mb > URGENT_FACTOR * self._max_memory_mb)
        if self._odd_tests >= ODD_TESTS:
            return Departure("the primary fails its self-tests here and in no other worker")
        return None

    def self_tested(self) -> None:
        """Compares the outcome of this worker's self-test with what the others report."""
        chain = self._follower.chain
        failing = any(stage.name == PRIMARY and not stage.state.answering for stage in chain.stages)
        others = [
            report.stages[PRIMARY].answering
            for report, _ in self._board.reports()
            if report.pid != self._board.pid and report.model_version == chain.version and PRIMARY in report.stages
        ]
        self._odd_tests = self._odd_tests + 1 if failing and others and all(others) else 0
