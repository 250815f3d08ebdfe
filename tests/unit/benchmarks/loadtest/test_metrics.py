"""The readings that the load test sends."""

from __future__ import annotations

import numpy as np
import pytest

from app.contract.schema import FeatureSchema
from benchmarks.loadtest.metrics import Metric, metrics

SCHEMA = FeatureSchema()
DAYS = 7


@pytest.fixture(scope="module")
def few() -> list[Metric]:
    return metrics(seed=1, count=10, days=DAYS)


def column(metric: Metric, name: str) -> np.ndarray:
    return metric.rows[:, SCHEMA.names.index(name)]


def test_every_reading_fulfils_the_contract(few: list[Metric]) -> None:
    """A bad one among them would be counted as the service's failure."""
    assert len(few) == 10
    assert [len(SCHEMA.check_matrix(metric.rows).rejected) for metric in few] == [0] * 10


def test_the_past_of_every_reading_is_known(few: list[Metric]) -> None:
    """Without warm-up there would be no spread and no season yet."""
    for metric in few:
        assert (column(metric, "volatility_7d") > 0).all()
        assert (column(metric, "weekday_std") > 0).all()


def test_a_metric_is_read_hour_after_hour(few: list[Metric]) -> None:
    """Each is of one region and product, and what was read before stands in the next reading."""
    for metric in few:
        assert len(metric.rows) > DAYS * 24 / 2
        assert (
            len({*map(tuple, metric.rows[:, [SCHEMA.names.index("region_id"), SCHEMA.names.index("product_id")]])}) == 1
        )
        np.testing.assert_array_equal(column(metric, "lag_1")[1:], column(metric, "metric_value")[:-1])


def test_few_readings_are_anomalous(few: list[Metric]) -> None:
    """About one in twenty, as in training."""
    labels = [label for metric in few for label in metric.anomalous]
    assert set(labels) == {0, 1}
    assert 0.02 < sum(labels) / len(labels) < 0.1
    assert [len(metric.anomalous) for metric in few] == [len(metric.rows) for metric in few]


def test_metrics_have_no_end(few: list[Metric]) -> None:
    """After the last hour comes the first again."""
    metric = few[0]
    last = len(metric.rows) - 1
    assert metric.hours(last, 2) == (tuple(metric.rows[last].tolist()), tuple(metric.rows[0].tolist()))
    assert metric.actual(last + 1) == metric.actual(0)
    anomaly = metric.anomalous.index(1)
    assert metric.actual(anomaly) == 1


def test_a_seed_gives_the_same_readings_each_time(few: list[Metric]) -> None:
    """So that two runs can be compared."""
    again = metrics(seed=1, count=10, days=DAYS)
    assert all((one.rows == other.rows).all() for one, other in zip(few, again, strict=True))
    assert [one.anomalous for one in few] == [other.anomalous for other in again]
