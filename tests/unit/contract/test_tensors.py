"""One tensor's values: every datatype exactly, or not at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.tensors import DATATYPES, as_datatype, binary_values, json_values, numbers
from app.errors import TensorError


@pytest.mark.parametrize("datatype", DATATYPES)
def test_binary_data_is_read_as_its_datatype(datatype: str) -> None:
    """Little-endian, whatever the machine; the result may be written to and is aligned."""
    data = b"?" + np.array([0, 1, 100], dtype=DATATYPES[datatype]).tobytes()
    values = as_datatype(binary_values(memoryview(data)[1:], datatype, [3], "x"), datatype, "x")
    assert values.tolist() == [0.0, 1.0, 100.0]
    assert values.dtype == np.dtype(np.float64)
    assert values.flags.writeable
    assert values.flags.aligned


@pytest.mark.parametrize("size", [0, 8, 15, 17, 24])
def test_binary_data_must_be_as_long_as_its_shape_says(size: int) -> None:
    """No value is made up, and none dropped."""
    with pytest.raises(TensorError, match=rf"^x has {size} bytes of binary data; FP64 of shape \[2\] takes 16$"):
        binary_values(memoryview(bytes(size)), "FP64", [2], "x")


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_whole_numbers_that_a_float_holds_are_kept(number: int) -> None:
    """To the last digit."""
    data = memoryview(number.to_bytes(8, "little", signed=True))
    assert int(as_datatype(binary_values(data, "INT64", [1], "x"), "INT64", "x")[0]) == number


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        pytest.param("INT64", 2**53, id="a float could not tell it from its neighbour"),
        pytest.param("UINT64", 2**64 - 1, id="the largest"),
        pytest.param("INT64", -(2**63), id="the smallest"),
        pytest.param("INT32", 1.5, id="a fraction"),
        pytest.param("INT8", 128, id="more than a byte holds"),
        pytest.param("UINT8", -1, id="less than nothing"),
        pytest.param("INT64", math.nan, id="NaN"),
        pytest.param("INT64", math.inf, id="infinity"),
    ],
)
def test_what_an_integer_type_cannot_hold_is_refused(datatype: str, value: float) -> None:
    """Rather than rounded or wrapped."""
    with pytest.raises(TensorError, match=f"^x holds .* at 1, which is no whole number that {datatype} holds exactly$"):
        as_datatype(np.array([1.0, value]), datatype, "x")


def test_a_32_bit_float_is_what_32_bits_hold() -> None:
    """So that JSON and binary data of the same datatype mean the same; what overflows is out of every range."""
    values = as_datatype(np.array([0.1, 1e300, math.nan]), "FP32", "x")
    assert values[0] == float(np.float32(0.1))
    assert values[1] == math.inf
    assert math.isnan(values[2])


ARRAYS = [
    pytest.param([1.0, 2.0], [2], [1.0, 2.0], id="flat"),
    pytest.param([[1.0, 2.0], [3.0, 4.0]], [2, 2], [1.0, 2.0, 3.0, 4.0], id="nested"),
    pytest.param([1.0, 2.0, 3.0, 4.0], [2, 2], [1.0, 2.0, 3.0, 4.0], id="flat, of two dimensions"),
    pytest.param([[1.0], [2.0]], [2, 1], [1.0, 2.0], id="a column"),
    pytest.param([], [0], [], id="nothing"),
    pytest.param([], [0, 12], [], id="no rows"),
    pytest.param([[1.0]], [1, 1], [1.0], id="one value"),
]
MISSHAPEN = [
    pytest.param([1.0], [2], id="too few"),
    pytest.param([1.0, 2.0, 3.0], [2], id="too many"),
    pytest.param([[1.0, 2.0]], [2], id="nested deeper than its shape"),
    pytest.param([[1.0, 2.0], [3.0]], [2, 2], id="ragged"),
    pytest.param([[1.0, 2.0, 3.0], [4.0]], [2, 2], id="ragged, with the right sum"),
    pytest.param([[1.0, 2.0]], [2, 1], id="turned"),
    pytest.param([], [1], id="nothing for something"),
    pytest.param([1.0], [0, 10**18], id="more columns than there is memory"),
]
MIXED = [
    pytest.param([[1.0, 2.0], 3.0, 4.0], [2, 2], id="half nested"),
    pytest.param([1.0, [2.0, 3.0]], [2, 2], id="half nested, at the end"),
    pytest.param([[[1.0]]], [1, 1], id="too deep"),
]


@pytest.mark.parametrize(("data", "shape", "expected"), ARRAYS)
def test_an_array_may_be_nested_or_flat(data: list[Any], shape: list[int], expected: list[float]) -> None:
    """Row-major either way; the quick way and the careful one agree."""
    quick = numbers(data, shape)
    assert quick is not None
    assert quick.tolist() == json_values(data, shape, "x").tolist() == expected


@pytest.mark.parametrize(("data", "shape"), MISSHAPEN)
def test_the_quick_way_does_not_accept_an_array_that_is_not_of_its_shape(data: list[Any], shape: list[int]) -> None:
    """It leaves it to the careful way to say so."""
    assert numbers(data, shape) is None


@pytest.mark.parametrize(("data", "shape"), [*MISSHAPEN, *MIXED])
def test_an_array_that_is_not_of_its_shape_is_refused(data: list[Any], shape: list[int]) -> None:
    """Neither cut, nor filled up, nor turned."""
    with pytest.raises(TensorError, match=r"^x has data that is no array of shape "):
        json_values(data, shape, "x")


@pytest.mark.parametrize("data", [None, 1.0, "1", {"0": 1.0}, True])
def test_data_must_be_an_array(data: object) -> None:
    """A lone number is none."""
    with pytest.raises(TensorError):
        json_values(data, [1], "x")


def test_values_that_are_no_numbers_are_kept_for_the_contract_to_name() -> None:
    """Booleans too: JSON does not call them numbers."""
    values = json_values([1, True, "2", None, {"a": 1}], [5], "x")
    assert values.dtype == object
    assert values.tolist() == [1, True, "2", None, {"a": 1}]
    assert as_datatype(values, "INT8", "x") is values
