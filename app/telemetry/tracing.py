"""A request's place in its trace, as W3C Trace Context has it in the header `traceparent`."""

from __future__ import annotations

import random
import re
from typing import NamedTuple, Protocol

SPAN = "anomaly.span"
"""Where whoever exports spans leaves that of a request in its WSGI environment."""

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")


class Trace(NamedTuple):
    """A trace, and what of it happens here."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


class Span(Protocol):
    """A span that is exported."""

    @property
    def trace(self) -> Trace: ...

    def answered(self, stage: str, version: str | None) -> None:
        """Notes which stage of which model version gave the answer."""


def continued(traceparent: str | None) -> Trace | None:
    """The trace of a request, with a new span for what happens here; None where the header is missing or malformed.

    Only versions above 00 may have more than four parts.
    """
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent is not None else None
    if match is None or (match[1] == "00" and match[4] is not None):
        return None
    return Trace(match[2], f"{random.getrandbits(64):016x}", match[3])
