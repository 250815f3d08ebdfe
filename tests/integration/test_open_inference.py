"""`/v2`, from bytes to reply to audit."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.contract.schema import FeatureSchema
from app.settings import VERSION, Settings
from tests.integration.conftest import audit_lines
from tests.unit.contract.inference_bodies import FORMS, Body, in_binary, in_json, tensor

INFER = "/v2/models/anomaly/infer"
JSON_SIZE = "Inference-Header-Content-Length"
ROWS = FeatureSchema().sample(5)


def post(client: FlaskClient, sent: Body, path: str = INFER, **headers: str) -> TestResponse:
    """As clients do: no media type, and the size of the JSON where that is not all."""
    body, json_size = sent
    size = {JSON_SIZE: str(json_size)} if json_size is not None else {}
    return client.post(path, data=body, headers={**size, **headers})


def result(reply: TestResponse) -> triton.InferResult:
    assert reply.status_code == 200, reply.data
    return triton.InferenceServerClient.parse_response_body(
        reply.data, header_length=reply.headers.get(JSON_SIZE, type=int)
    )


# --- what it is ---------------------------------------------------------------------------------------------


def test_the_server_and_its_model_say_what_they_are(client: FlaskClient, version: str) -> None:
    """Enough for a client to know what to send, and what comes back."""
    assert client.get("/v2").get_json() == {
        "name": "anomaly-service", "version": VERSION, "extensions": ["binary_tensor_data"],
    }  # fmt: skip
    for path in ("/v2/models/anomaly", f"/v2/models/anomaly/versions/{version}"):
        assert client.get(path).get_json() == {
            "name": "anomaly",
            "versions": [version],
            "platform": "scikit-learn",
            "inputs": [{"name": "readings", "datatype": "FP64", "shape": [-1, 12]}],
            "outputs": [
                {"name": "prediction", "datatype": "FP64", "shape": [-1]},
                {"name": "is_anomaly", "datatype": "BOOL", "shape": [-1]},
                {"name": "model_used", "datatype": "BYTES", "shape": [-1]},
            ],
        }


def test_health_is_what_health_says(client: FlaskClient, version: str) -> None:
    """In the protocol's own words."""
    assert client.get("/v2/health/live").get_json() == {"live": True}
    assert client.get("/v2/health/ready").get_json() == {"ready": True}
    for path in ("/v2/models/anomaly/ready", f"/v2/models/anomaly/versions/{version}/ready"):
        assert client.get(path).get_json() == {"name": "anomaly", "ready": True}


def test_without_a_model_it_is_not_ready_and_says_so(make_app: Callable[..., Flask]) -> None:
    """With a text for clients that show one; the rule still answers."""
    client = make_app().test_client()
    for path in ("/v2/health/ready", "/v2/models/anomaly/ready"):
        reply = client.get(path)
        assert (reply.status_code, reply.get_json()["ready"]) == (503, False)
        assert isinstance(reply.get_json()["error"], str)
    assert client.get("/v2/models/anomaly").get_json()["versions"] == []
    document = post(client, in_json(tensor(ROWS))).get_json()
    assert document["outputs"][2]["data"] == ["baseline"] * 5
    assert document["parameters"]["warning"] == "Using baseline rule (models unavailable)"


@pytest.mark.parametrize("path", ["", "/ready", "/infer", "/versions/{version}", "/versions/{version}/infer"])
def test_an_unknown_model_is_not_found(client: FlaskClient, version: str, path: str) -> None:
    """404, naming the one that there is."""
    url = "/v2/models/other" + path.format(version=version)
    reply = client.post(url, data=b"{}") if url.endswith("infer") else client.get(url)
    assert (reply.status_code, reply.get_json()["error"]) == (404, "There is no model 'other' here, only 'anomaly'")


@pytest.mark.parametrize("path", ["", "/ready", "/infer"])
def test_only_the_active_version_is_found(client: FlaskClient, version: str, path: str) -> None:
    """404, naming the one that serves."""
    url = f"/v2/models/anomaly/versions/1{path}"
    reply = client.post(url, data=b"{}") if path == "/infer" else client.get(url)
    assert (reply.status_code, reply.get_json()["error"]) == (
        404, f"Version '1' of 'anomaly' does not serve; {version} does",
    )  # fmt: skip
    assert post(client, in_json(tensor(ROWS)), f"/v2/models/anomaly/versions/{version}/infer").status_code == 200


def test_the_models_name_is_a_setting(make_app: Callable[..., Flask], version: str) -> None:
    """A dot in it does no harm."""
    client = make_app(model_name="sales.v2-anomaly").test_client()
    reply = post(client, in_json(tensor(ROWS)), "/v2/models/sales.v2-anomaly/infer")
    assert (reply.status_code, reply.get_json()["model_name"]) == (200, "sales.v2-anomaly")
    assert client.get("/v2/models/anomaly").status_code == 404


# --- inference ----------------------------------------------------------------------------------------------


def test_every_form_gets_the_same_answer(client: FlaskClient, schema: FeatureSchema) -> None:
    """That of `/predict/batch`, to the last bit."""
    instances = [dict(zip(schema.names, row, strict=True)) for row in ROWS.tolist()]
    expected = client.post("/predict/batch", json={"instances": instances}).get_json()["predictions"]
    for form in FORMS.values():
        found = result(post(client, form(ROWS)))
        assert found.as_numpy("prediction").tolist() == [entry["prediction"] for entry in expected]
        assert found.as_numpy("is_anomaly").tolist() == [entry["is_anomaly"] for entry in expected]


def test_32_bit_floats_mean_the_same_in_every_form(client: FlaskClient) -> None:
    """JSON of them is rounded as the binary data was."""
    short = ROWS.astype("<f4")
    inputs = triton.InferInput("x", [5, 12], "FP32").set_data_from_numpy(short)
    binary = result(post(client, triton.InferenceServerClient.generate_request_body([inputs])))
    in_text = result(post(client, in_json(tensor(ROWS, datatype="FP32"))))
    assert binary.as_numpy("prediction").tolist() == in_text.as_numpy("prediction").tolist()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("path", [INFER, "/predict", "/predict/batch"])
def test_bodies_may_be_compressed(client: FlaskClient, reading: dict[str, Any], path: str, encoding: str) -> None:
    """Everywhere; the size of the JSON is that before compression."""
    body, json_size = in_binary(("x", ROWS))
    if path != INFER:
        document = reading if path == "/predict" else {"instances": [reading]}
        body, json_size = json.dumps(document).encode(), None
    compressed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    assert post(client, (compressed, json_size), path, **{"Content-Encoding": encoding}).status_code == 200
    refused = post(client, (compressed[:-1], json_size), path, **{"Content-Encoding": encoding})
    assert (refused.status_code, "ended within" in refused.get_json()["error"]) == (400, True)


def test_an_unknown_encoding_is_answered_with_those_that_are_known(client: FlaskClient) -> None:
    """415, as RFC 9110 has it."""
    reply = client.post("/predict", json={}, headers={"Content-Encoding": "br"})
    assert (reply.status_code, reply.headers["Accept-Encoding"]) == (415, "gzip, deflate, identity")


def test_a_batch_stands_in_the_audit(client: FlaskClient, schema: FeatureSchema, settings: Settings) -> None:
    """As one of `/predict/batch` does, under the id that the reply gives."""
    document = post(client, in_binary(("x", ROWS)), **{"X-Request-ID": "r-1"}).get_json()
    assert settings.audit_dir is not None
    (line,) = audit_lines(settings.audit_dir)
    assert (line["event"], line["count"], line["request_id"]) == ("batch.served", 5, "r-1")
    assert line["features"] == dict(zip(schema.names, ROWS.T.tolist(), strict=True))
    assert line["predictions"] == document["outputs"][0]["data"]
    assert (document["parameters"]["batch_id"], document["id"]) == (line["batch_id"], "r-1")


@pytest.mark.parametrize("path", [INFER, "/predict/batch"])
def test_nothing_asked_leaves_nothing_in_the_audit(client: FlaskClient, settings: Settings, path: str) -> None:
    """Not even an empty line."""
    sent = in_json(tensor(np.empty((0, 12)))) if path == INFER else (b'{"instances": []}', None)
    assert post(client, sent, path).status_code == 200
    assert settings.audit_dir is not None
    assert b"".join(path.read_bytes() for path in settings.audit_dir.glob("*")) == b""


# --- refusals -----------------------------------------------------------------------------------------------


def test_rows_that_break_the_contract_are_named_and_nothing_is_scored(client: FlaskClient, settings: Settings) -> None:
    """422 with row and feature of every problem, up to a hundred; the audit has a line for each row."""
    rows = ROWS.copy()
    rows[1, 11], rows[3, 0], rows[3, 1] = -1, np.nan, 9
    reply = post(client, in_binary(("x", rows)))
    assert (reply.status_code, reply.content_type) == (422, "application/problem+json")
    assert reply.get_json()["error"] == (
        "row 1: lag_1=-1 out of range [0, 1000000]; "
        "row 3: metric_value cannot be NaN; seasonal_factor=9 out of range [0.5, 2.5]"
    )
    assert [(item["row"], item["feature"], item["code"]) for item in reply.get_json()["errors"]] == [
        (1, "lag_1", "out_of_range"), (3, "metric_value", "nan"), (3, "seasonal_factor", "out_of_range"),
    ]  # fmt: skip
    assert {item["pointer"] for item in reply.get_json()["errors"]} == {"/inputs"}
    assert settings.audit_dir is not None
    lines = audit_lines(settings.audit_dir)
    assert [(line["event"], line["row"]) for line in lines] == [("prediction.rejected", 1), ("prediction.rejected", 3)]


def test_the_list_of_problems_is_bounded(client: FlaskClient) -> None:
    """A matrix of nothing but nonsense gets a reply of bearable size."""
    reply = post(client, in_binary(("x", np.full((1000, 12), -1.0))))
    assert reply.status_code == 422
    assert len(reply.get_json()["errors"]) == 100
    assert len(reply.data) < 100_000


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param((b"", None), 400, id="empty"),
        pytest.param((b"{}", None), 400, id="no request"),
        pytest.param((b"[" * 100_000, None), 400, id="deep"),
        pytest.param(in_json(tensor([[1.0] * 11])), 400, id="too narrow"),
        pytest.param(in_json(tensor([["1"] * 12])), 422, id="texts"),
        pytest.param(in_json(tensor([[True] * 12])), 422, id="booleans"),
        pytest.param((in_json(tensor([[1.0] * 12]))[0].replace(b"1.0", b"NaN"), None), 422, id="NaN"),
        pytest.param((in_json(tensor([[1.0] * 12]))[0].replace(b"1.0", b"1e999"), None), 422, id="beyond a float"),
        pytest.param(in_json(tensor([1.0], "lag_1"), tensor([1.0], "colour")), 422, id="unknown inputs"),
        pytest.param(in_json(tensor(ROWS), outputs=[{"name": "x"}]), 400, id="unknown output"),
        pytest.param((in_binary(("x", ROWS))[0], None), 400, id="binary data without its header"),
        pytest.param((in_binary(("x", ROWS))[0], 10**15), 400, id="more JSON than body"),
        pytest.param((in_binary(("x", ROWS))[0], -1), 400, id="a negative size"),
        pytest.param((in_binary(("x", ROWS))[0][:-1], in_binary(("x", ROWS))[1]), 400, id="a byte short"),
    ],
)
def test_what_cannot_be_answered_gets_a_clear_error(client: FlaskClient, sent: Body, status: int) -> None:
    """A text under `error`, which is what clients show; never a 500."""
    reply = post(client, sent)
    assert reply.status_code == status
    assert isinstance(reply.get_json()["error"], str)
    assert reply.get_json()["success"] is False


@pytest.mark.parametrize("size", ["x", "", "1_0", "+1", "٣", "9" * 30, "1,1"])
def test_the_size_of_the_json_must_be_a_number(client: FlaskClient, size: str) -> None:
    """Digits, and not more of them than a body can have bytes."""
    environ = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": size}
    assert client.post(INFER, data=b"{}", environ_overrides=environ).status_code == 400


def test_limits_are_those_of_batches(make_app: Callable[..., Flask], version: str) -> None:
    """Rows and bytes; of bytes after decompression too."""
    client = make_app(max_batch_rows=4, max_body_bytes=2000).test_client()
    assert post(client, in_binary(("x", ROWS[:4]))).status_code == 200
    assert post(client, in_binary(("x", ROWS))).status_code == 413
    body, json_size = in_binary(("x", np.zeros((25, 12))))
    bomb = post(client, (gzip.compress(body), json_size), **{"Content-Encoding": "gzip"})
    assert (bomb.status_code, "MAX_BODY_BYTES" in bomb.get_json()["error"]) == (413, True)


def test_refused_requests_stand_in_the_audit(client: FlaskClient, settings: Settings) -> None:
    """Whatever was wrong with them."""
    for sent in ((b"{", None), in_json(tensor([[1.0]])), in_json(tensor([1.0], "a"), tensor([1.0], "b"))):
        post(client, sent)
    assert settings.audit_dir is not None
    lines = audit_lines(settings.audit_dir)
    assert [(line["event"], line["success"]) for line in lines] == [("prediction.rejected", False)] * 3
