"""Puts the OpenAPI document together: the operations there are, with headers and an example of each refusal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from app.api.errors import STATUSES, items_of
from app.api.exchange import BINARY
from app.api.open_inference import JSON_SIZE
from app.api.openapi.access import RATE_HEADERS, SCHEMES, SECURITY, guarded
from app.api.openapi.headers import HEADERS, REQUEST_ID, TRACEPARENT, parameters
from app.api.openapi.operations import EVERY_REQUEST, JSON, OPERATIONS, TAGS, Answer, Operation
from app.api.openapi.requests import Schema, request_examples, request_schemas
from app.api.openapi.samples import sample_errors
from app.api.problem import PROBLEM_JSON, problem_body
from app.api.replies import KINDS
from app.api.replies.problems import Problem
from app.api.replies.vocabulary import SCHEMAS
from app.contract.schema import FeatureSchema
from app.errors import ServiceError
from app.settings import VERSION
from app.telemetry.logs import render

if TYPE_CHECKING:
    from app.api.access import Gate

_DESCRIPTION = f"""\
Scores readings for anomalies. Success and failure carry the same envelope; a failure is also a problem document
(RFC 9457, `{PROBLEM_JSON}`) with every problem at once, and never a 500 for anything a client sent.

Any path that is not here is answered with 404 in the same form. `HEAD` is answered wherever `GET` is, `OPTIONS`
everywhere. Bodies may be compressed (`Content-Encoding: gzip` or `deflate`).
"""

_PLAIN: Mapping[type, Schema] = {
    str: {"type": "string"},
    bytes: {"type": "string", "format": "binary"},
    dict: {"type": "object"},
}

_HEADERS_OF = {401: ["WWW-Authenticate"], 405: ["Allow"], 415: ["Accept-Encoding"], 429: ["Retry-After", *RATE_HEADERS]}


def build_document(
    rules: Iterable[tuple[str, str]],
    schema: FeatureSchema,
    *,
    model_name: str,
    max_batch_rows: int,
    assets: Sequence[str],
    gate: Gate | None = None,
) -> dict[str, Any]:
    """The document of the endpoints that `rules`, method and path, list, under the contract `schema`."""
    known, requests, samples = set(rules), request_examples(schema), sample_errors(schema, max_batch_rows)
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        if (method, path) in known:
            item = paths.setdefault(path, {"parameters": _refs("parameters", REQUEST_ID, TRACEPARENT)})
            item[method] = _operation(guarded(operation, method, path, gate), path, requests, samples)
    responses = {str(code): _refusal(code, [text], Problem) for code, text in EVERY_REQUEST.items()}
    schemas = {**request_schemas(schema, max_batch_rows), **_reply_schemas()}
    text = render({"paths": paths, "responses": responses, "schemas": schemas}).decode()
    named = set(re.findall(SCHEMAS + r"(\w+)", text))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "anomaly-service", "version": VERSION, "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {name: entry for name, entry in schemas.items() if name in named},
            "parameters": parameters(model_name, assets),
            "headers": HEADERS,
            "responses": responses,
            **({"securitySchemes": SCHEMES} if gate is not None else {}),
        },
    }  # fmt: skip


def _operation(
    operation: Operation, path: str, requests: Mapping[str, Mapping[str, Any]], samples: Sequence[ServiceError]
) -> dict[str, Any]:
    document: dict[str, Any] = {"operationId": operation.id, "tags": [operation.tag], "summary": operation.summary}
    if operation.parameters:
        document["parameters"] = _refs("parameters", *operation.parameters)
    if operation.guarded:
        document["security"] = SECURITY
    if operation.takes:
        document["requestBody"] = {"required": True, "content": _request_content(operation, requests)}
    answers = {str(code): _answer(code, answer, operation) for code, answer in operation.answers.items()}
    return {**document, "responses": {**answers, **_refusals(operation, path, samples)}}


def _request_content(operation: Operation, requests: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    kinds = _refs("schemas", *operation.takes)
    examples = {name: {"value": value} for kind in operation.takes for name, value in requests[kind].items()}
    schema = kinds[0] if len(kinds) == 1 else {"oneOf": kinds}
    binary = {BINARY: {"schema": _PLAIN[bytes]}} if operation.binary else {}
    return {JSON: {"schema": schema, "examples": examples}, **binary}


def _answer(code: int, answer: Answer, operation: Operation) -> dict[str, Any]:
    content = {
        media_type: {"schema": _PLAIN.get(kind) or {"$ref": SCHEMAS + kind.__name__}}
        for media_type, kind in answer.content.items()
    }
    headers = _headers(*([JSON_SIZE] if BINARY in content else []), *(RATE_HEADERS if operation.limited else ()))
    links = {"links": operation.links} if operation.links and code == 200 else {}
    return {"description": answer.means, "headers": headers, "content": content, **links}


def _refusals(operation: Operation, path: str, samples: Sequence[ServiceError]) -> dict[str, Any]:
    reasons: dict[int, list[str]] = {code: [text] for code, text in operation.refusals.items()}
    raised: dict[int, list[ServiceError]] = {}
    for error in samples:
        if type(error) in operation.raises:
            code = STATUSES[type(error)].code
            reasons.setdefault(code, []).append(_meaning(type(error)))
            raised.setdefault(code, []).append(error)
    found: dict[str, Any] = {str(code): {"$ref": f"#/components/responses/{code}"} for code in EVERY_REQUEST}
    for code, texts in reasons.items():
        texts += [EVERY_REQUEST[code]] if code in EVERY_REQUEST else []
        found[str(code)] = _refusal(code, texts, operation.problem, path, raised.get(code, ()))
    return dict(sorted(found.items()))


def _refusal(
    code: int, reasons: Sequence[str], problem: type, path: str = "", raised: Sequence[ServiceError] = ()
) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": SCHEMAS + problem.__name__}}
    if raised:
        content["examples"] = {STATUSES[type(error)].kind: {"value": _example(error, path)} for error in raised}
    retry = ["Retry-After"] if any(STATUSES[type(error)].retry for error in raised) else []
    headers = _headers(*retry, *_HEADERS_OF.get(code, []))
    return {"description": " ".join(reasons), "headers": headers, "content": {PROBLEM_JSON: content}}


def _example(error: ServiceError, path: str) -> Any:
    """As the service itself would write it."""
    status = STATUSES[type(error)]
    return msgspec.json.decode(
        problem_body(
            status.code, str(error), instance=path, request_id="5f0c2d1e9b7a4c6388d1e2f3",
            kind=status.kind, errors=items_of(error),
        )
    )  # fmt: skip


def _meaning(kind: type[ServiceError]) -> str:
    """What an error says of itself, up to what only its users in the code need to know."""
    return re.split(r"[;.]", kind.__doc__ or "")[0].strip() + "."


def _reply_schemas() -> dict[str, Schema]:
    """Of every reply type, its members in the order in which the service writes them."""
    _, schemas = msgspec.json.schema_components(KINDS.values(), ref_template=SCHEMAS + "{name}")
    for name, kind in KINDS.items():
        del schemas[name]["title"]
        schemas[name]["properties"] = {member: schemas[name]["properties"][member] for member in get_type_hints(kind)}
    return schemas


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (REQUEST_ID, TRACEPARENT, *names)}


def _refs(kind: str, *names: str) -> list[dict[str, str]]:
    return [{"$ref": f"#/components/{kind}/{name}"} for name in names]
