"""A version's chain for blocks of many rows: proven as the service does, and the same bits in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from app.contract.schema import FeatureSchema, Matrix
from app.errors import AllStagesFailedError, BundleError, RegistryError, ScoringError, StageFailedError
from app.model.bundle import Bundle
from app.model.manifest import MANIFEST_FILE
from app.model.proof import bulk_scorer
from app.model.registry import Registry
from app.model.scorer import Scores
from app.model.stages import MODEL_STAGES
from app.serving.chain import Answer, Chain, ChainBuilder, Rule
from app.serving.stage import Stage

PATIENCE_S = 600.0
"""A block that takes longer hangs. A request's deadlines are about somebody who waits."""

_NEVER = 2**31
_BY_THE_CLOCK = ("deadline", "abandoned_threads", "breaker_open")


@dataclass(frozen=True, slots=True)
class Model:
    """Where a process finds the version, and how it knows that it is the one that was meant."""

    schema_class: type[FeatureSchema]
    rule: Rule
    models_dir: Path
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class BulkScorer:
    """A chain in which the first stage that can answer for a block does."""

    schema: FeatureSchema
    chain: Chain

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of those that were proven."""
        return tuple(stage.name for stage in self.chain.stages)

    def answer(self, rows: Matrix) -> tuple[Scores, Stage, Sequence[StageFailedError]]:
        """Scores, the stage they are of, and why those before it gave none.

        Raises `ScoringError` where no stage answers, or where only the clock says that one does not: another run would
        give another result.
        """
        try:
            answer: Answer[Scores] = self.chain.answer(rows)
        except AllStagesFailedError as error:
            raise ScoringError(f"{error}: {'; '.join(map(str, error.failures))}") from None
        for failure in answer.failures:
            if failure.reason in _BY_THE_CLOCK:
                raise ScoringError(f"{self.chain.version} hangs: {failure}")
        return answer.scored, answer.stage, answer.failures


def digest_of(models_dir: Path, version: str) -> str:
    """SHA-256 of the version's manifest, which lists those of all its files. Raises `ScoringError`."""
    path = models_dir / version / MANIFEST_FILE
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ScoringError(f"{path}: {error.strerror}; every worker needs MODELS_DIR under the same path") from None


@lru_cache(maxsize=2)
def scorer_of(model: Model) -> BulkScorer:
    """The scorer of this process. Raises `ScoringError`."""
    if digest_of(model.models_dir, model.version) != model.digest:
        raise ScoringError(f"{model.models_dir / model.version} is not the version that was asked for")
    schema = model.schema_class()
    builder = ChainBuilder(schema, model.rule, PATIENCE_S, PATIENCE_S, _NEVER, max_abandoned_threads=1)
    try:
        bundle = Registry(model.models_dir, schema).load(model.version)
    except (BundleError, RegistryError) as error:
        raise ScoringError(f"{model.version} cannot score: {error}") from error
    for estimator in bundle.estimators.values():
        _one_job(estimator)
    threadpool_limits(limits=1, user_api="blas")  # for good: its sums depend on the number of threads
    chain = builder.build(bundle)
    return BulkScorer(schema, replace(chain, stages=tuple(_for_bulk(stage, bundle) for stage in chain.stages)))


def _for_bulk(stage: Stage, bundle: Bundle) -> Stage:
    if stage.name not in MODEL_STAGES:
        return stage
    return replace(stage, scorer=bulk_scorer(bundle.estimators[stage.name], stage.scorer, stage.threshold))


def _one_job(estimator: Any) -> None:
    """Threads of an ensemble add their trees' scores in whichever order they come."""
    if hasattr(estimator, "get_params"):
        parameters = estimator.get_params(deep=True)
        estimator.set_params(**{name: 1 for name in parameters if name.split("__")[-1] == "n_jobs"})
