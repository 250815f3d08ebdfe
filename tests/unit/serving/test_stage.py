"""One link of the chain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.contract.schema import Matrix, Row
from app.errors import StageFailedError
from app.model.scorer import Scorer
from app.serving.deadline import DeadlineCaller
from app.serving.stage import Probe, Stage
from tests.fakes import Clock, ConstantScorer, HangingScorer, OddScorer, RaisingScorer

ROWS = np.ones((3, 12))
ROW = (1.0,) * 12


def make_stage(scorer: Scorer, *, failures: int = 3, probe: Probe | None = None, clock: Clock | None = None) -> Stage:
    return Stage(
        name="primary",
        scorer=scorer,
        threshold=0.5,
        probe=probe or Probe(ROWS),
        deadline_s=0.02,
        caller=DeadlineCaller("primary", 2),
        breaker_failures=failures,
        clock=clock or Clock(),
    )


def test_scores_rows() -> None:
    """The ordinary case: one score a row."""
    assert make_stage(ConstantScorer(0.25)).score(ROWS).tolist() == [0.25, 0.25, 0.25]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(np.array([0.1, np.nan, 0.2]), "non_finite", id="nan"),
        pytest.param(np.array([0.1, np.inf, 0.2]), "non_finite", id="infinity"),
        pytest.param(np.array([0.1, 0.2]), "shape", id="too few"),
        pytest.param(np.ones((3, 2)), "shape", id="matrix"),
        pytest.param(np.array(["a", "b", "c"]), "shape", id="text"),
        pytest.param(np.array([None, 1, 2], dtype=object), "shape", id="objects"),
        pytest.param(np.ones(3, dtype=complex), "shape", id="complex"),
        pytest.param([0.1, 0.2, 0.3], "shape", id="list"),
        pytest.param(None, "shape", id="nothing"),
    ],
)
def test_an_unusable_answer_is_a_failure(answer: Any, reason: str) -> None:
    """Only finite numbers of the right shape leave a stage."""
    with pytest.raises(StageFailedError) as failure:
        make_stage(OddScorer(answer)).score(ROWS)
    assert failure.value.reason == reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(float("nan"), "non_finite", id="nan"),
        pytest.param(float("inf"), "non_finite", id="infinity"),
        pytest.param("0.5", "shape", id="text"),
        pytest.param(np.array([0.5]), "shape", id="array"),
        pytest.param(None, "shape", id="nothing"),
    ],
)
def test_an_unusable_answer_to_one_row_is_a_failure(answer: Any, reason: str) -> None:
    """The one-row path checks as the matrix path does."""
    with pytest.raises(StageFailedError) as failure:
        make_stage(OddScorer(answer)).score_one(ROW)
    assert failure.value.reason == reason


def test_one_row_and_many_share_the_breaker() -> None:
    """A stage is one thing, however it is asked."""
    stage = make_stage(RaisingScorer(), failures=2)
    for ask in (lambda: stage.score(ROWS), lambda: stage.score_one(ROW)):
        with pytest.raises(StageFailedError, match="exception"):
            ask()
    assert stage.breaker_open


def test_one_row_of_a_model_that_may_hang_is_asked_under_its_deadline() -> None:
    """Only what is sure to end runs inline."""
    scorer = HangingScorer()
    with pytest.raises(StageFailedError, match="deadline"):
        make_stage(scorer).score_one(ROW)
    scorer.release.set()


def test_an_exception_is_a_failure_that_names_it() -> None:
    """What the model raised is told to whoever reads the log."""
    with pytest.raises(StageFailedError, match="ValueError: the model is broken") as failure:
        make_stage(RaisingScorer()).score(ROWS)
    assert failure.value.reason == "exception"


def test_a_model_that_is_not_compiled_must_meet_its_deadline() -> None:
    """A hang is cut off and counted."""
    scorer = HangingScorer()
    stage = make_stage(scorer)
    with pytest.raises(StageFailedError) as failure:
        stage.score(ROWS)
    assert failure.value.reason == "deadline"
    assert stage.state.abandoned_threads == 1
    scorer.release.set()


def test_a_stage_with_too_many_hung_calls_fails_at_once() -> None:
    """The bound on abandoned threads is a failure like any other."""
    scorer = HangingScorer()
    stage = make_stage(scorer, failures=10)
    reasons = []
    for _ in range(3):
        with pytest.raises(StageFailedError) as failure:
            stage.score(ROWS)
        reasons.append(failure.value.reason)
    assert reasons == ["deadline", "deadline", "abandoned_threads"]
    scorer.release.set()


def test_failures_in_a_row_open_the_breaker_and_then_cost_nothing() -> None:
    """An open breaker refuses without asking the model."""
    scorer = RaisingScorer()
    stage = make_stage(scorer, failures=3)
    for _ in range(5):
        with pytest.raises(StageFailedError) as failure:
            stage.score(ROWS)
    assert failure.value.reason == "breaker_open"
    assert scorer.calls == 3
    assert stage.breaker_open


def test_a_success_in_between_keeps_the_breaker_closed() -> None:
    """Only failures in a row count."""
    scorer = RaisingScorer()
    stage = make_stage(scorer, failures=2)
    for _ in range(3):
        scorer.broken = True
        with pytest.raises(StageFailedError):
            stage.score(ROWS)
        scorer.broken = False
        stage.score(ROWS)
    assert not stage.breaker_open


def test_a_users_request_never_finds_out_whether_a_model_recovered() -> None:
    """Only the self-test closes a breaker."""
    scorer = RaisingScorer()
    stage = make_stage(scorer, failures=1)
    with pytest.raises(StageFailedError):
        stage.score(ROWS)
    scorer.broken = False
    with pytest.raises(StageFailedError, match="breaker_open"):
        stage.score(ROWS)
    stage.self_test()
    assert stage.score(ROWS).tolist() == [0.75] * 3


def test_failed_self_tests_open_the_breaker_without_any_traffic() -> None:
    """A broken model is found before a user does."""
    stage = make_stage(RaisingScorer(), failures=2)
    for _ in range(2):
        with pytest.raises(StageFailedError):
            stage.self_test()
    assert stage.breaker_open


def test_a_self_test_fails_when_a_model_no_longer_gives_the_scores_it_promised() -> None:
    """Finite is not enough: the golden rows have known scores."""
    stage = make_stage(ConstantScorer(0.3), probe=Probe(ROWS, np.full(3, 0.25)))
    with pytest.raises(StageFailedError, match="golden_rows"):
        stage.self_test()
    assert not stage.state.answering


def test_the_state_says_since_when_and_why() -> None:
    """`since` is the time of the last change, not of the last failure."""
    clock, scorer = Clock(100), RaisingScorer()
    stage = make_stage(scorer, failures=2, clock=clock)
    for clock.now in (110, 120, 130):
        with pytest.raises(StageFailedError):
            stage.score(ROWS)
    state = stage.state
    assert (state.answering, state.since, state.breaker_open) == (False, 110, True)
    assert state.reason == "exception: ValueError: the model is broken"
    scorer.broken, clock.now = False, 140
    stage.self_test()
    assert (stage.state.answering, stage.state.since, stage.state.reason) == (True, 140, None)


class TwoFaced:
    """Scores matrices as promised and single rows otherwise."""

    inline_rows = float("inf")

    def score(self, rows: Matrix) -> Any:
        return np.full(len(rows), 0.25)

    def score_one(self, row: Row) -> float:
        return 0.75


def test_the_self_test_takes_the_one_row_path_too() -> None:
    """Most predictions do."""
    stage = make_stage(TwoFaced(), probe=Probe(ROWS, np.full(3, 0.25)))
    with pytest.raises(StageFailedError, match="one row's score differs"):
        stage.self_test()


@pytest.mark.parametrize("score", [-0.1, 1.1])
def test_a_score_that_is_no_probability_is_a_failure(score: float) -> None:
    """One row or many."""
    with pytest.raises(StageFailedError) as many:
        make_stage(ConstantScorer(score)).score(ROWS)
    with pytest.raises(StageFailedError) as one:
        make_stage(ConstantScorer(score)).score_one(ROW)
    assert (many.value.reason, one.value.reason) == ("range", "range")
