"""`/openapi.json` and `/docs`: complete, and what the service really answers is as described."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from app.api.docs import ASSETS, described_rules
from app.api.openapi.operations import OPERATIONS
from app.contract.schema import FeatureSchema
from app.factory import EXTENSION
from tests.described import Description

EXAMPLE = FeatureSchema().example()
BROKEN = {**EXAMPLE, "lag_1": "7"}
UNKNOWN = {"prediction_id": "20200101T000000Z-000000.primary.0.26ce8f72eeda91b30f", "actual": 1}
NO_MODEL = {"prediction_id": "-.baseline.0.26ce8f72eeda91b30f", "actual": 1}
TENSOR = {"name": "readings", "shape": [1, 12], "datatype": "FP64", "data": list(EXAMPLE.values())}
INFER = "/v2/models/anomaly/infer"


def described_by(client: FlaskClient) -> Description:
    reply = client.get("/openapi.json")
    assert (reply.status_code, reply.content_type) == (200, "application/json")
    return Description(reply.get_json())


def check(client: FlaskClient, reply: TestResponse) -> None:
    """Fails where a reply is not as the same service describes it."""
    request = reply.request
    described_by(client).check_reply(request.method, request.path, reply.status_code, dict(reply.headers), reply.data)


def test_every_endpoint_is_described_and_nothing_else(client: FlaskClient) -> None:
    """Each method of each rule. HEAD and OPTIONS are HTTP's own, wherever another method is."""
    there = described_rules(client.application.url_map, "anomaly")
    described = {(method, path) for method, path, _ in described_by(client).operations()}
    assert described == there
    assert OPERATIONS.keys() == there


def test_the_document_may_be_kept_for_a_while(client: FlaskClient) -> None:
    """It changes with the service alone."""
    first, second = client.get("/openapi.json"), client.get("/openapi.json")
    assert first.data == second.data
    assert first.headers["Cache-Control"] == "max-age=60"


def test_another_contract_has_a_document_of_its_own(make_app: Callable[..., Flask]) -> None:
    """With its features and no other, under the name of its model."""
    sensor = {"feature_schema": "tests.sensor:SensorSchema", "baseline_rule": "tests.sensor:too_hot"}
    client = make_app(**sensor, model_name="pump", max_batch_rows=7).test_client()
    description = described_by(client)
    schemas = description.document["components"]["schemas"]
    assert list(schemas["Reading"]["properties"]) == ["temperature", "pressure", "vibration", "load"]
    assert schemas["Readings"]["properties"]["instances"]["maxItems"] == 7
    assert description.document["components"]["parameters"]["model"]["schema"] == {"enum": ["pump"]}
    assert "metric_value" not in str(description.document)
    reply = client.post("/predict", json={"temperature": 1})
    assert reply.status_code == 422
    check(client, reply)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("/predict", EXAMPLE, 200, id="a prediction"),
        pytest.param("/predict", BROKEN, 422, id="a broken reading"),
        pytest.param("/predict", [], 422, id="no reading"),
        pytest.param("/predict/batch", {"instances": [EXAMPLE, BROKEN, 7]}, 200, id="a batch with broken readings"),
        pytest.param("/predict/batch", {"instances": []}, 200, id="an empty batch"),
        pytest.param("/predict/batch", {"rows": []}, 422, id="no batch"),
        pytest.param("/predict/batch", {"instances": [0] * 5}, 413, id="a batch over the limit"),
        pytest.param("/feedback", NO_MODEL, 202, id="feedback"),
        pytest.param("/feedback", {"feedback": [NO_MODEL, UNKNOWN, 7]}, 202, id="much feedback"),
        pytest.param("/feedback", UNKNOWN, 422, id="feedback on another service's prediction"),
        pytest.param("/feedback", {"feedback": [0] * 5}, 413, id="feedback over the limit"),
        pytest.param(INFER, {"inputs": [TENSOR]}, 200, id="an inference"),
        pytest.param(INFER, {"inputs": [TENSOR], "parameters": {"binary_data_output": True}}, 200, id="binary outputs"),
        pytest.param(INFER, {"inputs": []}, 400, id="no tensors"),
        pytest.param(INFER, {"inputs": [{**TENSOR, "data": [-1e9] * 12}]}, 422, id="broken rows"),
        pytest.param(INFER, {"inputs": [{**TENSOR, "shape": [1], "data": [1]}] * 2}, 400, id="the same tensor twice"),
        pytest.param(INFER, {"inputs": [{**TENSOR, "shape": [5, 12], "data": [0] * 60}]}, 413, id="too many rows"),
        pytest.param("/v2/models/other/infer", {"inputs": [TENSOR]}, 404, id="an unknown model"),
        pytest.param("/v2/models/anomaly/versions/1/infer", {"inputs": [TENSOR]}, 404, id="another version"),
    ],
)
def test_what_is_answered_to_json_is_as_described(
    make_app: Callable[..., Flask], version: str, path: str, body: object, status: int
) -> None:
    """Status, headers, media type and every member."""
    client = make_app(max_batch_rows=4).test_client()
    reply = client.post(path, json=body, headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
    assert reply.status_code == status
    check(client, reply)


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/feedback", INFER])
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"{", {}, 400, id="truncated"),
        pytest.param(b"", {}, 400, id="empty"),
        pytest.param(gzip.compress(b"{}")[:-9], {"Content-Encoding": "gzip"}, 400, id="half of a gzip stream"),
        pytest.param(b"x" * 3000, {}, 413, id="over the limit"),
        pytest.param(b"{}", {"Content-Type": "text/xml"}, 415, id="XML"),
        pytest.param(b"{}", {"Content-Encoding": "br"}, 415, id="an unknown encoding"),
    ],
)
def test_what_is_answered_to_anything_else_is_as_described(
    make_app: Callable[..., Flask], version: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    """Each endpoint that takes a body refuses what is none."""
    client = make_app(max_body_bytes=2000).test_client()
    reply = client.post(path, data=body, headers={"Content-Type": "application/json", **headers})
    assert reply.status_code == status
    check(client, reply)


def test_feedback_that_is_repeated_is_refused_as_described(client: FlaskClient) -> None:
    """409, the one status that is another's by content."""
    client.post("/feedback", json=NO_MODEL)
    reply = client.post("/feedback", json=NO_MODEL)
    assert reply.status_code == 409
    check(client, reply)


@pytest.mark.parametrize("traffic", [False, True], ids=["before", "after"])
def test_what_is_asked_with_get_is_answered_as_described(client: FlaskClient, version: str, traffic: bool) -> None:
    """Every path with GET, before anything happened and after a lot did."""
    if traffic:
        for _ in range(3):
            client.post("/predict/batch", json={"instances": [EXAMPLE] * 100 + [BROKEN]})
        client.post("/feedback", json=NO_MODEL)
    files = [{"name": name} for name in re.findall(r"assets/([\w.-]+)", client.get("/").text)]
    known = {"/docs/{asset}": [{"asset": name} for name in ASSETS], "/assets/{name}": files}
    for method, path, _ in described_by(client).operations():
        for values in known.get(path, [{"name": "anomaly", "version": version}]):
            if method == "get":
                reply = client.get(path.format(**values))
                assert reply.status_code == 200, path
                check(client, reply)


def test_another_method_is_refused_as_described(client: FlaskClient) -> None:
    """405, at every path there is; its problem may have the members of the success."""
    description = described_by(client)
    for _, path, operation in description.operations():
        refused = client.delete(path.format(name="anomaly", version="1", asset="docs.js"))
        assert (refused.status_code, refused.content_type) == (405, "application/problem+json")
        described = description.resolved(operation["responses"]["405"])
        assert described["headers"].keys() <= {*refused.headers.keys(), "traceparent"}
        description.check(refused.get_json(), described["content"]["application/problem+json"]["schema"])


def test_an_unready_service_answers_as_described(client: FlaskClient) -> None:
    """503 of the readiness probes, which is no refusal."""
    client.application.extensions[EXTENSION].health.drain()
    for path in ("/health/ready", "/v2/health/ready", "/v2/models/anomaly/ready"):
        reply = client.get(path)
        assert reply.status_code == 503
        check(client, reply)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/predict", EXAMPLE, id="predict"),
        pytest.param("/predict/batch", {"instances": [EXAMPLE]}, id="batch"),
        pytest.param(INFER, {"inputs": [TENSOR]}, id="infer"),
    ],
)
def test_a_service_that_cannot_answer_says_so_as_described(
    make_app: Callable[..., Flask], path: str, body: dict[str, Any]
) -> None:
    """503 with Retry-After; health too."""
    client = make_app(baseline_rule="tests.integration.test_predict:broken_rule").test_client()
    reply = client.post(path, json=body)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    check(client, reply)
    health = client.get("/health")
    assert health.status_code == 503
    check(client, health)


@pytest.fixture
def guarded(make_app: Callable[..., Flask], version: str, tmp_path: Path) -> FlaskClient:
    """A client of a service that asks for a key, everywhere it can, and lets it be used twice."""
    keys = tmp_path / "keys"
    keys.write_text(f"{hashlib.sha256(b'secret').hexdigest()} pipeline\n")
    return make_app(api_keys_file=keys, protect_reads=True, rate_limit="2/hour").test_client()


def test_a_service_that_asks_for_keys_says_where(guarded: FlaskClient) -> None:
    """Exactly there: what is described to need a key is refused without, and nothing else is."""
    description = described_by(guarded)
    validate(description.document)
    for method, path, operation in description.operations():
        reply = guarded.open(path.format(name="anomaly", version="1", asset="docs.js"), method=method.upper())
        assert ("security" in operation) is (reply.status_code == 401), path
        if reply.status_code == 401:
            check(guarded, reply)


def test_a_service_without_keys_does_not_speak_of_them(client: FlaskClient) -> None:
    """No scheme, and no status that it never gives."""
    document = described_by(client).document
    assert "securitySchemes" not in document["components"]
    assert not [path for _, path, operation in described_by(client).operations() if "401" in operation["responses"]]


def test_a_key_that_is_used_too_often_is_refused_as_described(guarded: FlaskClient) -> None:
    """And before that every reply tells what is left."""
    replies = [guarded.post("/predict", json=EXAMPLE, headers={"X-API-Key": "secret"}) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    for reply in replies:
        assert "RateLimit-Remaining" in reply.headers
        check(guarded, reply)


def test_the_page_loads_nothing_but_its_own_files(client: FlaskClient) -> None:
    """And no script or style within it, so that a strict policy can forbid all of both."""
    page = client.get("/docs")
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "<style" not in page.text
    assert "style=" not in page.text
    sources = {source.partition('"')[0] for source in page.text.replace('href="', 'src="').split('src="')[1:]}
    assert sources == {f"docs/{name}" for name in ASSETS} | {"openapi.json"}
    assert page.text.count("<script ") == page.text.count("</script>") == 2


@pytest.mark.parametrize("name", ["docs.html", "index.html", "..%2fdocs.py", "LICENSE"])
def test_no_other_file_is_served(client: FlaskClient, name: str) -> None:
    """What is not listed is not there."""
    assert client.get(f"/docs/{name}").status_code == 404
