"""The synthetic history: deterministic, labelled, and as unkind as real metrics."""

from __future__ import annotations

import pandas as pd
import pytest

from app.training.history import data_digest
from app.training.synthetic import synthetic_history


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    return synthetic_history(seed=7)


def test_the_same_seed_gives_the_same_table() -> None:
    """A training run can be repeated."""
    first, second = (synthetic_history(seed=3, days=30, series=4) for _ in range(2))
    assert first.equals(second)
    assert data_digest(first) == data_digest(second)


def test_another_seed_gives_another_table() -> None:
    """The seed is not decoration."""
    assert data_digest(synthetic_history(3, 30, 4)) != data_digest(synthetic_history(4, 30, 4))


def test_the_default_run_is_pinned_to_its_digest(history: pd.DataFrame) -> None:
    """A change of the generator is a change of every model made with it, and must not happen unnoticed."""
    assert data_digest(history) == "950e8315c43733d8009573f131c30b7200aa79220e1a1c1893d881f21294da4a"


def test_covers_a_grid_of_series_of_very_different_levels(history: pd.DataFrame) -> None:
    """Several orders of magnitude, so that a model must not rely on absolute values."""
    levels = history.groupby(["region_id", "product_id"])["metric_value"].median()
    assert len(levels) == 40
    assert levels.max() / levels.min() > 1_000


def test_about_a_twentieth_of_the_readings_are_anomalies(history: pd.DataFrame) -> None:
    """As rare as the real thing."""
    assert 0.04 < history["is_anomaly"].mean() < 0.06
    assert set(history["is_anomaly"]) == {0, 1}


def test_readings_are_hourly_with_gaps(history: pd.DataFrame) -> None:
    """Lost readings and outages, as in every pipeline."""
    steps = history.groupby(["region_id", "product_id"])["timestamp"].diff().dropna().dt.total_seconds() / 3600
    assert steps.median() == 1
    assert steps.max() > 12
    assert 0.9 < len(history) / (40 * 120 * 24) < 0.99


def test_calm_readings_follow_the_hour_of_the_day(history: pd.DataFrame) -> None:
    """There is a daily season to be learned."""
    series = history[(history["region_id"] == 0) & (history["product_id"] == 1)]
    by_hour = series.groupby(series["timestamp"].dt.hour)["metric_value"].median()
    assert by_hour.max() / by_hour.min() > 1.15


def test_values_are_in_the_contract_and_rounded(history: pd.DataFrame) -> None:
    """Six digits at most: far above the last bit, in which machines may differ."""
    values = history["metric_value"]
    assert values.between(0, 1e6).all()
    assert [float(f"{value:.6g}") for value in values.tolist()] == values.tolist()
