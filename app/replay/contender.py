"""A version that rows are shown to: its primary, proven and compiled exactly as the service does it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from app.contract.schema import Matrix
from app.errors import BundleError, RegistryError, ReplayError, StageFailedError
from app.model.registry import Registry
from app.model.scorer import Scores
from app.model.stages import PRIMARY
from app.serving.chain import ChainBuilder
from app.serving.stage import Stage

PATIENCE_S = 60.0
"""A call that takes longer hangs. How long one may take in the service is measured apart."""

_NEVER = 2**31


@dataclass(slots=True)
class Contender:
    """One version's primary, and the rows that it gave no score."""

    version: str
    stage: Stage
    failed: int = field(default=0, init=False)
    failure: str | None = field(default=None, init=False)

    def scores(self, rows: Matrix) -> Scores:
        """Scores of rows, NaN for each that fails by itself. Raises `ReplayError` where a call hangs."""
        try:
            return self.stage.score(rows)
        except StageFailedError as failure:
            self._unless_it_hangs(failure)
        return np.array([self._score_of(row) for row in rows])

    def _score_of(self, row: Matrix) -> float:
        try:
            return self.stage.score_one(tuple(row.tolist()))
        except StageFailedError as failure:
            self._unless_it_hangs(failure)
            self.failed += 1
            self.failure = self.failure or str(failure)
            return float("nan")

    def _unless_it_hangs(self, failure: StageFailedError) -> None:
        if failure.reason in ("deadline", "abandoned_threads", "breaker_open"):
            raise ReplayError(f"{self.version} hangs: {failure}") from None


def contender(version: str, registry: Registry, builder: ChainBuilder) -> Contender:
    """The version, ready to score. Raises `ReplayError` where the service would not serve its primary."""
    patient = replace(builder, primary_deadline_s=PATIENCE_S, breaker_failures=_NEVER, max_abandoned_threads=1)
    try:
        chain = patient.build(registry.load(version))
    except (BundleError, RegistryError) as error:
        raise ReplayError(f"{version} cannot score: {error}") from error
    for stage in chain.stages:
        if stage.name == PRIMARY:
            return Contender(version, stage)
    raise ReplayError(f"{version} cannot score: {chain.absent.get(PRIMARY, 'it has no primary')}")
