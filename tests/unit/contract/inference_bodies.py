"""One batch of readings in every form that the Open Inference Protocol allows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tritonclient.http as triton

from app.contract.schema import FeatureSchema, Matrix

SCHEMA = FeatureSchema()
Body = tuple[bytes, int | None]
"""The bytes, and how many of the first are JSON where not all are."""


def tensor(rows: Any, name: str = "x", datatype: str = "FP64", **members: Any) -> dict[str, Any]:
    """An input whose data is in the JSON."""
    shape = list(np.shape(rows))
    data = rows.tolist() if isinstance(rows, np.ndarray) else rows
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **members}


def in_json(*inputs: Mapping[str, Any], **members: Any) -> Body:
    """A request without binary data."""
    return json.dumps({"inputs": inputs, **members}).encode(), None


def in_binary(*tensors: tuple[str, Any], **members: Any) -> Body:
    """A request whose inputs, (name, array), all stand behind the JSON."""
    arrays = [(name, np.asarray(array, dtype="<f8")) for name, array in tensors]
    inputs = [
        {
            "name": name, "shape": list(array.shape), "datatype": "FP64",
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in arrays
    ]  # fmt: skip
    head = json.dumps({"inputs": inputs, **members}).encode()
    return head + b"".join(array.tobytes() for _, array in arrays), len(head)


def by_triton(rows: Matrix, *, binary: bool) -> Body:
    """What a public client makes of the same rows."""
    sent = triton.InferInput("x", list(rows.shape), "FP64").set_data_from_numpy(rows, binary_data=binary)
    body, json_size = triton.InferenceServerClient.generate_request_body([sent])
    return body, json_size


def _columns(rows: Matrix) -> list[tuple[str, Matrix]]:
    return list(zip(SCHEMA.names, rows.T, strict=True))


def _mixed(rows: Matrix) -> Body:
    """The first feature behind the JSON, all others in it, last first."""
    (name, first), *others = _columns(rows)
    binary = {
        "name": name, "shape": [len(first)], "datatype": "FP64", "parameters": {"binary_data_size": first.size * 8},
    }  # fmt: skip
    head = json.dumps({"inputs": [*(tensor(column, name) for name, column in reversed(others)), binary]}).encode()
    return head + first.astype("<f8").tobytes(), len(head)


FORMS: Mapping[str, Callable[[Matrix], Body]] = {
    "nested": lambda rows: in_json(tensor(rows)),
    "flat": lambda rows: in_json({**tensor(rows), "data": rows.ravel().tolist()}),
    "with parameters of others": lambda rows: in_json(tensor(rows), parameters={"priority": 1}, model_name="x"),
    "indented": lambda rows: (json.dumps({"inputs": [tensor(rows)]}, indent=1).encode(), None),
    "with nulls": lambda rows: in_json(tensor(rows, parameters=None), id=None, outputs=None, parameters=None),
    "binary": lambda rows: in_binary(("x", rows)),
    "a tensor per feature": lambda rows: in_json(*(tensor(column, name) for name, column in _columns(rows))),
    "a column per feature": lambda rows: in_json(*(tensor(c[:, np.newaxis], name) for name, c in _columns(rows))),
    "features in another order": lambda rows: in_json(*(tensor(c, name) for name, c in reversed(_columns(rows)))),
    "features in binary": lambda rows: in_binary(*_columns(rows)),
    "features, one in binary": _mixed,
    "tritonclient": lambda rows: by_triton(rows, binary=True),
    "tritonclient, JSON": lambda rows: by_triton(rows, binary=False),
}
