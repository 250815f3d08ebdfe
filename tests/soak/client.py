"""One client of the mixed traffic: a connection that is kept, requests of all kinds, and a count of what went wrong."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.cases import Case
from tests.chaos.judge import Judge
from tests.e2e.conftest import Answer

PACE_S = 0.05
TIMEOUT_S = 30.0
RECONNECT_EVERY = 200
"""Requests on one connection."""
SHOWN = 20
"""What goes wrong is counted, and shown so many times."""

OVERLOADED = "urn:problem-type:overloaded"


class WrongAnswerError(Exception):
    """What came back is not what had to come back."""


class ShedError(Exception):
    """A request was refused because of overload, in the way that it has to be: the machine does other things too."""


@dataclass(slots=True)
class Tally:
    """What was sent, and what was wrong with the replies."""

    requests: Counter[str] = field(default_factory=Counter)
    """By kind."""
    shed: int = 0
    wrong: int = 0
    shown: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Something was wrong."""
        self.wrong += 1
        if len(self.shown) < SHOWN:
            self.shown.append(what)

    def add(self, other: Tally) -> None:
        self.requests += other.requests
        self.shed += other.shed
        self.wrong += other.wrong
        self.shown = (self.shown + other.shown)[:SHOWN]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request: how often it comes beside the others, and how it is sent and judged."""

    weight: int
    send: Callable[[Client], None]


Kinds = Mapping[str, Kind]


@dataclass(slots=True)
class Client:
    """Sends one request after the other, at an even pace; which ones, is drawn from `random`."""

    port: int
    judge: Judge
    corpus: Sequence[Case]
    random: Random
    pace_s: float = PACE_S
    tally: Tally = field(default_factory=Tally)
    prediction_ids: deque[str] = field(default_factory=lambda: deque(maxlen=50))
    """The latest, for feedback."""
    _connection: http.client.HTTPConnection | None = None
    _on_connection: int = 0

    def run(self, stopping: threading.Event, kinds: Kinds) -> None:
        """Until it is told to stop; leaves no connection behind."""
        due = time.monotonic() + self.random.uniform(0, self.pace_s)
        try:
            while not stopping.wait(max(0.0, due - time.monotonic())):
                due = max(due + self.pace_s, time.monotonic())
                (name,) = self.random.choices(list(kinds), [kind.weight for kind in kinds.values()])
                self.one(name, kinds[name])
        finally:
            self.leave()

    def one(self, name: str, kind: Kind) -> None:
        """Sends one request; what is wrong is noted, and the traffic goes on."""
        self.tally.requests[name] += 1
        try:
            kind.send(self)
        except ShedError:
            self.tally.shed += 1
        except (WrongAnswerError, AssertionError, OSError, http.client.HTTPException, ValueError, KeyError) as error:
            self.tally.note(f"{name}: {type(error).__name__}: {str(error)[:500]}")
            self.leave()

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """One request on the connection that is kept, for a while. Raises `ShedError`."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
            self._on_connection = 0
        self._connection.request(method, path, body, dict(headers or {}))
        response = self._connection.getresponse()
        answer = Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
        self._on_connection += 1
        if self._on_connection == RECONNECT_EVERY:
            self.leave()
        expect_served(answer)
        return answer

    def leave(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def expect_served(answer: Answer) -> None:
    """Raises `ShedError` where it is the refusal of a service that is asked for more than it can do."""
    if answer.status == 503 and "retry-after" in answer.headers and answer.json["type"] == OVERLOADED:
        raise ShedError
