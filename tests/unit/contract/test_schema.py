"""The contract's messages, word for word; all problems of a reading at once and in a stable order."""

from __future__ import annotations

import math

import pytest

from app.contract.problems import Problem, Rejected
from app.contract.schema import Feature
from app.errors import ContractViolationError, MalformedBodyError
from tests.unit.contract.wire import SCHEMA, body, pairs, written

EDGES = [
    pytest.param(feature, edge, beyond, id=f"{feature.name} {word}")
    for feature in SCHEMA.features
    for word, edge, beyond in (("low", feature.low, -math.inf), ("high", feature.high, math.inf))
]


def rejection(content: bytes) -> Rejected:
    """Why `content` is no row."""
    with pytest.raises(ContractViolationError) as caught:
        SCHEMA.parse_row(content)
    assert str(caught.value) == caught.value.rejected.message
    return caught.value.rejected


def test_a_good_reading_becomes_a_row_in_contract_order() -> None:
    """Whatever the order of its keys; integers become floats."""
    row = SCHEMA.parse_row(written(reversed(pairs())))
    assert row == tuple(SCHEMA.example().values())
    assert {type(value) for value in row} == {float}


def test_the_contract_is_the_twelve_features_in_their_order_and_ranges() -> None:
    """A promise to users: names, order and closed ranges."""
    assert [(feature.name, feature.low, feature.high) for feature in SCHEMA.features] == [
        ("metric_value", 0, 1e6),
        ("seasonal_factor", 0.5, 2.5),
        ("region_id", 0, 10),
        ("product_id", 0, 100),
        ("day_of_week", 0, 7),
        ("hour_of_day", 0, 24),
        ("moving_average_7d", 0, 1e6),
        ("volatility_7d", 0, 1e5),
        ("weekday_avg", 0, 1e6),
        ("weekday_std", 0, 1e5),
        ("is_weekend", 0, 1),
        ("lag_1", 0, 1e6),
    ]


@pytest.mark.parametrize(
    ("literal", "code", "message"),
    [
        pytest.param("true", "not_numeric", "metric_value must be numeric, got bool", id="boolean"),
        pytest.param('"1523.5"', "not_numeric", "metric_value must be numeric, got str", id="numeric string"),
        pytest.param("null", "not_numeric", "metric_value must be numeric, got NoneType", id="null"),
        pytest.param("[1]", "not_numeric", "metric_value must be numeric, got list", id="array"),
        pytest.param('{"a": 1}', "not_numeric", "metric_value must be numeric, got dict", id="object"),
        pytest.param("NaN", "nan", "metric_value cannot be NaN", id="NaN"),
        pytest.param("Infinity", "out_of_range", "metric_value=inf out of range [0, 1000000]", id="Infinity"),
        pytest.param("-Infinity", "out_of_range", "metric_value=-inf out of range [0, 1000000]", id="minus Infinity"),
        pytest.param("1e400", "out_of_range", "metric_value=inf out of range [0, 1000000]", id="1e400"),
        pytest.param("-1", "out_of_range", "metric_value=-1 out of range [0, 1000000]", id="integer below"),
        pytest.param("-0.5", "out_of_range", "metric_value=-0.5 out of range [0, 1000000]", id="below"),
        pytest.param("1000001.0", "out_of_range", "metric_value=1000001 out of range [0, 1000000]", id="above"),
        pytest.param("1e300", "out_of_range", "metric_value=1e+300 out of range [0, 1000000]", id="far above"),
        pytest.param(
            "1" * 20, "out_of_range", f"metric_value={'1' * 20} out of range [0, 1000000]", id="20-digit integer"
        ),
        pytest.param("1" * 400, "out_of_range", "metric_value=inf out of range [0, 1000000]", id="400-digit integer"),
        pytest.param(
            "-" + "1" * 5_000, "out_of_range", "metric_value=-inf out of range [0, 1000000]", id="5,000-digit integer"
        ),
    ],
)
def test_a_bad_value_is_named_with_what_is_wrong(literal: str, code: str, message: str) -> None:
    """One value, one problem, and the message users script against."""
    assert rejection(body(metric_value=literal)) == Rejected((Problem(code, message, "metric_value"),))


def test_a_range_with_a_fraction_is_written_in_full() -> None:
    """Whole numbers without a point, others as they are."""
    assert rejection(body(seasonal_factor="2.75")).message == "seasonal_factor=2.75 out of range [0.5, 2.5]"


@pytest.mark.parametrize(("feature", "edge", "beyond"), EDGES)
def test_both_edges_belong_to_the_range_and_the_next_float_does_not(
    feature: Feature, edge: float, beyond: float
) -> None:
    """Closed ranges, exact to one unit in the last place."""
    index = SCHEMA.names.index(feature.name)
    assert SCHEMA.parse_row(body(**{feature.name: repr(edge)}))[index] == edge
    outside = math.nextafter(edge, beyond)
    low, high = (f"{number:.0f}" if number == int(number) else str(number) for number in (feature.low, feature.high))
    expected = f"{feature.name}={outside!r} out of range [{low}, {high}]"
    assert rejection(body(**{feature.name: repr(outside)})).message == expected


def test_all_problems_are_told_at_once_and_in_order() -> None:
    """Missing first, then unexpected ones as they came, then values in contract order."""
    members = dict(pairs(lag_1="-3", volatility_7d="NaN", metric_value="true", region_id='"3"'))
    del members['"weekday_avg"'], members['"product_id"']
    found = rejection(written([('"zeta"', "1"), *reversed(members.items()), ('"alpha"', "2")]))
    assert found.message == (
        "Missing features: ['product_id', 'weekday_avg']; Unexpected features: ['zeta', 'alpha']; "
        "metric_value must be numeric, got bool; region_id must be numeric, got str; "
        "volatility_7d cannot be NaN; lag_1=-3 out of range [0, 1000000]"
    )
    assert [(problem.code, problem.feature) for problem in found.problems] == [
        ("missing", "product_id"),
        ("missing", "weekday_avg"),
        ("unexpected", "zeta"),
        ("unexpected", "alpha"),
        ("not_numeric", "metric_value"),
        ("not_numeric", "region_id"),
        ("nan", "volatility_7d"),
        ("out_of_range", "lag_1"),
    ]
    assert [problem.message for problem in found.problems[:3]] == [
        "Missing features: ['product_id']",
        "Missing features: ['weekday_avg']",
        "Unexpected features: ['zeta']",
    ]


def test_an_empty_object_misses_every_feature() -> None:
    """All twelve, in contract order."""
    assert rejection(b"{}").message == f"Missing features: {list(SCHEMA.names)}"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"[1, 2]", "list", id="array"),
        pytest.param(b"null", "NoneType", id="null"),
        pytest.param(b"12", "int", id="number"),
        pytest.param(b'"{}"', "str", id="JSON inside a string"),
    ],
)
def test_a_document_that_is_no_object_is_refused(content: bytes, kind: str) -> None:
    """It is JSON, so the contract answers."""
    message = f"A reading must be a JSON object with 12 features, got {kind}"
    assert rejection(content) == Rejected((Problem("not_an_object", message),))


def test_a_repeated_feature_is_malformed_even_with_equal_values() -> None:
    """The last of two would win silently elsewhere."""
    with pytest.raises(MalformedBodyError, match=r"^The body repeats the key 'lag_1'$"):
        SCHEMA.parse_row(written([*pairs(), ('"lag_1"', "1498.0")]))
    with pytest.raises(MalformedBodyError, match=r"^The body repeats the key 'lag_1'$"):
        SCHEMA.parse_row(written([*pairs(), ('"la\\u0067_1"', "1498.0")]))


def test_a_name_that_differs_in_case_or_space_is_unexpected() -> None:
    """Names are exact."""
    members = dict(pairs())
    value = members.pop('"lag_1"')
    found = rejection(written([*members.items(), ('"Lag_1"', value), ('"lag_1 "', value)]))
    assert found.message == "Missing features: ['lag_1']; Unexpected features: ['Lag_1', 'lag_1 ']"


def test_very_many_unexpected_names_are_counted_not_listed() -> None:
    """The first twenty, and how many more there are."""
    strangers = [(f'"x{number}"', "1") for number in range(50_000)]
    names = [f"x{number}" for number in range(20)]
    assert rejection(written([*pairs(), *strangers])).message == f"Unexpected features: {[*names, 'and 49980 more']}"


def test_a_very_long_unexpected_name_is_cut() -> None:
    """At a hundred characters, so that no client decides the size of a log line."""
    found = rejection(written([*pairs(), ('"' + "n" * 1_000_000 + '"', "1")]))
    assert found.message == f"Unexpected features: ['{'n' * 100}']"


def test_a_lone_surrogate_in_a_name_can_be_reported() -> None:
    """The message goes into a UTF-8 reply, whatever a client invents."""
    found = rejection(written([*pairs(), ('"\\ud800"', "1")]))
    assert found.message.encode() == b"Unexpected features: ['\\ud800']"
