"""Drift: bins, and the population stability index."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.schema import FeatureSchema
from app.model.bundle import reference_distribution
from app.telemetry.drift import FeatureBins, population_stability_index

SCHEMA = FeatureSchema()


def bins_of(seed: int) -> FeatureBins:
    reference = reference_distribution(SCHEMA.sample(500, seed), SCHEMA)
    edges = {name: bins.edges for name, bins in reference.items()}
    return FeatureBins.of("v1", edges, {name: bins.ratios for name, bins in reference.items()})


def test_the_training_rows_fall_into_the_bins_as_the_manifest_says() -> None:
    """Live readings are binned exactly as the reference was."""
    bins = bins_of(seed=3)
    counts = bins.count(SCHEMA.sample(500, seed=3))
    for feature, ratios in zip(counts, bins.ratios, strict=True):
        assert (feature / 500).tolist() == pytest.approx(list(ratios))


def test_every_row_falls_into_one_bin_of_each_feature() -> None:
    """Range edges included."""
    rows = np.vstack([SCHEMA.sample(300, seed=4), SCHEMA.lows, SCHEMA.highs])
    assert [feature.sum() for feature in bins_of(seed=3).count(rows)] == [302] * len(SCHEMA.names)


def test_psi_by_hand() -> None:
    """(0.75 - 0.5) ln(0.75 / 0.5) + (0.25 - 0.5) ln(0.25 / 0.5)."""
    expected = 0.25 * math.log(1.5) - 0.25 * math.log(0.5)
    assert population_stability_index([75, 25], [0.5, 0.5]) == pytest.approx(expected)


def test_an_empty_bin_is_no_infinity() -> None:
    """Neither in the live distribution nor in the reference."""
    assert 1 < population_stability_index([100, 0], [0.5, 0.5]) < 10
    assert 1 < population_stability_index([50, 50], [1.0, 0.0]) < 10


def test_nothing_counted_is_no_drift() -> None:
    """Silence says nothing about the values."""
    assert population_stability_index([0, 0], [0.5, 0.5]) == 0


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=10))
def test_the_reference_itself_has_not_drifted(counts: list[int]) -> None:
    """And any distribution is at least as far from it."""
    ratios = [count / sum(counts) for count in counts]
    assert population_stability_index(counts, ratios) == pytest.approx(0, abs=1e-12)
    assert population_stability_index(list(reversed(counts)), ratios) >= -1e-12
