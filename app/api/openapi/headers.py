"""The headers of replies, and the parameters of requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.api.encodings import ENCODINGS
from app.api.errors import RETRY_AFTER_S
from app.api.open_inference import JSON_SIZE

REQUEST_ID, TRACEPARENT = "X-Request-ID", "traceparent"

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}
_SIZE = "How many of the body's first bytes are JSON; without it all are."


def _header(description: str, schema: dict[str, Any], *examples: Any, always: bool = True) -> dict[str, Any]:
    shown = {"examples": list(examples)} if examples else {}
    return {"description": description, "required": always, "schema": {**schema, **shown}}


HEADERS = {
    REQUEST_ID: _header("The request's id, also in the log.", _TEXT),
    TRACEPARENT: _header("The request's trace, and its span here, where it is traced.", _TEXT, always=False),
    JSON_SIZE: _header(_SIZE, _NUMBER, always=False),
    "WWW-Authenticate": _header("How to send a key.", _TEXT, "Bearer"),
    "RateLimit-Limit": _header("The most requests of a key within the window.", _NUMBER, always=False),
    "RateLimit-Remaining": _header("How many of them are left.", _NUMBER, always=False),
    "RateLimit-Reset": _header("Seconds until the window ends.", _NUMBER, always=False),
    "Retry-After": _header("Seconds.", _NUMBER, RETRY_AFTER_S),
    "Allow": _header("The methods that the path knows.", _TEXT, "OPTIONS, POST"),
    "Accept-Encoding": _header("The encodings of a body that are known.", _TEXT, ", ".join(ENCODINGS)),
}
"""Of replies; each is there whenever it is described, but for those that say otherwise."""


def parameters(model_name: str, assets: Sequence[str]) -> dict[str, Any]:
    """All parameters there are, by name."""
    return {
        REQUEST_ID: _parameter(REQUEST_ID, "header", "Names the request; an odd one is replaced.", _TEXT),
        TRACEPARENT: _parameter(TRACEPARENT, "header", "W3C Trace Context: the trace goes on here.", _TEXT),
        JSON_SIZE: _parameter(JSON_SIZE, "header", _SIZE, _NUMBER),
        "model": _parameter("name", "path", "The model.", {"enum": [model_name]}),
        "version": _parameter("version", "path", "Its active version.", {**_TEXT, "minLength": 1}),
        "asset": _parameter("asset", "path", "The file.", {"enum": list(assets)}),
        "file": _parameter("name", "path", "The file.", {**_TEXT, "minLength": 1}),
    }


def _parameter(name: str, place: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "description": description, "required": place == "path", "schema": schema}
