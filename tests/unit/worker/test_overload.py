"""What is refused: the excess of an overload, and nothing of a burst or a stall."""

from __future__ import annotations

from typing import Any

import pytest

from app.worker.overload import ACCEPTED_AT_ONCE, ACCEPTED_IN_TROUBLE, BEAT_S, Overload
from tests.unit.worker.fakes import FakeClock, Journal

MAX_LAG_S, PATIENCE_S = 0.1, 2.0
POST: dict[str, Any] = {"REQUEST_METHOD": "POST", "PATH_INFO": "/predict"}
GET: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/health/ready"}


class World:
    """An overload watch whose turns of the event loop are made by hand."""

    def __init__(self) -> None:
        self.clock, self.journal, self.shed = FakeClock(), Journal(), 0
        self.asked: list[int] = []
        self.overload = Overload(MAX_LAG_S, PATIENCE_S, self.journal.logger(), self._count, self.clock)

    def turn(self, seconds: float, waiting: int = 0) -> None:
        """A turn that took so long, at whose end so many connections wait."""
        self.clock.now += seconds

        def accept(most: int) -> int:
            self.asked.append(most)
            return waiting

        self.overload.beat(accept)

    def answer(self, seconds: float, times: int = 1) -> None:
        """Requests that took so long, one after the other."""
        for _ in range(times):
            start, self.clock.now = self.clock.now, self.clock.now + seconds
            self.overload.answered(start, self.clock.now)

    def behind(self) -> None:
        """Makes turns too long, for longer than patience lasts."""
        for _ in range(int(PATIENCE_S / MAX_LAG_S) + 2):
            self.turn(MAX_LAG_S)

    def refuses(self, environ: dict[str, Any] = POST) -> bool:
        return self.overload.refusal(environ, surplus=False) is not None

    def _count(self) -> None:
        self.shed += 1


@pytest.fixture
def world() -> World:
    return World()


def test_an_idle_worker_refuses_nothing(world: World) -> None:
    """However long nobody asked."""
    for _ in range(100):
        world.turn(BEAT_S)
        assert not world.refuses()
    assert world.shed == 0


def test_a_burst_is_worked_off(world: World) -> None:
    """A worker that had caught up not long ago may be late, but not for ever."""
    world.turn(BEAT_S)
    world.answer(0.05, times=10)
    assert not world.refuses()
    world.answer(0.05)
    assert world.refuses()


def test_a_stall_costs_nothing(world: World) -> None:
    """Calls of a model that hangs until its breaker opens: what waited for them is no queue."""
    world.turn(BEAT_S)
    world.answer(0.35, times=5)
    assert not world.refuses()


def test_a_pause_costs_nothing(world: World) -> None:
    """A worker that the system gave no turn: what came meanwhile is a burst at most."""
    world.turn(BEAT_S)
    world.answer(0.01)
    world.clock.now += 1.5
    assert not world.refuses()
    world.answer(0.05, times=5)
    assert not world.refuses()


def test_a_stall_without_end_is_an_overload(world: World) -> None:
    """Requests that all take long can be too many as well."""
    for _ in range(10):
        world.answer(0.35)
        world.turn(0)
    world.answer(0.35)
    assert world.refuses()


def test_who_is_behind_for_long_refuses_what_comes_late_in_a_turn(world: World) -> None:
    """The first of each turn are served, so that the worker never idles."""
    world.behind()
    assert not world.refuses()
    world.clock.now += MAX_LAG_S + 0.01
    assert world.refuses()
    world.turn(0)
    assert not world.refuses()


def test_connections_that_wait_to_be_accepted_are_a_queue_too(world: World) -> None:
    """Short turns alone are no sign that the worker has caught up."""
    for _ in range(int(PATIENCE_S / BEAT_S) + 2):
        world.turn(BEAT_S, waiting=1)
    world.clock.now += MAX_LAG_S + 0.01
    assert world.refuses()


def test_who_has_caught_up_is_patient_again(world: World) -> None:
    """One short turn after which nobody waits."""
    world.behind()
    world.turn(BEAT_S)
    world.answer(0.05, times=4)
    assert not world.refuses()


def test_probes_are_never_refused(world: World) -> None:
    """Nor is any other look at the service."""
    world.behind()
    world.clock.now += 10
    assert not world.refuses(GET)
    assert world.overload.refusal(GET, surplus=True) is None
    assert world.refuses()


def test_a_refusal_says_when_to_come_back(world: World) -> None:
    """In the envelope of all errors, with the client's own id."""
    reply = world.overload.refusal({**POST, "HTTP_X_REQUEST_ID": "mine"}, surplus=True)
    assert reply is not None
    headers = dict(reply.headers)
    assert (reply.status, headers["Retry-After"], headers["X-Request-ID"]) == ("503 Service Unavailable", "1", "mine")
    assert b'"type":"urn:problem-type:overloaded"' in reply.body


def test_many_refusals_are_counted_and_logged_as_one(world: World) -> None:
    """Once a second at most."""
    for _ in range(10):
        world.overload.refusal(POST, surplus=True)
    world.clock.now += 1
    world.overload.refusal(POST, surplus=True)
    assert world.shed == 11
    assert [event["requests"] for event in world.journal.events] == [1, 10]


def test_connections_are_taken_in_one_by_one_unless_there_is_trouble(world: World) -> None:
    """So that workers share evenly what comes at once, and nothing queues unseen."""
    world.turn(BEAT_S)
    world.turn(BEAT_S)
    world.turn(MAX_LAG_S)
    world.turn(BEAT_S)
    assert world.asked[1:] == [ACCEPTED_AT_ONCE, ACCEPTED_IN_TROUBLE, ACCEPTED_IN_TROUBLE]
