"""The stages of one model version in the order they are asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import msgspec
import numpy as np

from app.contract.schema import FeatureSchema, Matrix, Row
from app.errors import AllStagesFailedError, BundleError, GoldenRowsError, StageFailedError
from app.model.bundle import Bundle, check_golden
from app.model.proof import build_scorer
from app.model.scorer import Scorer, Scores, estimator_scores
from app.model.stages import BASELINE, BASELINE_THRESHOLD, FALLBACK, MODEL_STAGES, PRIMARY
from app.serving.deadline import DeadlineCaller
from app.serving.stage import Probe, Stage
from app.telemetry.drift import FeatureBins

WARNINGS = {
    PRIMARY: None,
    FALLBACK: "Primary model unavailable",
    BASELINE: "Using baseline rule (models unavailable)",
}

_PROOF_ROWS = 1_000
PROOF_DEADLINE_S = 5.0
"""A model that has not scored the golden rows by then is left out, so that the service starts without it."""

Scored = TypeVar("Scored", float, Scores)

Rule = Callable[[Matrix], Scores]


class Answer(msgspec.Struct, Generic[Scored], frozen=True, gc=False):
    """One row's score or those of many, and the first stage that could give it; `failures` are of those before it."""

    scored: Scored
    stage: Stage
    failures: tuple[StageFailedError, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """What answers at the moment: `stages` in order, and why a stage of the version is `absent`."""

    version: str | None
    stages: tuple[Stage, ...]
    absent: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    bins: FeatureBins | None = None
    """The version's reference distribution, against which live readings are held."""

    def answer(self, rows: Matrix) -> Answer[Scores]:
        """The first good answer to many rows. Raises `AllStagesFailedError`."""
        return self._first(lambda stage: stage.score(rows))

    def answer_one(self, row: Row) -> Answer[float]:
        """The first good answer to one row. Raises `AllStagesFailedError`."""
        return self._first(lambda stage: stage.score_one(row))

    def _first(self, ask: Callable[[Stage], Scored]) -> Answer[Scored]:
        failures: tuple[StageFailedError, ...] = ()
        for stage in self.stages:
            try:
                return Answer(ask(stage), stage, failures)
            except StageFailedError as failure:
                failures += (failure,)
        raise AllStagesFailedError(failures)

    def close(self) -> None:
        """Lets the stages' idle threads end."""
        for stage in self.stages:
            stage.caller.close()


def _bins(bundle: Bundle) -> FeatureBins:
    reference = bundle.manifest.reference
    return FeatureBins.of(
        bundle.version,
        {name: bins.edges for name, bins in reference.items()},
        {name: bins.ratios for name, bins in reference.items()},
    )


@dataclass(frozen=True, slots=True)
class _RuleScorer:
    rule: Rule
    # Foreign code, but arithmetic on a matrix: not worth a thread's hand-over.
    inline_rows: float = math.inf

    def score(self, rows: Matrix) -> Scores:
        return self.rule(rows)

    def score_one(self, row: Row) -> float:
        return float(self.rule(np.array([row]))[0])


@dataclass(frozen=True, slots=True)
class ChainBuilder:
    """Makes chains of bundles: proves each estimator, compiles it where that is exact, adds the rule.

    It calls the estimators, so it must run after the last fork: OpenMP does not survive one.
    """

    schema: FeatureSchema
    rule: Rule
    primary_deadline_s: float
    fallback_deadline_s: float
    breaker_failures: int
    max_abandoned_threads: int
    _proofs: list[DeadlineCaller] = field(default_factory=list, init=False)

    @property
    def hanging(self) -> bool:
        """Whether an earlier proof still waits for its model: trying again would only hang another thread."""
        return any(proof.abandoned for proof in self._proofs)

    def build(self, bundle: Bundle | None, refusal: str | None = None) -> Chain:
        """The chain of `bundle`, or where there is none the rule alone; never raises over a bad model."""
        stages: list[Stage] = []
        absent: dict[str, str] = {}
        for name in MODEL_STAGES:
            try:
                stage = self._model_stage(name, bundle) if bundle is not None else None
            except BundleError as error:
                absent[name] = str(error)
                continue
            if stage is not None:
                stages.append(stage)
            elif bundle is None:
                absent[name] = refusal or "no active model version"
        stages.append(self._rule_stage())
        if bundle is None:
            return Chain(None, tuple(stages), absent)
        return Chain(bundle.version, tuple(stages), absent, bundle.warnings, _bins(bundle))

    def _model_stage(self, name: str, bundle: Bundle) -> Stage | None:
        if name in bundle.refusals:
            raise bundle.refusals[name]
        if name not in bundle.estimators:
            return None
        entry = bundle.manifest.stages[name]
        probe = Probe(bundle.golden_rows, np.array(entry.golden_scores))
        deadline_s = self.primary_deadline_s if name == PRIMARY else self.fallback_deadline_s
        caller = DeadlineCaller(name, self.max_abandoned_threads)
        scorer, note = self._proven_scorer(name, bundle)
        return Stage(name, scorer, entry.threshold, probe, deadline_s, caller, self.breaker_failures, note)

    def _proven_scorer(self, name: str, bundle: Bundle) -> tuple[Scorer, str | None]:
        proof = DeadlineCaller(f"{name}-proof", 1)
        self._proofs[:] = [earlier for earlier in self._proofs if earlier.abandoned] + [proof]
        estimator, rows = bundle.estimators[name], bundle.golden_rows
        threshold = bundle.manifest.stages[name].threshold
        proof_rows = np.vstack([rows, self.schema.sample(_PROOF_ROWS)])
        try:
            scores = proof.call(partial(estimator_scores, estimator, rows), PROOF_DEADLINE_S)
            check_golden(bundle, name, scores)
            return proof.call(partial(build_scorer, estimator, threshold, proof_rows), PROOF_DEADLINE_S)
        except GoldenRowsError:
            raise
        except Exception as error:
            raise GoldenRowsError(name, f"{type(error).__name__}: {error}") from error
        finally:
            proof.close()

    def _rule_stage(self) -> Stage:
        example = self.schema.matrix([tuple(self.schema.example().values())])
        caller = DeadlineCaller(BASELINE, self.max_abandoned_threads)
        return Stage(
            BASELINE, _RuleScorer(self.rule), BASELINE_THRESHOLD, Probe(example), 1.0, caller, self.breaker_failures
        )
