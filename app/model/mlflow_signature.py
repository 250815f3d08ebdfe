"""MLflow's signature of a model: which columns it takes, read and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from app.contract.schema import FeatureSchema
from app.errors import ContractMismatchError

_NUMBERS = ("integer", "long", "float", "double")


class _Tensor(msgspec.Struct):
    dtype: str
    shape: list[int]


class _Column(msgspec.Struct, rename={"tensor": "tensor-spec"}):
    type: str
    name: str | None = None
    tensor: _Tensor | None = None


def check_inputs(inputs: str, schema: FeatureSchema, source: object) -> None:
    """Whether a model with the signature `inputs` takes the contract's features, in their order.

    Either a number per column, by name or by position alone, or one matrix.

    Raises `ContractMismatchError`, or `msgspec.MsgspecError` where it is no signature.
    """
    columns = msgspec.json.decode(inputs, type=list[_Column])
    problem = _problem(columns, schema)
    if problem:
        raise ContractMismatchError(f"{source}: by its signature the model {problem}")


def written_inputs(schema: FeatureSchema) -> str:
    """The contract's features as columns."""
    return _json([{"type": "double", "name": name, "required": True} for name in schema.names])


def written_outputs(shape: Sequence[int]) -> str:
    """One tensor of 64-bit floats; -1 stands for the number of rows."""
    return _json([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": shape}}])


def _problem(columns: Sequence[_Column], schema: FeatureSchema) -> str | None:
    names, width = [column.name for column in columns], len(schema.names)
    tensors = [column.tensor for column in columns if column.tensor]
    if tensors:
        kind, shape = tensors[0].dtype, tensors[0].shape
        if len(columns) == 1 and shape == [-1, width] and kind.startswith(("float", "int", "uint")):
            return None
        given = ", ".join(f"a tensor of {tensor.dtype}, shape {tensor.shape}" for tensor in tensors)
        return f"takes {given}; the contract's rows are numbers, shape {[-1, width]}"
    for column in columns:
        if column.type not in _NUMBERS:
            return f"takes {column.name or 'a column'} as {column.type}; the contract's features are numbers"
    if set(names) == {None}:
        return None if len(names) == width else f"takes {len(names)} columns without names, the contract has {width}"
    missing = [name for name in schema.names if name not in names]
    further = [name for name in names if name not in schema.names]
    if missing or further:
        unlike = [f"does not take {missing}"] * bool(missing) + [f"takes {further}"] * bool(further)
        return " and ".join(unlike) + ", unlike the contract"
    if tuple(names) != schema.names:
        return f"takes the columns in the order {names}, the contract's is {list(schema.names)}"
    return None


def _json(document: Any) -> str:
    return msgspec.json.encode(document).decode()
