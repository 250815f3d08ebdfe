"""The feature builder: causal, in contract order, in range, at any sampling interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contract.schema import FeatureSchema, Matrix
from app.training.features import build_features
from app.training.synthetic import synthetic_history

SCHEMA = FeatureSchema()


def a_history(times: pd.DatetimeIndex | list[str], values: list[float], product: float = 1.0) -> pd.DataFrame:
    """One series."""
    return pd.DataFrame(
        {"timestamp": pd.to_datetime(times, utc=True), "region_id": 2.0, "product_id": product, "metric_value": values}
    )


def column(rows: Matrix, name: str) -> list[float]:
    return [float(value) for value in rows[:, SCHEMA.names.index(name)]]


moments = st.tuples(st.integers(0, 2), st.integers(0, 60 * 24 * 60), st.floats(0, 1e6))
tables = st.lists(moments, min_size=2, max_size=50, unique_by=lambda moment: moment[:2]).map(
    lambda moments: pd.DataFrame(
        {
            "timestamp": pd.Timestamp("2026-01-01", tz="UTC")
            + pd.to_timedelta([minute for _, minute, _ in moments], unit="min"),
            "region_id": [float(series) for series, _, _ in moments],
            "product_id": 7.0,
            "metric_value": [value for _, _, value in moments],
        }
    )
)


@settings(max_examples=80, deadline=None)
@given(tables, st.data())
def test_later_readings_change_nothing(history: pd.DataFrame, data: st.DataObject) -> None:
    """A row is the same, bit for bit, when every later reading is removed or replaced."""
    rows = build_features(history)
    moment = history["timestamp"].iloc[data.draw(st.integers(0, len(history) - 1))]
    past = (history["timestamp"] <= moment).to_numpy()
    np.testing.assert_array_equal(build_features(history[past]), rows[past])
    altered = history.assign(metric_value=np.where(past, history["metric_value"], 1e6 - history["metric_value"]))
    np.testing.assert_array_equal(build_features(altered)[past], rows[past])


@settings(max_examples=80, deadline=None)
@given(tables)
def test_every_row_fulfils_the_contract(history: pd.DataFrame) -> None:
    """Whatever the history, `/predict` takes the rows."""
    assert not SCHEMA.check_matrix(build_features(history)).rejected


@settings(max_examples=40, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_history_does_not_matter(history: pd.DataFrame, random: st.Random) -> None:  # type: ignore[name-defined]
    """Rows come back in the order they went in, with the same values."""
    places = list(range(len(history)))
    random.shuffle(places)
    np.testing.assert_array_equal(build_features(history.iloc[places]), build_features(history)[places])


def test_the_first_reading_is_its_own_past() -> None:
    """Averages and lag are the reading itself, spreads 0, the seasonal factor 1."""
    row = build_features(a_history(["2026-01-31T14:30:00Z"], [250.0]))[0]
    assert dict(zip(SCHEMA.names, row.tolist(), strict=True)) == {
        "metric_value": 250, "seasonal_factor": 1, "region_id": 2, "product_id": 1, "day_of_week": 5, "hour_of_day": 14,
        "moving_average_7d": 250, "volatility_7d": 0, "weekday_avg": 250, "weekday_std": 0, "is_weekend": 1,
        "lag_1": 250,
    }  # fmt: skip


def test_the_week_before_excludes_the_reading_itself_and_what_is_older() -> None:
    """Seven days back to the second, the reading itself left out."""
    times = ["2026-01-01T00:00:00", "2026-01-01T00:00:01", "2026-01-05T00:00:00", "2026-01-08T00:00:01"]
    rows = build_features(a_history(times, [1000.0, 10.0, 30.0, 500.0]))
    assert column(rows, "moving_average_7d")[3] == 20
    assert column(rows, "volatility_7d")[3] == 10
    assert column(rows, "lag_1") == [1000, 1000, 10, 30]


def test_weekday_statistics_use_earlier_readings_of_that_weekday_of_eight_weeks() -> None:
    """Other days and older weeks do not count."""
    times = pd.date_range("2026-01-05", periods=70, freq="D", tz="UTC")  # begins on a Monday
    values = [100.0 * (number // 7) if number % 7 == 0 else 5.0 for number in range(70)]
    rows = build_features(a_history(times, values))
    monday = 63
    last_eight = [100.0 * week for week in range(1, 9)]
    assert column(rows, "weekday_avg")[monday] == np.mean(last_eight)
    assert column(rows, "weekday_std")[monday] == pytest.approx(np.std(last_eight))


def test_the_seasonal_factor_is_the_hours_level_over_the_level_of_all_hours() -> None:
    """Twice as high at noon as in the other hours."""
    times = pd.date_range("2026-01-01", periods=24 * 14, freq="h", tz="UTC")
    values = [200.0 if time.hour == 12 else 100.0 for time in times]
    rows = build_features(a_history(times, values))
    expected = 200 / np.mean(values)
    assert column(rows, "seasonal_factor")[24 * 13 + 12] == pytest.approx(expected, rel=0.01)
    assert column(rows, "seasonal_factor")[24 * 13 + 11] == pytest.approx(100 / np.mean(values), rel=0.01)


def test_the_seasonal_factor_stays_in_its_range() -> None:
    """A metric that lives for one hour a day would go to 24 and to 0."""
    times = pd.date_range("2026-01-01", periods=24 * 14, freq="h", tz="UTC")
    rows = build_features(a_history(times, [100.0 if time.hour == 12 else 0.0 for time in times]))
    assert set(column(rows, "seasonal_factor")[48:]) == {0.5, 2.5}


def test_a_volatility_beyond_the_contract_is_clipped() -> None:
    """Half a million of spread is possible with values up to a million."""
    times = pd.date_range("2026-01-01", periods=10, freq="h", tz="UTC")
    rows = build_features(a_history(times, [0.0, 1e6] * 5))
    assert max(column(rows, "volatility_7d")) == 1e5


@pytest.mark.parametrize("interval", ["5min", "1h", "1D"])
def test_works_at_any_interval(interval: str) -> None:
    """A constant metric has the same features however often it is read."""
    times = pd.date_range("2026-01-01", periods=300, freq=interval, tz="UTC")
    rows = build_features(a_history(times, [42.0] * 300))
    for name, expected in (("moving_average_7d", 42), ("weekday_avg", 42), ("lag_1", 42), ("seasonal_factor", 1)):
        assert column(rows, name) == pytest.approx([expected] * 300)
    assert column(rows, "volatility_7d") == [0] * 300


def test_after_a_gap_longer_than_the_window_the_reading_is_its_own_average() -> None:
    """Nothing is made up for the time in between, but the last reading is still the last one."""
    rows = build_features(a_history(["2026-01-01", "2026-03-01"], [10.0, 99.0]))
    assert column(rows, "moving_average_7d")[1] == 99
    assert column(rows, "lag_1")[1] == 10


def test_times_without_a_zone_are_utc() -> None:
    """And times with another zone are converted."""
    utc = a_history(["2026-01-04T23:30:00"], [1.0])
    naive = utc.assign(timestamp=utc["timestamp"].dt.tz_localize(None))
    tokyo = utc.assign(timestamp=utc["timestamp"].dt.tz_convert("Asia/Tokyo"))
    for history in (naive, tokyo):
        np.testing.assert_array_equal(build_features(history), build_features(utc))


def test_series_do_not_see_each_other() -> None:
    """The same rows come out alone and in company."""
    history = synthetic_history(seed=1, days=30, series=3)
    rows = build_features(history)
    alone = (history["region_id"] == 1).to_numpy()
    np.testing.assert_array_equal(build_features(history[alone]), rows[alone])


def test_only_the_last_eight_weeks_matter() -> None:
    """A caller need not keep more history than that, and gets the same bits as training did."""
    history = synthetic_history(seed=1, days=100, series=2)
    begin = history["timestamp"].min()
    recent = (history["timestamp"] >= begin + pd.Timedelta(days=30)).to_numpy()
    settled = (history["timestamp"] >= begin + pd.Timedelta(days=30 + 56)).to_numpy()
    np.testing.assert_array_equal(build_features(history[recent])[settled[recent]], build_features(history)[settled])
