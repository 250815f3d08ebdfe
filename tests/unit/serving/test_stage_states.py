"""A stage's breaker in any order of successes, failures and self-tests, and a chain of stages in any state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.contract.schema import FeatureSchema, Matrix, Row
from app.errors import AllStagesFailedError, StageFailedError
from app.serving.chain import Chain
from app.serving.deadline import DeadlineCaller
from app.serving.stage import Probe, Stage
from tests.fakes import Clock

SCHEMA = FeatureSchema()
ROWS = SCHEMA.sample(3, seed=1)
ROW: Row = tuple(ROWS[0].tolist())
BREAKER_FAILURES = 3

REASONS = {"raises": "exception", "nan": "non_finite", "infinity": "non_finite", "above": "range", "text": "shape"}
"""How a scorer may misbehave, and what its stage calls that."""


class MoodyScorer:
    """Behaves as it is told to: `mood` None is well."""

    inline_rows = math.inf

    def __init__(self, mood: str | None = None, value: float = 0.25) -> None:
        self.mood = mood
        self.value = value
        self.calls = 0

    def score(self, rows: Matrix) -> Any:
        return np.full(len(rows), self.score_one(()))

    def score_one(self, row: Row) -> Any:
        self.calls += 1
        match self.mood:
            case None:
                return self.value
            case "raises":
                raise ValueError("the model is broken")
            case "nan":
                return math.nan
            case "infinity":
                return math.inf
            case "above":
                return 1.5
            case _:
                return "0.5"


def stage_of(scorer: MoodyScorer, name: str = "primary", clock: Clock | None = None) -> Stage:
    return Stage(
        name, scorer, 0.5, Probe(ROWS, np.full(len(ROWS), scorer.value)), 1.0, DeadlineCaller(name, 2),
        BREAKER_FAILURES, clock=clock or Clock(),
    )  # fmt: skip


class StageMachine(RuleBasedStateMachine):
    """A stage beside a count of its failures in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.scorer = MoodyScorer()
        self.stage = stage_of(self.scorer, clock=self.clock)
        self.failures = 0
        self.open = False
        self.since = self.clock.now
        self.reason: str | None = None

    @rule(mood=st.none() | st.sampled_from(sorted(REASONS)))
    def change(self, mood: str | None) -> None:
        """The model breaks, in one way or another, or is mended."""
        self.scorer.mood = mood

    @rule(seconds=st.floats(0.5, 100))
    def pass_time(self, seconds: float) -> None:
        """Time alone opens and closes nothing."""
        self.clock.now += seconds

    @rule(many=st.booleans())
    def ask(self, many: bool) -> None:
        """A request: an open breaker refuses it without the model, and it closes none."""
        calls = self.scorer.calls
        if self.open:
            assert self._refusal(many) == "breaker_open"
            assert self.scorer.calls == calls
        elif self.scorer.mood is None:
            scores = self.stage.score(ROWS).tolist() if many else [self.stage.score_one(ROW)]
            assert scores == [0.25] * len(scores)
            self._succeeded()
        else:
            assert self._refusal(many) == REASONS[self.scorer.mood]
            self._failed(REASONS[self.scorer.mood])

    @rule()
    def test_itself(self) -> None:
        """The only way back; it counts like any other failure."""
        if self.scorer.mood is None:
            self.stage.self_test()
            self._succeeded()
        else:
            with pytest.raises(StageFailedError):
                self.stage.self_test()
            self._failed(REASONS[self.scorer.mood])

    @invariant()
    def it_says_what_happened(self) -> None:
        """To health, and to the chain."""
        state = self.stage.state
        assert (state.breaker_open, state.consecutive_failures, state.since) == (self.open, self.failures, self.since)
        assert state.answering == (self.failures == 0)
        assert (state.reason or "").partition(":")[0] == (self.reason or "")

    def _refusal(self, many: bool) -> str:
        with pytest.raises(StageFailedError) as caught:
            self.stage.score(ROWS) if many else self.stage.score_one(ROW)
        return caught.value.reason

    def _failed(self, reason: str) -> None:
        if self.failures == 0:
            self.since = self.clock.now
        self.failures, self.reason = self.failures + 1, reason
        self.open = self.open or self.failures >= BREAKER_FAILURES

    def _succeeded(self) -> None:
        if self.failures:
            self.since = self.clock.now
        self.failures, self.open, self.reason = 0, False, None


StageMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestStageMachine = StageMachine.TestCase

moods = st.none() | st.sampled_from(sorted(REASONS))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(moods, st.integers(0, BREAKER_FAILURES)), min_size=1, max_size=3), st.booleans())
def test_the_first_stage_that_can_answers(stages: list[tuple[str | None, int]], many: bool) -> None:
    """Whatever is wrong with those before it, breakers included; those behind it are not asked."""
    scorers = [MoodyScorer(mood, 0.1 * (place + 1)) for place, (mood, _) in enumerate(stages)]
    chain = Chain(None, tuple(stage_of(scorer, f"stage {place}") for place, scorer in enumerate(scorers)))
    for stage, scorer, (_, times) in zip(chain.stages, scorers, stages, strict=True):
        mood, scorer.mood = scorer.mood, "raises"
        for _ in range(times):
            with pytest.raises(StageFailedError):
                stage.score_one(ROW)
        scorer.mood = mood
    broken = ["breaker_open" if stage.breaker_open else REASONS.get(scorer.mood or "")
              for stage, scorer in zip(chain.stages, scorers, strict=True)]  # fmt: skip
    calls = [scorer.calls for scorer in scorers]
    first = broken.index(None) if None in broken else len(broken)
    if first == len(broken):
        with pytest.raises(AllStagesFailedError) as caught:
            chain.answer(ROWS) if many else chain.answer_one(ROW)
        failures = caught.value.failures
    elif many:
        answer = chain.answer(ROWS)
        assert (answer.stage, answer.scored.tolist()) == (chain.stages[first], [scorers[first].value] * len(ROWS))
        failures = answer.failures
    else:
        one = chain.answer_one(ROW)
        assert (one.stage, one.scored) == (chain.stages[first], scorers[first].value)
        failures = one.failures
    assert [(failure.stage, failure.reason) for failure in failures] == [
        (f"stage {place}", reason) for place, reason in enumerate(broken[:first])
    ]
    assert [scorer.calls for scorer in scorers[first + 1 :]] == calls[first + 1 :]
