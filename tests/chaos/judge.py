"""Says of every answer whether it is right: status, score, label, warning and id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.contract.schema import FeatureSchema
from app.model.rule import z_score_rule
from app.model.scorer import estimator_scores

TOLERANCE = 1e-9
THRESHOLD = 0.5
WARNINGS = {
    "primary": None,
    "fallback": "Primary model unavailable",
    "baseline": "Using baseline rule (models unavailable)",
}


class Verdict(StrEnum):
    """What an answer is worth."""

    RIGHT = "right"
    FAILED = "failed"
    """No answer, or not a 200."""
    WRONG = "wrong"
    """A 200 whose score is not that of the stage and version it names."""
    UNLABELLED = "unlabelled"
    """A 200 by a lower stage that does not say so."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """An answer's worth, why it is not right, and by whom and under which id it was given."""

    verdict: Verdict
    detail: str = ""
    retry_after: str | None = None
    stage: str = ""
    version: str | None = None
    prediction_id: str = ""


@dataclass(slots=True)
class Judge:
    """Knows the readings that are sent and, for every version and stage, the estimator's own scores of them."""

    schema: FeatureSchema
    seed: int = 7
    bodies: Sequence[bytes] = field(init=False)
    rows: Any = field(init=False)
    _scores: dict[tuple[str | None, str], list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = self.schema.sample(64, self.seed)
        self.bodies = [
            json.dumps(dict(zip(self.schema.names, row, strict=True))).encode() for row in self.rows.tolist()
        ]
        self._rule = z_score_rule(self.rows).tolist()

    _rule: list[float] = field(init=False)

    def learn(self, version: str, estimators: Mapping[str, Any]) -> None:
        """Remembers what the estimators of a version say while they are well."""
        for stage, estimator in estimators.items():
            self._scores[version, stage] = estimator_scores(estimator, self.rows).tolist()

    def of(self, position: int, status: int, body: bytes, retry_after: str | None = None) -> Judgement:
        """The judgement on the reply to `bodies[position]`."""
        if status != 200:
            return Judgement(Verdict.FAILED, f"{status}: {body[:200]!r}", retry_after)
        return self.of_answer(position, json.loads(body))

    def of_answer(self, position: int, answer: Mapping[str, Any]) -> Judgement:
        """The same of an answer that is known to be a 200, or of one entry of a batch."""
        stage, version = answer["model_used"], answer["model_version"]
        named = None, stage, version, answer["prediction_id"]
        expected = self.expected(version, stage, position)
        if expected is None or abs(answer["prediction"] - expected) > TOLERANCE:
            betrayed = self._gave(version, position, answer["prediction"])
            verdict = Verdict.UNLABELLED if betrayed and stage == "primary" else Verdict.WRONG
            return Judgement(verdict, f"{answer['prediction']} as {version}.{stage}, not {expected}", *named)
        decision = expected >= THRESHOLD
        if answer["is_anomaly"] is not decision or not answer["success"] or answer["error"] is not None:
            return Judgement(Verdict.WRONG, f"members contradict the score: {answer}", *named)
        if not answer["prediction_id"].startswith(f"{version or '-'}.{stage}.{int(decision)}."):
            return Judgement(Verdict.WRONG, f"the id contradicts the answer: {answer}", *named)
        if answer["warning"] != WARNINGS[stage]:
            return Judgement(Verdict.UNLABELLED, f"{stage} with the warning {answer['warning']!r}", *named)
        return Judgement(Verdict.RIGHT, "", *named)

    def expected(self, version: str | None, stage: str, position: int) -> float | None:
        """The score that a stage of a version gives for a reading; None where the version is not known."""
        if stage == "baseline":
            return self._rule[position]
        scores = self._scores.get((version, stage))
        return scores[position] if scores is not None else None

    def _gave(self, version: str | None, position: int, score: float) -> bool:
        """Whether a lower stage of that version gives this score."""
        lower = (self.expected(version, stage, position) for stage in ("fallback", "baseline"))
        return any(value is not None and abs(value - score) <= TOLERANCE for value in lower)
