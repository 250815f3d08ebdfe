"""An Open Inference Protocol request: from bytes, JSON with or without binary data behind it, to rows.

The readings come as one tensor, a row per reading, or as one tensor per feature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import UNSET

from app.contract.inference_json import Document, Input, read_request
from app.contract.problems import Rejected
from app.contract.schema import FeatureSchema, Matrix, check_count
from app.contract.tensors import DATATYPES, Values, as_datatype, binary_values
from app.errors import ContractViolationError, RowsRejectedError, TensorError

OUTPUTS = {"prediction": "FP64", "is_anomaly": "BOOL", "model_used": "BYTES"}
"""What a reply can hold, with its datatype: one value per reading each."""

_UNSUPPORTED = ("classification", "shared_memory_region", "sequence_id")
_LENGTH_SHOWN = 100


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """One tensor of the reply; `binary`: behind the JSON instead of in it."""

    name: str
    binary: bool


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A request whose rows are numbers; whether they are within their ranges is still to be checked."""

    id: str | None
    rows: Matrix
    outputs: tuple[WantedOutput, ...]


class InferenceReader:
    """Reads requests about the features of one contract, of at most `max_rows` readings."""

    def __init__(self, schema: FeatureSchema, max_rows: int) -> None:
        self._schema = schema
        self._max_rows = max_rows

    def read(self, body: bytes, json_size: int | None = None) -> InferenceRequest:
        """The request in `body`, whose first `json_size` bytes are JSON; None: all of it.

        Raises `MalformedBodyError` (no strict JSON), `TensorError` (not a request, or tensors that do not fit),
        `ContractViolationError` (features missing or unknown), `RowsRejectedError` (values that are no numbers) or
        `TooManyRowsError`.
        """
        if json_size is not None and json_size > len(body):
            raise TensorError(f"The JSON is said to take {json_size} bytes, but the body has only {len(body)}")
        head = body[:json_size]
        document, found = read_request(head)
        _refuse_unsupported(document)
        outputs = _wanted_outputs(document)
        values = _all_values(document.inputs, found, memoryview(body)[len(head) :])
        rows = self._rows(document.inputs, values)
        if rows.dtype == object:
            raise RowsRejectedError(self._schema.rejected_rows(rows.tolist()))
        return InferenceRequest(document.id or None, rows, outputs)

    def _rows(self, inputs: Sequence[Input[Any]], values: Sequence[Values]) -> Values:
        names = self._schema.names
        if len(inputs) == 1:
            tensor = inputs[0]
            if len(tensor.shape) > 2 or math.prod(tensor.shape[1:]) != len(names):
                raise TensorError(
                    f"{tensor.title} has the shape {tensor.shape}; send one tensor of shape [-1, {len(names)}], "
                    "or one of shape [-1] for each feature"
                )
            check_count(tensor.shape[0], self._max_rows)
            return values[0].reshape(tensor.shape[0], len(names))
        count = self._check_columns(inputs)
        columns = {tensor.name: column for tensor, column in zip(inputs, values, strict=True)}
        rows = np.empty((count, len(names)), dtype=object if any(c.dtype == object for c in values) else np.float64)
        for index, name in enumerate(names):
            rows[:, index] = columns[name]
        return rows

    def _check_columns(self, inputs: Sequence[Input[Any]]) -> int:
        """How many readings the inputs hold, one input per feature."""
        by_name = {tensor.name: tensor for tensor in inputs}
        if len(by_name) != len(inputs):
            raise TensorError("Two inputs have the same name")
        problems = self._schema.name_problems(by_name)
        if problems:
            raise ContractViolationError(Rejected(tuple(problems)))
        count = inputs[0].shape[0]
        for tensor in inputs:
            if tensor.shape not in ([count], [count, 1]):
                raise TensorError(
                    f"{tensor.title} has the shape {tensor.shape}; the first input asks for {[count]} or {[count, 1]}"
                )
        check_count(count, self._max_rows)
        return count


def _all_values(inputs: Sequence[Input[Any]], found: Sequence[Values | None], rest: memoryview) -> list[Values]:
    """The values of every input, from the JSON or from its part of the bytes that follow. Raises `TensorError`."""
    announced = sum(tensor.binary_size or 0 for tensor in inputs)
    if announced != len(rest):
        raise TensorError(
            f"The inputs' binary_data_size add up to {announced} bytes, but {len(rest)} follow the JSON; "
            "the header Inference-Header-Content-Length says where it ends"
        )
    all_values: list[Values] = []
    for tensor, values in zip(inputs, found, strict=True):
        if tensor.datatype not in DATATYPES:
            known = ", ".join(DATATYPES)
            raise TensorError(f"{tensor.title} has the datatype {tensor.datatype[:_LENGTH_SHOWN]!r}; known are {known}")
        size = tensor.binary_size
        if (size is None) == (values is None):
            raise TensorError(f'{tensor.title} needs either "data" or the parameter binary_data_size')
        if values is None:
            values = binary_values(rest[:size], tensor.datatype, tensor.shape, tensor.title)
            rest = rest[size:]
        all_values.append(as_datatype(values, tensor.datatype, tensor.title))
    return all_values


def _wanted_outputs(document: Document[Any]) -> tuple[WantedOutput, ...]:
    """The outputs asked for, in that order; all where none is. Raises `TensorError`."""
    all_binary = bool(document.parameters and document.parameters.binary_data_output)
    if not document.outputs:
        return tuple(WantedOutput(name, all_binary) for name in OUTPUTS)
    wanted: dict[str, WantedOutput] = {}
    for output in document.outputs:
        if output.name not in OUTPUTS:
            raise TensorError(f"There is no output {output.name[:_LENGTH_SHOWN]!r}, only {', '.join(OUTPUTS)}")
        if output.name in wanted:
            raise TensorError(f"The output {output.name!r} is asked for twice")
        wanted[output.name] = WantedOutput(output.name, all_binary if output.binary is None else output.binary)
    return tuple(wanted.values())


def _refuse_unsupported(document: Document[Any]) -> None:
    """Refuses the parameters whose silent absence would change what a reply means. Raises `TensorError`."""
    tensors = [*document.inputs, *(document.outputs or ())]
    for parameters in [document.parameters, *(tensor.parameters for tensor in tensors)]:
        for name in _UNSUPPORTED:
            if getattr(parameters, name, UNSET) not in (UNSET, None):
                raise TensorError(f"The parameter {name} asks for an extension that is not supported here")
