"""Versions that come and go while the traffic flows: two good ones in turn, and now and then one that is refused."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Self

from sklearn.ensemble import HistGradientBoostingClassifier

from app.contract.schema import FeatureSchema
from tests.chaos.arena import Arena, detailed
from tests.conftest import fitted_logistic
from tests.e2e.conftest import Service

BAD_EVERY = 5
"""One of so many turns is the bad version's, the first one to begin with."""
PRIMARY_FILE = "primary.joblib"
FOLLOWED_WITHIN_S = 60.0


@dataclass(slots=True)
class Activations:
    """Moves the pointer every `every_s` seconds while the block runs, and waits until every worker has followed."""

    arena: Arena
    service: Service
    every_s: float
    good: list[str]
    bad: str
    activated: int = 0
    refused: int = 0
    problems: list[str] = field(default_factory=list)
    _turn: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """The traffic's versions change from now on."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """The first good version serves everywhere, just loaded: what is measured then can be compared."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(2 * FOLLOWED_WITHIN_S)
        for version in reversed(self.good):
            self._activate(version)

    def _run(self) -> None:
        while not self._stopping.wait(self.every_s):
            try:
                if self._turn % BAD_EVERY == 0:
                    self._refuse()
                else:
                    self._activate(self.good[self._turn % 2])
            except (TimeoutError, OSError) as error:
                self.problems.append(f"activation {self._turn}: {error}")
            self._turn += 1

    def _activate(self, version: str) -> None:
        self.arena.registry.activate(version)
        self.activated += 1
        self.arena.seconds_until(lambda: self._all_serve(version), FOLLOWED_WITHIN_S)

    def _refuse(self) -> None:
        """The bad version, until every worker has said that it is none; then a good one again."""
        self.arena.point_at(self.bad)
        self.refused += 1
        self.arena.seconds_until(self._all_refuse, FOLLOWED_WITHIN_S)
        self._activate(self.good[0])

    def _all_serve(self, version: str) -> bool:
        """Every worker serves the version and is well."""
        health = detailed(self.service)
        return (
            health["status"] == "healthy"
            and [worker["model_version"] for worker in health["workers"]] == [version] * self._workers
        )

    def _all_refuse(self) -> bool:
        """Every worker says of the bad version that it is refused."""
        causes = [" ".join(worker["causes"]) for worker in detailed(self.service)["workers"]]
        return len(causes) == self._workers and all(self.bad in cause and "refused" in cause for cause in causes)

    @property
    def _workers(self) -> int:
        return int(self.service.env["WEB_CONCURRENCY"])


def register_versions(arena: Arena) -> tuple[list[str], str]:
    """Two good versions, of boosted trees and a linear model as the shipped one is, and one whose file is cut short."""
    good = [arena.register(seed=seed, activate=not seed, primary=_trees(arena.schema, seed)) for seed in (0, 1)]
    bad = arena.register(seed=2, activate=False, primary=fitted_logistic(arena.schema, 2))
    path = arena.models / bad / PRIMARY_FILE
    path.write_bytes(path.read_bytes()[:-100])
    return good, bad


def _trees(schema: FeatureSchema, seed: int) -> Any:
    rows = schema.sample(2000, seed)
    return HistGradientBoostingClassifier(max_iter=100, random_state=seed).fit(
        rows, (rows[:, 0] > rows[:, 6]).astype(int)
    )
