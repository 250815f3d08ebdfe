"""Scale-free ratios: bounded for every reading, and the same to the last bit alone or in company."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from app.contract.schema import FeatureSchema, Row
from app.model.ratios import RATIO_NAMES, ScaleFreeRatios, ratios

SCHEMA = FeatureSchema()
CONTEXT = slice(RATIO_NAMES.index("seasonal_factor"), RATIO_NAMES.index("hour_of_day") + 1)

rows = st.tuples(
    *(
        st.floats(feature.low, feature.high) | st.sampled_from([float(feature.low), float(feature.high)])
        for feature in SCHEMA.features
    )
)


@settings(max_examples=200, deadline=None)
@given(st.lists(rows, min_size=1, max_size=9))
def test_one_row_gives_bit_for_bit_what_it_gives_in_a_matrix(readings: list[Row]) -> None:
    """Alone it goes through Python floats, in company through arrays."""
    transformer = ScaleFreeRatios()
    together = transformer.transform(SCHEMA.matrix(readings))
    alone = np.array([transformer.transform_one(reading) for reading in readings])
    assert together.shape == (len(readings), len(RATIO_NAMES))
    np.testing.assert_array_equal(together.view(np.int64), alone.view(np.int64))
    first = transformer.transform(SCHEMA.matrix(readings[:1]))
    np.testing.assert_array_equal(together[:1].view(np.int64), first.view(np.int64))


@settings(max_examples=300, deadline=None)
@given(rows)
def test_every_ratio_is_finite_and_bounded(reading: Row) -> None:
    """Over the whole contract, edges included; the three plain features stay as they are."""
    found = ratios(*reading)
    assert len(found) == len(RATIO_NAMES)
    assert np.isfinite(found).all()
    assert found[CONTEXT] == (reading[1], reading[4], reading[5])
    rest = [*found[: CONTEXT.start], *found[CONTEXT.stop :]]
    assert max(map(abs, rest)) <= 1


def test_the_ratios_take_the_features_in_contract_order() -> None:
    """Rows come as they are, without names."""
    assert tuple(signature(ratios).parameters) == SCHEMA.names


def test_every_corner_of_the_contract_gives_finite_ratios() -> None:
    """All 4,096 readings whose values all lie at an edge."""
    corners = np.array(np.meshgrid(*zip(SCHEMA.lows, SCHEMA.highs, strict=True))).reshape(12, -1).T
    assert corners.shape == (4096, 12)
    found = ScaleFreeRatios().transform(corners)
    assert np.isfinite(found).all()


@settings(max_examples=100, deadline=None)
@given(rows)
def test_the_sizes_are_the_distances_without_sign(reading: Row) -> None:
    """Each `abs_` column belongs to the column it is named after."""
    by_name = dict(zip(RATIO_NAMES, ratios(*reading), strict=True))
    for name in RATIO_NAMES:
        if name.startswith("abs_"):
            assert by_name[name] == abs(by_name[name.removeprefix("abs_")])


def test_a_metric_and_its_double_look_the_same() -> None:
    """Scale-free: only the floor that keeps denominators positive tells them apart."""
    money = ["metric_value", "moving_average_7d", "volatility_7d", "weekday_avg", "weekday_std", "lag_1"]
    small = SCHEMA.example()
    large = {name: value * 64 if name in money else value for name, value in small.items()}
    assert ratios(*large.values()) == pytest.approx(ratios(*small.values()), abs=1e-6)


@pytest.mark.parametrize(
    ("metric_value", "z_step", "over_last"),
    [
        pytest.param(200.0, 100 / 10 / 11, 1 / 3, id="twice the last reading"),
        pytest.param(100.0, 0.0, 0.0, id="as before"),
        pytest.param(0.0, -100 / 10 / 11, -1.0, id="nothing left"),
    ],
)
def test_a_step_is_measured_in_spreads_and_in_levels(metric_value: float, z_step: float, over_last: float) -> None:
    """Worked by hand: spread is volatility 9 plus a hundredth of the average 100."""
    reading = SCHEMA.example() | {
        "metric_value": metric_value, "moving_average_7d": 100.0, "volatility_7d": 9.0, "lag_1": 100.0,
    }  # fmt: skip
    by_name = dict(zip(RATIO_NAMES, ratios(*reading.values()), strict=True))
    assert by_name["z_step"] == pytest.approx(z_step, abs=1e-6)
    assert by_name["over_last"] == pytest.approx(over_last, abs=1e-6)


def test_it_is_a_transformer_that_has_nothing_to_learn() -> None:
    """Usable unfitted, cloneable, and it names its columns."""
    transformer = clone(ScaleFreeRatios())
    assert transformer.fit(SCHEMA.sample(3)) is transformer
    assert transformer.get_feature_names_out().tolist() == list(RATIO_NAMES)
    assert len(set(RATIO_NAMES)) == len(RATIO_NAMES)
    assert transformer.transform(SCHEMA.sample(3)[:0]).shape == (0, len(RATIO_NAMES))
