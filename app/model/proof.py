"""A compiled scorer serves only where it is proven equal to its estimator, and only where it is the quicker one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from app.contract.schema import Matrix
from app.model.compiled import PipelineScorer, compile_estimator
from app.model.scorer import TOLERANCE, EstimatorScorer, NotCompilableError, Scorer, ScorerBySize, Scores
from app.model.trees import TreeScorer


def build_scorer(estimator: Any, threshold: float, proof_rows: Matrix) -> tuple[Scorer, str | None]:
    """The scorer that serves `estimator`, and where that is the estimator alone, the reason why.

    Compiled only when, on every proof row, its score is within `TOLERANCE` of the estimator's and the decision
    at `threshold` is the same. Calls the estimator: never before a fork.
    """
    plain = EstimatorScorer(estimator)
    try:
        compiled = compile_estimator(estimator)
        actual = compiled.score(proof_rows)
        alone = [compiled.score_one(tuple(row)) for row in proof_rows.tolist()]
    except NotCompilableError as error:
        return plain, str(error)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the compiled form, the estimator can serve
        return plain, f"its compiled form fails: {type(error).__name__}: {error}"
    expected = plain.score(proof_rows)
    difference = float(np.max(np.abs(expected - actual)))
    if not difference <= TOLERANCE:
        return plain, f"compiled scores differ by {difference:.2g}"
    if np.any((expected >= threshold) != (actual >= threshold)):
        return plain, "compiled decisions differ"
    if alone != actual.tolist():
        return plain, "compiled scores of single rows differ"
    crossover = _crossover(compiled, plain, proof_rows)
    return (compiled if math.isinf(crossover) else ScorerBySize(compiled, plain, int(crossover), threshold)), None


def bulk_scorer(estimator: Any, proven: Scorer, threshold: float) -> Scorer:
    """The form of `estimator` for very many rows, given the one that `build_scorer` proved for it.

    Chosen by kind and never by the clock, so that every process gives a row the same bits: an estimator of trees treats
    each row alone and is the quicker form; a linear one does not, since BLAS sums as the number of rows suggests.
    """
    compiled = proven.compiled if isinstance(proven, ScorerBySize) else proven
    last = compiled.last if isinstance(compiled, PipelineScorer) else compiled
    if isinstance(last, TreeScorer):
        return ScorerBySize(compiled, EstimatorScorer(estimator), 0, threshold)
    return compiled


def _crossover(compiled: Scorer, plain: Scorer, rows: Matrix) -> float:
    """Most rows for which the compiled form is the quicker one, from one row's time and that of many."""
    one, many = rows[:1], len(rows)
    compiled_one, plain_one = _seconds(compiled.score, one), _seconds(plain.score, one)
    compiled_row = max(0.0, _seconds(compiled.score, rows) - compiled_one) / many
    plain_row = max(0.0, _seconds(plain.score, rows) - plain_one) / many
    if compiled_row <= plain_row:
        return math.inf
    return max(1.0, (plain_one - compiled_one) / (compiled_row - plain_row))


def _seconds(function: Callable[[Matrix], Scores], rows: Matrix) -> float:
    """The better of two, since the first may pay for what is made only once."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        function(rows)
        times.append(time.perf_counter() - start)
    return min(times)
