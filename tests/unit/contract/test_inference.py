"""Inference requests: every form of the same readings gives the same rows, and what fits nowhere is refused."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contract.inference import InferenceReader, WantedOutput
from app.contract.schema import Matrix
from app.errors import ContractViolationError, MalformedBodyError, RowsRejectedError, TensorError, TooManyRowsError
from tests.unit.contract.inference_bodies import FORMS, SCHEMA, Body, in_binary, in_json, tensor

DOCUMENTED = (MalformedBodyError, TensorError, ContractViolationError, RowsRejectedError, TooManyRowsError)
READER = InferenceReader(SCHEMA, max_rows=20)
ROWS = SCHEMA.sample(3)

matrices = st.builds(SCHEMA.sample, st.integers(1, 20), st.integers(0, 2**32 - 1)).map(
    # Whole numbers are written without a point by many clients, so some rows must have them.
    lambda rows: np.where(np.arange(len(rows))[:, np.newaxis] % 2, rows, np.floor(rows))
)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25, deadline=None)
@given(rows=matrices)
def test_every_form_gives_the_same_rows(form: str, rows: Matrix) -> None:
    """Bit for bit."""
    found = READER.read(*FORMS[form](rows)).rows
    assert found.tobytes() == rows.tobytes()
    assert found.shape == rows.shape


def test_numbers_without_a_point_are_floats_too() -> None:
    """As in `/predict`."""
    assert READER.read(*in_json(tensor([[1] * 12]))).rows.tolist() == [[1.0] * 12]


@pytest.mark.parametrize("form", ["nested", "flat", "binary", "a tensor per feature", "features in binary"])
def test_no_readings_are_no_mistake(form: str) -> None:
    """An empty tensor is one of its shape."""
    assert READER.read(*FORMS[form](np.empty((0, 12)))).rows.shape == (0, 12)


# --- what does not fit --------------------------------------------------------------------------------------


def with_header(document: Any, rest: bytes = b"") -> Body:
    head = json.dumps(document).encode()
    return head + rest, len(head)


BINARY = {"name": "x", "shape": [1, 12], "datatype": "FP64", "parameters": {"binary_data_size": 96}}
FEATURES = [tensor([1.0], name) for name in SCHEMA.names]
ONE = tensor([[1.0] * 12])
REFUSED = [
    pytest.param(([], None), "Not an inference request: Expected `object`, got `array`", id="an array"),
    pytest.param(({}, None), "missing required field `inputs`", id="no inputs"),
    pytest.param(({"inputs": []}, None), r"length >= 1 - at `\$.inputs`", id="empty inputs"),
    pytest.param(({"inputs": [{}]}, None), r"missing required field `name` - at `\$.inputs\[0\]`", id="no name"),
    pytest.param(({"inputs": [{**ONE, "shape": ["1", 12]}]}, None), "Expected `int`, got `str`", id="shape of text"),
    pytest.param(({"inputs": [{**ONE, "shape": [-1, 12]}]}, None), "Expected `int` >= 0", id="negative shape"),
    pytest.param(({"inputs": [{**ONE, "shape": []}]}, None), "length >= 1", id="no shape"),
    pytest.param(({"inputs": [{**ONE, "shape": [1] * 9}]}, None), "length <= 8", id="too many dimensions"),
    pytest.param(({"inputs": [{**ONE, "shape": [True, 12]}]}, None), "Expected `int`, got `bool`", id="shape of bool"),
    pytest.param(({"inputs": [ONE], "id": 7}, None), r"Expected `str \| null`, got `int` - at `\$.id`", id="id"),
    pytest.param(({"inputs": [{**ONE, "datatype": "BOOL"}]}, None), "datatype 'BOOL'; known are FP64", id="BOOL"),
    pytest.param(({"inputs": [{**ONE, "datatype": "fp64"}]}, None), "datatype 'fp64'", id="small letters"),
    pytest.param(({"inputs": [{**ONE, "datatype": "BYTES", "data": ["1"] * 12}]}, None), "'BYTES'", id="BYTES"),
    pytest.param(({"inputs": [{**ONE, "shape": [1, 11]}]}, None), "no array of shape", id="not its shape"),
    pytest.param(({"inputs": [tensor([[1.0] * 11])]}, None), r"shape \[1, 11\]; send one .*\[-1, 12\]", id="11 wide"),
    pytest.param(({"inputs": [tensor([1.0] * 12)]}, None), r"has the shape \[12\]", id="a row without its dimension"),
    pytest.param(({"inputs": [tensor([[[1.0] * 12]])]}, None), r"has the shape \[1, 1, 12\]", id="three dimensions"),
    pytest.param(({"inputs": [{**ONE, "datatype": "INT32", "data": [1.5] * 12}]}, None), "no whole number", id="INT32"),
    pytest.param(({"inputs": [{k: v for k, v in ONE.items() if k != "data"}]}, None), "needs either", id="no data"),
    pytest.param(({"inputs": [{**ONE, "parameters": {"binary_data_size": 0}}]}, None), "needs either", id="both"),
    pytest.param(({"inputs": [BINARY]}, None), "add up to 96 bytes, but 0 follow", id="binary, but no bytes"),
    pytest.param(({"inputs": [BINARY]}, bytes(95)), "add up to 96 bytes, but 95 follow", id="a byte is missing"),
    pytest.param(({"inputs": [BINARY]}, bytes(97)), "add up to 96 bytes, but 97 follow", id="a byte too many"),
    pytest.param(({"inputs": [ONE]}, b"\0"), "add up to 0 bytes, but 1 follow", id="bytes that belong to nothing"),
    pytest.param(
        ({"inputs": [{**BINARY, "shape": [2, 12]}]}, bytes(96)), "takes 192", id="fewer bytes than its shape takes"
    ),
    pytest.param(
        ({"inputs": [{**BINARY, "parameters": {"binary_data_size": -96}}]}, bytes(96)), ">= 0", id="a negative size"
    ),
    pytest.param(
        ({"inputs": [{**BINARY, "parameters": {"binary_data_size": "96"}}]}, bytes(96)), "got `str`", id="size of text"
    ),
    pytest.param(({"inputs": [*FEATURES, FEATURES[0]]}, None), "Two inputs have the same name", id="a feature twice"),
    pytest.param(
        ({"inputs": [*FEATURES[:-1], tensor([1.0, 2.0], "lag_1")]}, None), r"'lag_1' has the shape \[2\]", id="longer"
    ),
    pytest.param(
        ({"inputs": [*FEATURES[:-1], tensor([[1.0, 2.0]], "lag_1")]}, None), r"the shape \[1, 2\]", id="wider"
    ),
    pytest.param(({"inputs": [ONE], "outputs": [{"name": "score"}]}, None), "no output 'score', only", id="output"),
    pytest.param(({"inputs": [ONE], "outputs": [{}]}, None), "missing required field `name`", id="output's name"),
    pytest.param(
        ({"inputs": [ONE], "outputs": [{"name": "prediction"}] * 2}, None), "asked for twice", id="an output twice"
    ),
    pytest.param(
        ({"inputs": [ONE], "outputs": [{"name": "prediction", "parameters": {"classification": 2}}]}, None),
        "parameter classification asks for an extension", id="classification",
    ),
    pytest.param(
        ({"inputs": [{**ONE, "parameters": {"shared_memory_region": "r"}}]}, None), "shared_memory_region", id="memory"
    ),
    pytest.param(({"inputs": [ONE], "parameters": {"sequence_id": 3}}, None), "sequence_id", id="a sequence"),
    pytest.param(
        ({"inputs": [ONE], "parameters": {"binary_data_output": "yes"}}, None), "got `str`", id="a switch of text"
    ),
    pytest.param(({"inputs": [ONE], "id": "\ud800"}, None), "no Unicode text", id="an id that cannot be sent back"),
    pytest.param(({"inputs": [ONE], "\ud800": 1}, None), "no Unicode text", id="a key that is no text"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "message"), REFUSED)
def test_what_does_not_fit_is_refused(sent: tuple[Any, bytes | None], message: str) -> None:
    """With one sentence that says what, and never anything but the documented error."""
    document, rest = sent
    with pytest.raises(TensorError, match=message) as caught:
        READER.read(*(with_header(document, rest) if rest is not None else (json.dumps(document).encode(), None)))
    assert len(str(caught.value)) < 500


def test_names_of_a_clients_own_are_cut_in_messages() -> None:
    """They may be as long as the body."""
    for document in (
        {"inputs": [{**ONE, "name": "n" * 10_000, "datatype": "d" * 10_000}]},
        {"inputs": [ONE], "outputs": [{"name": "o" * 10_000}]},
        {"inputs": [{**ONE, "name": "n" * 10_000, "shape": [9, 9]}]},
    ):
        with pytest.raises(TensorError) as caught:
            READER.read(*in_json(**document))
        assert len(str(caught.value)) < 500


def test_json_cannot_be_longer_than_the_body() -> None:
    """The header is a client's word."""
    with pytest.raises(TensorError, match="said to take 1000 bytes"):
        READER.read(b"{}", 1000)


def test_missing_and_unknown_features_are_named() -> None:
    """In the contract's own words, all at once."""
    with pytest.raises(ContractViolationError) as caught:
        READER.read(*in_json(*FEATURES[:-1], tensor([1.0], "colour")))
    assert str(caught.value) == "Missing features: ['lag_1']; Unexpected features: ['colour']"


@pytest.mark.parametrize("form", ["nested", "binary", "a tensor per feature"])
def test_too_many_rows_are_too_many_in_any_form(form: str) -> None:
    """The limit is that of batches."""
    with pytest.raises(TooManyRowsError) as caught:
        READER.read(*FORMS[form](SCHEMA.sample(21)))
    assert caught.value.rows == 21


@pytest.mark.parametrize("value", [True, "1", None, {}])
def test_values_that_are_no_numbers_are_named_by_row_and_feature(value: object) -> None:
    """Together with everything else that is wrong with the rows."""
    rows = ROWS.tolist()
    rows[1][2], rows[2][0] = value, -1.0
    columns = [tensor([row[i] for row in rows], name) for i, name in enumerate(SCHEMA.names)]
    for sent in (in_json({**tensor(ROWS), "data": rows}), in_json(*columns)):
        with pytest.raises(RowsRejectedError) as caught:
            READER.read(*sent)
        assert str(caught.value) == (
            f"row 1: region_id must be numeric, got {type(value).__name__}; "
            "row 2: metric_value=-1 out of range [0, 1000000]"
        )


def test_a_bare_nan_is_read_for_the_contract_to_name() -> None:
    """Python clients send it, though it is no JSON."""
    rows = ROWS.copy()
    rows[1, 3] = math.nan
    assert math.isnan(READER.read(*in_json(tensor(rows))).rows[1, 3])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b'{"inputs": [', id="cut"),
        pytest.param(in_json(ONE)[0] + b"x", id="with an end of its own"),
        pytest.param(b'{"inputs":' + b"[" * 100_000, id="deep inputs"),
        pytest.param(b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":' + b"[" * 100_000, id="deep data"),
        pytest.param(in_json(ONE)[0].replace(b'"name"', b'"name": "y", "name"'), id="a key twice"),
        pytest.param(in_json(ONE)[0].replace(b'"inputs"', b'"inputs": 1, "inputs"'), id="the inputs twice"),
        pytest.param(in_json(ONE)[0].replace(b'"data"', b'"data": [1], "data"'), id="the data twice"),
        pytest.param(in_json(ONE, parameters={"a": 1})[0].replace(b'"a"', b'"a": 2, "a"'), id="a parameter twice"),
        pytest.param(
            in_json(ONE, id="?")[0].replace(b"?", b"\\u0022").replace(b'"name"', b'"name": "", "name"'),
            id="a key twice, quotes made up for",
        ),
    ],
)
def test_what_is_no_strict_json_is_malformed(content: bytes) -> None:
    """As everywhere else in the service."""
    with pytest.raises(MalformedBodyError):
        READER.read(content)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_requests_are_read_or_refused(data: st.DataObject) -> None:
    """Whatever byte is changed, nothing but the documented errors comes out."""
    content, json_size = FORMS[data.draw(st.sampled_from(sorted(FORMS)))](ROWS)
    place = data.draw(st.integers(0, (json_size or len(content)) - 1))
    damaged = content[:place] + data.draw(st.binary(max_size=3)) + content[place + 1 :]
    with contextlib.suppress(*DOCUMENTED):
        assert READER.read(damaged, json_size).rows.shape[1] == 12


# --- outputs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param({}, [("prediction", False), ("is_anomaly", False), ("model_used", False)], id="all"),
        pytest.param({"outputs": []}, [("prediction", False), ("is_anomaly", False), ("model_used", False)], id="none"),
        pytest.param(
            {"parameters": {"binary_data_output": True}},
            [("prediction", True), ("is_anomaly", True), ("model_used", True)],
            id="all in binary",
        ),
        pytest.param(
            {"outputs": [{"name": "model_used"}, {"name": "prediction", "parameters": {"binary_data": True}}]},
            [("model_used", False), ("prediction", True)],
            id="some, in the order asked for",
        ),
        pytest.param(
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "is_anomaly", "parameters": {"binary_data": False}}, {"name": "prediction"}],
            },
            [("is_anomaly", False), ("prediction", True)],
            id="an output's own word counts more than the request's",
        ),
    ],
)
def test_outputs_are_those_asked_for(members: dict[str, Any], expected: list[tuple[str, bool]]) -> None:
    """Which, in which order, and in which form."""
    assert READER.read(*in_json(ONE, **members)).outputs == tuple(WantedOutput(*each) for each in expected)


def test_the_id_is_kept() -> None:
    """Whatever text it is; an empty one is none."""
    assert READER.read(*in_json(ONE, id='a "quoted" ünïcode id')).id == 'a "quoted" ünïcode id'
    assert READER.read(*in_json(ONE, id="")).id is None
    assert READER.read(*in_binary(("x", ROWS))).id is None
