"""The OpenAPI document: valid, and made of the contract, the error table and the worker's refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

import app.worker.head
import app.worker.protocol
from app.api.errors import _REPEATED, STATUSES
from app.api.openapi.document import build_document
from app.api.openapi.operations import EVERY_REQUEST, OPERATIONS
from app.api.openapi.requests import request_examples
from app.contract.schema import FeatureSchema
from tests.described import REPLY_TYPES, Description
from tests.sensor import SensorSchema


def description_of(schema: FeatureSchema) -> Description:
    return Description(
        build_document(OPERATIONS, schema, model_name="anomaly", max_batch_rows=10, assets=["swagger-ui.css"])
    )


CONTRACTS = [pytest.param(FeatureSchema(), id="default"), pytest.param(SensorSchema(), id="sensor")]


@pytest.fixture(scope="module")
def description() -> Description:
    return description_of(FeatureSchema())


@pytest.mark.parametrize("schema", CONTRACTS)
def test_the_document_is_valid(schema: FeatureSchema) -> None:
    """By the OpenAPI Initiative's own schema of 3.1, and all its references lead somewhere."""
    validate(description_of(schema).document)


@pytest.mark.parametrize("schema", CONTRACTS)
def test_a_reading_is_described_as_its_contract_has_it(schema: FeatureSchema) -> None:
    """Names, ranges, meanings and examples; all are required, and nothing else is allowed."""
    reading = description_of(schema).document["components"]["schemas"]["Reading"]
    assert reading["required"] == list(schema.names)
    assert reading["additionalProperties"] is False
    for feature in schema.features:
        described = reading["properties"][feature.name]
        assert (described["minimum"], described["maximum"]) == (feature.low, feature.high)
        assert (described["description"], described["examples"]) == (feature.description, [feature.example])


def test_a_contract_without_words_of_its_own_does_not_borrow_those_of_another() -> None:
    """An inherited docstring would speak of other features."""

    class Silent(SensorSchema):
        pass

    assert description_of(Silent()).document["components"]["schemas"]["Reading"]["description"] == "One reading."


@pytest.mark.parametrize("schema", CONTRACTS)
def test_every_example_is_valid(schema: FeatureSchema) -> None:
    """Of bodies against their schema, of members against theirs, and of readings against the contract."""
    description = description_of(schema)
    shown = list(_examples(description.document))
    assert len(shown) > 50
    for example, described in shown:
        description.check(example, described)
    assert schema.check(request_examples(schema)["Reading"]["reading"]) == tuple(schema.example().values())


def _examples(found: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each example anywhere, with the schema that it should fit."""
    if isinstance(found, dict):
        examples = found.get("examples", [])
        if isinstance(examples, dict):
            yield from ((example["value"], found["schema"]) for example in examples.values())
        else:
            yield from ((example, found) for example in examples)
        for part in found.values():
            yield from _examples(part)
    elif isinstance(found, list):
        for part in found:
            yield from _examples(part)


def test_every_error_of_the_table_is_described_where_it_can_occur(description: Description) -> None:
    """What an operation raises has its status there, and an error that none raises has no business in the table."""
    raised = {kind for operation in OPERATIONS.values() for kind in operation.raises}
    assert raised == set(STATUSES)
    for (method, path), operation in OPERATIONS.items():
        responses = description.operation(method, path)["responses"]
        for kind in operation.raises:
            reply = description.resolved(responses[str(STATUSES[kind].code)])
            example = reply["content"]["application/problem+json"]["examples"][STATUSES[kind].kind]["value"]
            assert example["type"] == f"urn:problem-type:{STATUSES[kind].kind}"
            assert ("Retry-After" in reply["headers"]) is STATUSES[kind].retry
    assert str(_REPEATED.code) in description.operation("post", "/feedback")["responses"]


def test_whatever_the_worker_refuses_is_described_everywhere(description: Description) -> None:
    """A request that is no HTTP may be meant for any path."""
    source = "".join(Path(str(module.__file__)).read_text() for module in (app.worker.protocol, app.worker.head))
    refused = {int(status) for status in re.findall(r"(?:_refuse|_end_with|RefusedError)\(\s*(\d{3})", source)}
    assert refused == EVERY_REQUEST.keys() - {405}
    for _, path, operation in description.operations():
        assert {str(status) for status in EVERY_REQUEST} <= operation["responses"].keys(), path


def test_no_description_is_left_out_or_left_over(description: Description) -> None:
    """Every reply type and every request schema is used, by one that is."""
    named = set(re.findall(r"#/components/schemas/(\w+)", str(description.document)))
    bases = {"NoPrediction", "Pulse"}
    assert named == description.document["components"]["schemas"].keys()
    assert REPLY_TYPES.keys() - named == bases


def test_operations_have_names_of_their_own(description: Description) -> None:
    """Clients are generated from them, and links follow them."""
    names = [operation["operationId"] for _, _, operation in description.operations()]
    assert len(names) == len(set(names)) == len(OPERATIONS)
    linked = re.findall(r"'operationId': '(\w+)'", str(description.document["paths"]))
    assert set(linked) <= set(names)
