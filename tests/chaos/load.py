"""A steady load of valid requests from two pools of keep-alive connections: one that never retries, and one that does.

Both meet the same fault at the same time. Each client sends at its own even pace and waits for each answer.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Self

import urllib3

from tests.chaos.judge import Judge, Judgement, Verdict

CLIENTS = 4
"""Of each pool."""

PACE_S = 0.02
TIMEOUT_S = 20.0

PLAIN = urllib3.Retry(0, redirect=0)
RETRYING = urllib3.Retry(
    total=6, backoff_factor=0.1, allowed_methods=None, redirect=0, respect_retry_after_header=False
)  # fmt: skip
"""The library's own retry after connection errors: at once, then after 0.2 s, 0.4 s and so on. It retries no status."""

Target = Callable[[], str | None]
"""The address of a service that takes requests, None while none does."""


@dataclass(frozen=True, slots=True)
class Record:
    """One request; times by the monotonic clock."""

    sent: float
    answered: float
    retrying: bool
    judgement: Judgement

    @property
    def latency_s(self) -> float:
        return self.answered - self.sent

    @property
    def right(self) -> bool:
        return self.judgement.verdict is Verdict.RIGHT


@dataclass(slots=True)
class Load:
    """Sends until it is stopped, and keeps a record of every request."""

    judge: Judge
    target: Target
    seed: int = 7
    pace_s: float = PACE_S
    records: list[Record] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _pools: list[urllib3.PoolManager] = field(default_factory=list)

    def start(self) -> Self:
        for retrying in (False, True):
            retries = RETRYING if retrying else PLAIN
            pool = urllib3.PoolManager(maxsize=CLIENTS, block=True, retries=retries, timeout=TIMEOUT_S)
            self._pools.append(pool)
            for number in range(CLIENTS):
                random = Random(f"{self.seed} {retrying} {number}")  # noqa: S311 - the same load each time
                client = threading.Thread(target=self._send, args=(pool, retrying, random), daemon=True)
                self._threads.append(client)
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT_S)
        for pool in self._pools:
            pool.clear()

    def _send(self, pool: urllib3.PoolManager, retrying: bool, random: Random) -> None:
        due = time.monotonic() + random.uniform(0, self.pace_s)
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            due = max(due + self.pace_s, time.monotonic())
            address = self.target()
            if address is not None:
                self.records.append(self._ask(pool, address, retrying, random.randrange(len(self.judge.bodies))))

    def _ask(self, pool: urllib3.PoolManager, address: str, retrying: bool, position: int) -> Record:
        sent = time.monotonic()
        try:
            reply = pool.request(
                "POST", f"{address}/predict", body=self.judge.bodies[position],
                headers={"Content-Type": "application/json"},
            )  # fmt: skip
            judgement = self.judge.of(position, reply.status, reply.data, reply.headers.get("Retry-After"))
        except urllib3.exceptions.HTTPError as error:
            judgement = Judgement(Verdict.FAILED, f"{type(error).__name__}: {error}")
        return Record(sent, time.monotonic(), retrying, judgement)


@contextmanager
def running(load: Load) -> Iterator[Load]:
    """The load while the block runs; at the end every request that was sent has its record."""
    load.start()
    try:
        yield load
    finally:
        load.stop()


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of many requests."""

    requests: int = 0
    failures: int = 0
    """Of the pool without retries."""
    failures_with_retry: int = 0
    wrong: int = 0
    unlabelled: int = 0
    p99_ms: float = 0.0
    stages: Counter[str] = field(default_factory=Counter)
    details: Sequence[str] = ()
    """Of the first answers that were not right."""

    @classmethod
    def of(cls, records: Sequence[Record]) -> Summary:
        count = Counter((record.judgement.verdict, record.retrying) for record in records)
        return cls(
            requests=len(records),
            failures=count[Verdict.FAILED, False],
            failures_with_retry=count[Verdict.FAILED, True],
            wrong=count[Verdict.WRONG, False] + count[Verdict.WRONG, True],
            unlabelled=count[Verdict.UNLABELLED, False] + count[Verdict.UNLABELLED, True],
            p99_ms=percentile([record.latency_s for record in records if record.right], 0.99) * 1000,
            stages=Counter(record.judgement.stage for record in records if record.right),
            details=[record.judgement.detail for record in records if not record.right][:5],
        )


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all stay below; 0 where there is none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0
