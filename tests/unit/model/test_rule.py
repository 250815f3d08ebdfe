"""The z-score rule: the last stage, so its arithmetic is held to the letter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contract.schema import FeatureSchema, Matrix
from app.model.rule import z_score_rule

SCHEMA = FeatureSchema()


def row(metric_value: float, moving_average_7d: float, volatility_7d: float) -> Matrix:
    """The example reading with the three values the rule looks at."""
    values = SCHEMA.example()
    values |= {
        "metric_value": metric_value, "moving_average_7d": moving_average_7d, "volatility_7d": volatility_7d,
    }  # fmt: skip
    return SCHEMA.matrix([tuple(values.values())])


@pytest.mark.parametrize(
    ("metric_value", "average", "volatility", "score"),
    [
        pytest.param(100, 100, 0, 0.0, id="no deviation"),
        pytest.param(103, 100, 0, 0.0, id="exactly three, without volatility"),
        pytest.param(math.nextafter(103, 104), 100, 0, 1.0, id="one unit above three"),
        pytest.param(97, 100, 0, 0.0, id="exactly three below"),
        pytest.param(math.nextafter(97, 96), 100, 0, 1.0, id="a drop counts as a spike does"),
        pytest.param(133, 100, 10, 0.0, id="exactly three, with volatility"),
        pytest.param(134, 100, 10, 1.0, id="above three, with volatility"),
        pytest.param(131, 100, 10, 0.0, id="above three were it not for the 1"),
        pytest.param(1e6, 0, 0, 1.0, id="the widest deviation"),
        pytest.param(1e6, 0, 1e5, 1.0, id="the widest deviation at the greatest volatility"),
        pytest.param(0, 0, 0, 0.0, id="all at nothing"),
    ],
)
def test_an_anomaly_is_more_than_three_spreads_away(
    metric_value: float, average: float, volatility: float, score: float
) -> None:
    """`abs(metric_value - moving_average_7d) / (volatility_7d + 1) > 3`, the limit itself not included."""
    assert z_score_rule(row(metric_value, average, volatility)).tolist() == [score]


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e5))
def test_it_is_the_formula(metric_value: float, average: float, volatility: float) -> None:
    """For every reading of the contract, as plain Python computes it."""
    expected = 1.0 if abs(metric_value - average) / (volatility + 1) > 3 else 0.0
    assert z_score_rule(row(metric_value, average, volatility)).tolist() == [expected]


def test_it_looks_at_nothing_else() -> None:
    """The other nine features may be anything."""
    rows = SCHEMA.sample(500)
    others = rows.copy()
    unused = [index for index in range(12) if index not in (0, 6, 7)]
    others[:, unused] = SCHEMA.sample(500, seed=9)[:, unused]
    scores = z_score_rule(rows)
    np.testing.assert_array_equal(scores, z_score_rule(others))
    assert set(scores.tolist()) == {0.0, 1.0}


def test_many_rows_get_what_each_gets_alone() -> None:
    """One score a row, float64; none for no rows."""
    rows = SCHEMA.sample(300)
    scores = z_score_rule(rows)
    assert scores.dtype == np.float64
    assert scores.tolist() == [z_score_rule(rows[index : index + 1])[0] for index in range(len(rows))]
    assert z_score_rule(rows[:0]).shape == (0,)
