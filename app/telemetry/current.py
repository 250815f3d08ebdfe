"""The request that is being answered: every line that is logged meanwhile tells its ids."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

REQUEST = "anomaly.request"
"""Where the app leaves `RequestIds` in a request's WSGI environment, for what is logged when it is over."""


class RequestIds(Protocol):
    """What identifies a request."""

    @property
    def request_id(self) -> str: ...

    @property
    def trace_id(self) -> str | None: ...


current_request: ContextVar[RequestIds | None] = ContextVar("current_request", default=None)


def current_ids() -> dict[str, str]:
    """As log lines have them; empty where no request is being answered."""
    return ids_of(current_request.get())


def ids_of(request: RequestIds | None) -> dict[str, str]:
    """A request's ids as log lines have them."""
    return ids(request.request_id, request.trace_id) if request is not None else {}


def ids(request_id: str, trace_id: str | None) -> dict[str, str]:
    """The same; a trace only where there is one."""
    return {"request_id": request_id, **({"trace_id": trace_id} if trace_id is not None else {})}
