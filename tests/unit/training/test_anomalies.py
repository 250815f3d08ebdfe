"""Known anomalies put into a history without labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.training.anomalies import Kind, inject_anomalies


def a_history(values: list[float], series: int = 1) -> pd.DataFrame:
    """`series` series that all read `values`, hour by hour."""
    times = pd.date_range("2026-01-01", periods=len(values), freq="h", tz="UTC")
    parts = [
        pd.DataFrame({"timestamp": times, "region_id": 1.0, "product_id": float(number), "metric_value": values})
        for number in range(series)
    ]
    return pd.concat(parts, ignore_index=True)


histories = st.lists(st.floats(0, 1e6), min_size=30, max_size=120).map(a_history)


@settings(max_examples=60, deadline=None)
@given(histories, st.integers(0, 1000))
def test_a_label_says_that_the_value_was_changed(history: pd.DataFrame, seed: int) -> None:
    """Every labelled reading differs from the original, and everything stays in the contract's range."""
    injected = inject_anomalies(history, seed)
    changed = (injected["metric_value"] != history["metric_value"]).to_numpy()
    assert changed[injected["is_anomaly"] == 1].all()
    assert injected["metric_value"].between(0, 1e6).all()


@settings(max_examples=60, deadline=None)
@given(histories, st.integers(0, 1000))
def test_only_a_level_shift_changes_readings_without_a_label(history: pd.DataFrame, seed: int) -> None:
    """All other kinds: changed exactly where labelled."""
    mixture: dict[Kind, float] = {"spike": 0.4, "drop": 0.3, "variance_burst": 0.3}
    injected = inject_anomalies(history, seed, mixture=mixture)
    changed = (injected["metric_value"] != history["metric_value"]).to_numpy()
    np.testing.assert_array_equal(changed, injected["is_anomaly"] == 1)


@pytest.mark.parametrize(
    ("kind", "sign"), [pytest.param("spike", 1.0, id="spikes-go-up"), pytest.param("drop", -1.0, id="drops-go-down")]
)
def test_moves_readings_in_the_direction_of_the_kind(kind: Kind, sign: float) -> None:
    """Spikes up, drops down."""
    history = a_history([100.0 + hour % 24 for hour in range(500)])
    injected = inject_anomalies(history, seed=1, mixture={kind: 1.0})
    moved = (injected["metric_value"] - history["metric_value"])[injected["is_anomaly"] == 1]
    assert len(moved) > 0
    assert (moved * sign > 0).all()


def test_a_level_shift_lasts_but_only_its_first_readings_are_labelled() -> None:
    """What comes after is the new normal."""
    history = a_history([100.0 + hour % 24 for hour in range(200)])
    injected = inject_anomalies(history, seed=1, rate=0.015, mixture={"level_shift": 1.0})
    changed = np.flatnonzero(injected["metric_value"] != history["metric_value"])
    labelled = np.flatnonzero(injected["is_anomaly"] == 1)
    np.testing.assert_array_equal(changed, np.arange(changed[0], 200))
    np.testing.assert_array_equal(labelled, changed[:3])


def test_labels_about_as_many_readings_as_asked_for() -> None:
    """The rate is met in every series."""
    history = a_history([50.0 + hour % 24 for hour in range(2000)], series=3)
    injected = inject_anomalies(history, seed=5, rate=0.05)
    by_series = injected.groupby("product_id")["is_anomaly"].mean()
    assert by_series.between(0.04, 0.06).all()


def test_gives_each_series_anomalies_of_its_own_whatever_the_order_of_the_rows() -> None:
    """Rows may come in any order; each keeps its place."""
    history = a_history([50.0 + hour % 24 for hour in range(300)], series=2)
    shuffled = history.sample(frac=1, random_state=0)
    injected = inject_anomalies(history, seed=5)
    again = inject_anomalies(shuffled, seed=5)
    pd.testing.assert_frame_equal(again.sort_index(), injected)
    first, second = (injected[injected["product_id"] == number]["is_anomaly"].tolist() for number in (0, 1))
    assert first != second


def test_leaves_a_history_too_short_for_an_anomaly_alone() -> None:
    """Two readings are no place for an outage."""
    history = a_history([5.0, 6.0])
    assert inject_anomalies(history, seed=1)["is_anomaly"].sum() == 0
