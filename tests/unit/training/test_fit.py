"""Splitting by time, fitting both stages, choosing thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from app.contract.schema import FeatureSchema, Matrix
from app.errors import DataError
from app.model.proof import build_scorer
from app.model.scorer import estimator_scores
from app.training.features import build_features, epoch_microseconds
from app.training.fit import Fitted, Labels, Split, best_threshold, fit_stages, split_by_time
from app.training.synthetic import synthetic_history

DAY = 86_400_000_000


def hourly(days: int) -> NDArray[np.int64]:
    times: NDArray[np.int64] = np.arange(0, days * DAY, DAY // 24, dtype=np.int64)
    return times


def every_tenth(time: NDArray[np.int64]) -> Labels:
    return np.where(np.arange(len(time)) % 10 == 0, 1, 0)


@pytest.fixture(scope="module")
def data() -> tuple[Matrix, Labels, Split]:
    history = synthetic_history(seed=5, days=35, series=4)
    labels = history["is_anomaly"].to_numpy(dtype=np.int64)
    return build_features(history), labels, split_by_time(epoch_microseconds(history), labels, "test")


@pytest.fixture(scope="module")
def fitted(data: tuple[Matrix, Labels, Split]) -> Fitted:
    return fit_stages(*data, seed=1, progress=lambda _: None)


def test_parts_follow_each_other_in_time_without_overlap() -> None:
    """Warm-up, fit, validation, held out: every reading in at most one part, later parts later."""
    time = hourly(80)
    split = split_by_time(time, every_tenth(time), "test")
    assert (split.fit.astype(int) + split.validation + split.held_out).max() == 1
    assert time[split.fit].min() == 14 * DAY
    assert time[split.fit].max() < time[split.validation].min()
    assert time[split.validation].max() < time[split.held_out].min()
    assert split.held_out.mean() == pytest.approx(0.25, abs=0.01)
    assert time[split.held_out].max() == time.max()


def test_refuses_a_history_that_is_too_short() -> None:
    """And says how much is needed."""
    time = hourly(20)
    with pytest.raises(DataError, match=r"metrics.csv: 20.0 days of history are too little.*at least 26.7"):
        split_by_time(time, every_tenth(time), "metrics.csv")


@pytest.mark.parametrize(
    ("part", "label"),
    [
        pytest.param(slice(0, 51 * 24), 0, id="no-anomaly-to-fit"),
        pytest.param(slice(50 * 24, 60 * 24), 0, id="no-anomaly-to-validate"),
        pytest.param(slice(60 * 24, None), 0, id="no-anomaly-held-out"),
        pytest.param(slice(0, None), 1, id="anomalies-only"),
    ],
)
def test_refuses_a_part_with_readings_of_one_kind(part: slice, label: int) -> None:
    """Nothing could be learned or measured there."""
    time = hourly(80)
    labels = every_tenth(time)
    labels[part] = label
    with pytest.raises(DataError, match="both kinds are needed in every part") as caught:
        split_by_time(time, labels, "test")
    assert caught.value.column == "is_anomaly"


@pytest.mark.parametrize("stage", ["primary", "fallback"])
def test_the_compiled_scorer_takes_every_stage(fitted: Fitted, stage: str) -> None:
    """Both run inline on the event loop, and give the estimator's own scores."""
    rows = FeatureSchema().sample(500)
    scorer, reason = build_scorer(fitted.estimators[stage], fitted.thresholds[stage], rows)
    assert reason is None
    assert scorer.inline_rows >= 1
    np.testing.assert_allclose(scorer.score(rows), estimator_scores(fitted.estimators[stage], rows), atol=1e-9)


def test_fitting_twice_gives_the_same_scores(fitted: Fitted, data: tuple[Matrix, Labels, Split]) -> None:
    """Bit for bit."""
    again = fit_stages(*data, seed=1, progress=lambda _: None)
    assert again.thresholds == fitted.thresholds
    for name, estimator in fitted.estimators.items():
        np.testing.assert_array_equal(
            estimator_scores(estimator, data[0]), estimator_scores(again.estimators[name], data[0])
        )


def test_labels_of_the_held_out_span_change_nothing(fitted: Fitted, data: tuple[Matrix, Labels, Split]) -> None:
    """Neither models nor thresholds have seen them."""
    rows, labels, split = data
    altered = np.where(split.held_out, 1 - labels, labels)
    blind = fit_stages(np.where(split.held_out[:, None], 0.0, rows), altered, split, seed=1, progress=lambda _: None)
    assert blind.thresholds == fitted.thresholds
    np.testing.assert_array_equal(
        estimator_scores(blind.estimators["primary"], rows), estimator_scores(fitted.estimators["primary"], rows)
    )


def test_the_threshold_separates_what_can_be_separated() -> None:
    """Highest F1: here everything above the gap."""
    labels = np.array([0, 0, 0, 1, 1])
    threshold = best_threshold(labels, np.array([0.1, 0.2, 0.3, 0.7234, 0.9]))
    assert 0.3 < threshold <= 0.7234


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([0.0, 0.0, 1e-9, 1e-9], 0.01, id="all-scores-tiny"),
        pytest.param([0.0, 0.5, 1.0, 1.0], 0.99, id="certain-scores"),
    ],
)
def test_the_threshold_is_never_at_the_edge(scores: list[float], expected: float) -> None:
    """0 would call everything an anomaly, 1 nothing."""
    assert best_threshold(np.array([0, 0, 1, 1]), np.array(scores)) == expected
