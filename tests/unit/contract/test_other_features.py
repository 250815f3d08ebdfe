"""A service for other features: subclasses, samples of them, and whole matrices of values."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from app.contract.problems import Problem, Rejected
from app.contract.schema import Feature, FeatureSchema
from app.errors import ContractViolationError, MalformedBodyError
from tests.unit.contract.wire import SCHEMA


class Boiler(FeatureSchema):
    """Four features, with names that are no Python identifiers."""

    features = (
        Feature("temp (C)", -40, 120.5, "Water.", 65),
        Feature("a/b", 0, 1, "A ratio.", 0.5),
        Feature("Größe", 1, 2, "Size.", 1.5),
        Feature("class", -3, -1, "A Python keyword.", -2),
    )


BOILER = Boiler()
GOOD = {"temp (C)": 65, "a/b": 0.5, "Größe": 1.5, "class": -2}


@pytest.mark.parametrize("ascii_only", [pytest.param(True, id="escaped"), pytest.param(False, id="in UTF-8")])
def test_a_schema_of_other_features_reads_rows_and_batches(ascii_only: bool) -> None:
    """Four features, odd names, both spellings of what is not ASCII."""
    text = json.dumps(GOOD, ensure_ascii=ascii_only)
    assert BOILER.parse_row(text.encode()) == (65.0, 0.5, 1.5, -2.0)
    assert (
        BOILER.parse_batch(f'{{"instances": [{text}, {text}]}}'.encode()).rows.tolist() == [[65.0, 0.5, 1.5, -2.0]] * 2
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"temp (C)": 121}, "temp (C)=121 out of range [-40, 120.5]", id="out of range"),
        pytest.param({"a/b": "1"}, "a/b must be numeric, got str", id="not numeric"),
        pytest.param({"Größe": math.nan}, "Größe cannot be NaN", id="nan"),
        pytest.param({"class": 0}, "class=0 out of range [-3, -1]", id="negative range"),
        pytest.param(
            {"metric_value": 1}, "Unexpected features: ['metric_value']", id="a feature of the other contract"
        ),
    ],
)
def test_a_schema_of_other_features_names_its_own(change: dict[str, object], message: str) -> None:
    """The messages are the same with other names."""
    with pytest.raises(ContractViolationError) as caught:
        BOILER.parse_row(json.dumps(GOOD | change).encode())
    assert str(caught.value) == message


def test_a_schema_of_other_features_still_refuses_repeated_keys() -> None:
    """Quotes are counted per its own number of features."""
    with pytest.raises(MalformedBodyError, match="repeats the key 'class'"):
        BOILER.parse_row(json.dumps(GOOD).encode()[:-1] + b', "class": -2}')


def test_a_reading_that_is_no_object_is_told_the_right_number_of_features() -> None:
    """Four, not twelve."""
    expected = Rejected((Problem("not_an_object", "A reading must be a JSON object with 4 features, got list"),))
    assert BOILER.check([1, 2, 3, 4]) == expected


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 0.5, 1.0, 2.5, 1e5, 1e6, -0.0])


@settings(max_examples=150, deadline=None)
@given(npst.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(12)), elements=numbers))
def test_a_matrix_is_checked_as_its_rows_are(matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    """The same problems, row by row, in the same order."""
    alone = [SCHEMA.check(dict(zip(SCHEMA.names, row, strict=True))) for row in matrix.tolist()]
    found = SCHEMA.check_matrix(matrix)
    assert found.rejected == {place: entry for place, entry in enumerate(alone) if isinstance(entry, Rejected)}
    assert list(map(tuple, found.rows.tolist())) == [entry for entry in alone if not isinstance(entry, Rejected)]
    assert [alone[place] for place in found.positions] == list(map(tuple, found.rows.tolist()))
    assert found.count == len(matrix)


def test_a_matrix_names_the_row_and_what_is_wrong() -> None:
    """Row indices from 0, and the contract's own messages."""
    matrix = SCHEMA.sample(4)
    matrix[1, 11], matrix[3, 0], matrix[3, 2] = math.nan, math.inf, 10.5
    assert SCHEMA.check_matrix(matrix).rejected == {
        1: Rejected((Problem("nan", "lag_1 cannot be NaN", "lag_1"),)),
        3: Rejected(
            (
                Problem("out_of_range", "metric_value=inf out of range [0, 1000000]", "metric_value"),
                Problem("out_of_range", "region_id=10.5 out of range [0, 10]", "region_id"),
            )
        ),
    }


@pytest.mark.parametrize("kind", [FeatureSchema, Boiler])
def test_the_example_fulfils_the_contract(kind: type[FeatureSchema]) -> None:
    """It is what the documentation shows and what `curl` users copy."""
    schema = kind()
    content = json.dumps(schema.example()).encode()
    assert schema.parse_row(content) == tuple(feature.example for feature in schema.features)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_sampled_rows_fulfil_the_contract(count: int, seed: int) -> None:
    """Every one, and as many as were asked for."""
    for schema in (SCHEMA, BOILER):
        rows = schema.sample(count, seed)
        assert rows.shape == (count, len(schema.names))
        assert not schema.check_matrix(rows).rejected


def test_samples_reach_both_edges_of_every_feature_and_the_middle() -> None:
    """A tenth of the values lies at the edges, where models and rules go wrong first."""
    rows = SCHEMA.sample(1_000)
    at_low, at_high = rows == SCHEMA.lows, rows == SCHEMA.highs
    assert at_low.any(axis=0).all()
    assert at_high.any(axis=0).all()
    assert 0.09 < (at_low | at_high).mean() < 0.11


def test_samples_depend_on_the_seed_alone() -> None:
    """The same seed gives the same rows, another gives others."""
    np.testing.assert_array_equal(SCHEMA.sample(20, seed=5), SCHEMA.sample(20, seed=5))
    assert (SCHEMA.sample(20, seed=5) != SCHEMA.sample(20, seed=6)).any(axis=0).all()


@pytest.mark.parametrize(
    "count", [pytest.param(0, id="no rows"), pytest.param(1, id="one"), pytest.param(3, id="more")]
)
def test_rows_become_a_matrix(count: int) -> None:
    """float64, one line a row, also where there is none."""
    row = BOILER.check(GOOD)
    assert not isinstance(row, Rejected)
    matrix = BOILER.matrix([row] * count)
    assert matrix.shape == (count, 4)
    assert matrix.dtype == np.float64
    assert matrix.tolist() == [[65.0, 0.5, 1.5, -2.0]] * count


def test_a_schema_refuses_duplicate_features() -> None:
    """At construction, with the class and the names."""

    class Twice(FeatureSchema):
        features = (Feature("a", 0, 1, "", 0), Feature("a", 0, 2, "", 0))

    with pytest.raises(ValueError, match=r"^Twice\.features must be distinct and at least one: \('a', 'a'\)$"):
        Twice()


def test_a_schema_refuses_to_have_no_features() -> None:
    """At construction."""

    class Nothing(FeatureSchema):
        features = ()

    with pytest.raises(ValueError, match=r"^Nothing\.features must be distinct and at least one: \(\)$"):
        Nothing()
