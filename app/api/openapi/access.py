"""What a service that asks for API keys says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.api.openapi.operations import Operation

if TYPE_CHECKING:
    from app.api.access import Gate

SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The API key."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same."},
}
SECURITY: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]
"""Either of them."""

RATE_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def guarded(operation: Operation, method: str, path: str, gate: Gate | None) -> Operation:
    """The operation as it is behind the gate, if there is one and it guards it."""
    if gate is None or not gate.guards(method.upper(), path):
        return operation
    refusals = {**operation.refusals, 401: "The API key is missing, or not known."}
    limited = gate.counts(method.upper())
    if limited:
        refusals[429] = "The API key was used more often than `RATE_LIMIT` allows."
    return replace(operation, refusals=refusals, guarded=True, limited=limited)
