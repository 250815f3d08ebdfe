"""One tensor's values: JSON arrays and binary data to numbers that are exactly what its datatype says.

A tensor of 64-bit floats is what the models score. Other numeric datatypes are converted to it, and refused where
that would change a value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import TensorError

DATATYPES: Mapping[str, np.dtype[Any]] = {
    "FP64": np.dtype("<f8"), "FP32": np.dtype("<f4"),
    "INT64": np.dtype("<i8"), "INT32": np.dtype("<i4"), "INT16": np.dtype("<i2"), "INT8": np.dtype("i1"),
    "UINT64": np.dtype("<u8"), "UINT32": np.dtype("<u4"), "UINT16": np.dtype("<u2"), "UINT8": np.dtype("u1"),
}  # fmt: skip
"""The datatypes a reading may come in, by their names in the protocol; binary data is little-endian."""

_EXACT_BELOW = 2.0**53
"""Whole numbers smaller than this are 64-bit floats to the last digit."""

Values = NDArray[Any]
"""A tensor's values in row-major order, shape (n,): float64, or Python objects where some are no numbers."""


def numbers(data: list[Any], shape: Sequence[int]) -> Values | None:
    """The values of an array of numbers, or of arrays of numbers; None where that is not its shape."""
    flat: Iterable[float] = data
    count = len(data)
    if count and isinstance(data[0], list):
        if len(shape) != 2 or count != shape[0] or set(map(len, data)) != {shape[1]}:
            return None
        flat, count = chain.from_iterable(data), shape[0] * shape[1]
    return np.fromiter(flat, np.float64, count) if count == math.prod(shape) else None


def json_values(data: object, shape: Sequence[int], title: str) -> Values:
    """The values of a decoded JSON array, nested as its shape says, or flat. Raises `TensorError`."""
    flat = _flattened(data, shape)
    if flat is None:
        raise TensorError(f"{title} has data that is no array of shape {list(shape)}, neither nested nor flat")
    if all(type(value) in (int, float) for value in flat):
        return np.array(flat, dtype=np.float64)
    values = np.empty(len(flat), dtype=object)
    values[:] = flat
    return values


def _flattened(data: object, shape: Sequence[int]) -> list[Any] | None:
    if not isinstance(data, list):
        return None
    if len(data) == math.prod(shape) and not any(isinstance(value, list) for value in data):
        return data
    level: list[Any] = [data]
    for size in shape:
        if not all(isinstance(part, list) and len(part) == size for part in level):
            return None
        level = list(chain.from_iterable(level))
    return None if any(isinstance(value, list) for value in level) else level


def binary_values(data: memoryview, datatype: str, shape: Sequence[int], title: str) -> Values:
    """The values of a tensor's binary data, writable and aligned. Raises `TensorError`."""
    dtype = DATATYPES[datatype]
    expected = math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise TensorError(
            f"{title} has {len(data)} bytes of binary data; {datatype} of shape {list(shape)} takes {expected}"
        )
    return np.frombuffer(data, dtype).astype(np.float64)


def as_datatype(values: Values, datatype: str, title: str) -> Values:
    """The same values as `datatype` holds them. Raises `TensorError` where it, or a 64-bit float, cannot hold one."""
    dtype = DATATYPES[datatype]
    if values.dtype == object or datatype == "FP64":
        return values
    if datatype == "FP32":
        with np.errstate(over="ignore"):  # an infinity is out of every range
            return values.astype(dtype).astype(np.float64)
    limits = np.iinfo(dtype)
    held = (values == np.trunc(values)) & (values >= limits.min) & (values <= limits.max)
    held &= np.abs(values) < _EXACT_BELOW
    if not held.all():
        place = int(np.argmin(held))
        value = float(values[place])
        raise TensorError(f"{title} holds {value!r} at {place}, which is no whole number that {datatype} holds exactly")
    return values
