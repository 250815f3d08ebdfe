"""The two ways to read a request's JSON: the quick one accepts only what the careful one reads alike."""

from __future__ import annotations

from typing import Any

import pytest

from app.contract import inference_json
from app.contract.inference_json import Parsed, read_request
from tests.unit.contract.inference_bodies import FORMS, SCHEMA, in_json, tensor

ROWS = SCHEMA.sample(4)
ONE = tensor([[1.0] * 12])

CAREFUL = [
    pytest.param(in_json(ONE, id='"')[0], id="an escape"),
    pytest.param(in_json(ONE, parameters={"priority": 1})[0], id="an unknown parameter"),
    pytest.param(in_json(ONE, model_version="1")[0], id="an unknown member"),
    pytest.param(in_json({**ONE, "data": [float("nan")] * 12})[0], id="NaN"),
    pytest.param(in_json({**ONE, "data": [True] * 12})[0], id="no numbers"),
]


def head(form: str) -> bytes:
    body, json_size = FORMS[form](ROWS)
    return body[:json_size]


def plain(parsed: Parsed | None) -> Any:
    """Comparable: arrays as lists, and without the data, which the two ways keep in different forms."""
    assert parsed is not None
    document, values = parsed
    inputs = [(each.name, each.shape, each.datatype, each.binary_size) for each in document.inputs]
    return document.id, inputs, [None if each is None else each.tolist() for each in values]


@pytest.mark.parametrize("form", sorted(FORMS.keys() - {"with parameters of others", "indented"}))
def test_ordinary_requests_are_read_quickly_and_alike(form: str) -> None:
    """The careful way takes several times as long, so what public clients send must not need it."""
    quick = inference_json._read_quickly(head(form))
    assert plain(quick) == plain(inference_json._read_carefully(head(form)))


@pytest.mark.parametrize("content", CAREFUL)
def test_everything_else_is_left_to_the_careful_way(content: bytes) -> None:
    """And read there."""
    assert inference_json._read_quickly(content) is None
    assert read_request(content)[0].inputs[0].name == "x"
