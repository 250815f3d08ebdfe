"""All clients together, for a while."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from random import Random

from tests.cases import load_corpus
from tests.chaos.judge import Judge
from tests.soak.client import TIMEOUT_S, Client, Tally
from tests.soak.kinds import MIX

CLIENTS = 8


@dataclass(slots=True)
class Traffic:
    """The same mixed traffic each time; between two calls of `run` there is none, and no connection is left."""

    port: int
    judge: Judge
    seed: int = 7
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    """How long it has lasted so far."""
    _clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        corpus = load_corpus()
        self._clients = [
            Client(self.port, self.judge, corpus, Random(f"{self.seed} {number}"))  # noqa: S311 - the same load each time
            for number in range(CLIENTS)
        ]

    def run(self, seconds: float) -> None:
        """Traffic for that long."""
        stopping, start = threading.Event(), time.monotonic()
        threads = [threading.Thread(target=client.run, args=(stopping, MIX), daemon=True) for client in self._clients]
        for thread in threads:
            thread.start()
        stopping.wait(seconds)
        stopping.set()
        for thread in threads:
            thread.join(2 * TIMEOUT_S)
        self.seconds += time.monotonic() - start
        for client in self._clients:
            self.tally.add(client.tally)
            client.tally = Tally()
