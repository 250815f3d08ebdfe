"""Replies of the Open Inference Protocol, as a public client reads them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from app.api.inference_reply import inference_reply
from app.contract.inference import OUTPUTS, InferenceRequest, WantedOutput
from app.contract.schema import FeatureSchema, Readings
from app.serving.prediction import PredictedBatch

ROWS = FeatureSchema().sample(3)
SCORES = [0.1, 1 / 3, 1.0]


def batch(**changes: Any) -> PredictedBatch:
    fields: dict[str, Any] = {
        "readings": Readings(ROWS), "scores": SCORES, "decisions": [False, False, True], "model_used": "primary",
        "model_version": "v1", "batch_id": "b1", "latency_ms": 1.0, "warning": None,
    }  # fmt: skip
    return PredictedBatch(**(fields | changes))


def answered(*outputs: tuple[str, bool], request_id: str | None = "mine", **changes: Any) -> triton.InferResult:
    """What the client makes of a reply with these outputs; all in JSON where none is named."""
    wanted = tuple(WantedOutput(*each) for each in outputs or [(name, False) for name in OUTPUTS])
    body, json_size = inference_reply(
        InferenceRequest(request_id, ROWS, wanted), batch(**changes), model_name="anomaly", request_id="theirs"
    )
    return triton.InferenceServerClient.parse_response_body(body, header_length=json_size)


@pytest.mark.parametrize("binary", [False, True])
def test_each_output_has_a_value_per_reading(binary: bool) -> None:
    """To the last bit, in either form."""
    result = answered(*((name, binary) for name in OUTPUTS))
    assert result.as_numpy("prediction").tolist() == SCORES
    assert result.as_numpy("is_anomaly").tolist() == [False, False, True]
    assert [np.bytes_(text) for text in result.as_numpy("model_used")] == [b"primary"] * 3
    for output in result.get_response()["outputs"]:
        assert (output["datatype"], output["shape"]) == (OUTPUTS[output["name"]], [3])
        assert ("data" in output) is not binary


def test_binary_data_follows_in_the_order_of_the_outputs() -> None:
    """JSON outputs between them take no part in it."""
    result = answered(("model_used", True), ("prediction", False), ("is_anomaly", True))
    assert [output["name"] for output in result.get_response()["outputs"]] == ["model_used", "prediction", "is_anomaly"]
    assert result.as_numpy("is_anomaly").tolist() == [False, False, True]
    assert result.as_numpy("prediction").tolist() == SCORES


def test_the_reply_says_which_model_answered_what() -> None:
    """The id is the request's, else that of the HTTP exchange; rows of the batch have prediction ids of their own."""
    assert answered().get_response() | {"outputs": []} == {
        "model_name": "anomaly", "model_version": "v1", "id": "mine", "parameters": {"batch_id": "b1"}, "outputs": [],
    }  # fmt: skip
    assert answered(request_id=None).get_response()["id"] == "theirs"


def test_a_reply_of_the_rule_says_so() -> None:
    """There is no version then, and a warning."""
    document = answered(model_version=None, model_used="baseline", warning="Using baseline rule").get_response()
    assert "model_version" not in document
    assert document["parameters"] == {"batch_id": "b1", "warning": "Using baseline rule"}
    assert document["outputs"][2]["data"] == ["baseline"] * 3


def test_no_readings_have_no_values() -> None:
    """Empty tensors are tensors."""
    result = answered(*((name, True) for name in OUTPUTS), readings=Readings(ROWS[:0]), scores=[], decisions=[])
    assert [result.as_numpy(name).shape for name in OUTPUTS] == [(0,)] * 3


def test_json_alone_says_no_size() -> None:
    """The whole body is JSON then."""
    body, json_size = inference_reply(
        InferenceRequest(None, ROWS, (WantedOutput("prediction", False),)), batch(), model_name="a", request_id="r"
    )
    assert json_size is None
    assert json.loads(body)["outputs"][0]["data"] == SCORES
