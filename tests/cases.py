"""The corpus: requests as data, one TOML file each, with what has to become of them. `tests/corpus/README.md` says how.

A string stands for the bytes of its characters, U+0000 to U+00FF (Latin-1), so that TOML's own escapes write any byte.
"""

from __future__ import annotations

import gzip
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.contract.schema import FeatureSchema

CORPUS = Path(__file__).parent / "corpus"
_KNOWN = {"why", "wire", "method", "path", "headers", "body", "half_close",
          "status", "error", "closes", "counted", "logged"}  # fmt: skip
_EVENTS = {
    'prediction_requests_total{outcome="rejected"}': "prediction.rejected",
    'prediction_requests_total{outcome="primary"}': "prediction.served",
    "feedback_refused_total": "feedback.refused",
    "http_refusals_total": "request.rejected",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One request, or several on one connection, and what is expected."""

    name: str
    """Its file below `tests/corpus/`, without the suffix."""
    parts: Any
    """What `content` makes the request of."""
    asks_for_head: bool
    half_close: bool
    statuses: tuple[int, ...]
    """Of all replies, in order; 100 where one is to go on."""
    error: str | None
    """The message of the last reply, where it is of interest."""
    closes: bool
    """Whether the service ends the connection."""
    counted: tuple[str, ...]
    """The counters' samples that go up, one each time they are named."""
    logged: tuple[str, ...]
    """The events of the lines in the log."""

    def request(self) -> bytes:
        """All that is sent: made anew each time, since some are large."""
        return content(self.parts)


def load_corpus() -> list[Case]:
    """All cases, by name."""
    return [load_case(path) for path in sorted(CORPUS.glob("*/*.toml"))]


def load_case(path: Path) -> Case:
    """The case in one file. Raises `ValueError` where it says what nobody would read."""
    case = tomllib.loads(path.read_text("utf-8"))
    if unknown := case.keys() - _KNOWN:
        raise ValueError(f"{path}: unknown {sorted(unknown)}")
    if not case["why"] or ("wire" in case and case.keys() & {"method", "path", "headers", "body"}):
        raise ValueError(f"{path}: needs a reason, and either `wire` or the parts of a request")
    status, counted = case["status"], tuple(case["counted"])
    parts = case["wire"] if "wire" in case else _request(case)
    return Case(
        name=str(path.relative_to(CORPUS).with_suffix("")),
        parts=parts,
        asks_for_head="".join(part for part in parts[:1] if isinstance(part, str)).startswith("HEAD "),
        half_close=case.get("half_close", False),
        statuses=tuple(status) if isinstance(status, list) else (status,),
        error=case.get("error"),
        closes=case.get("closes", False),
        counted=counted,
        logged=tuple(case["logged"]) if "logged" in case else tuple(filter(None, map(_event, counted))),
    )


def content(part: Any) -> bytes:
    """The bytes that a file's value stands for: a string, a list of parts, or one of the rules in a table."""
    match part:
        case str():
            return part.encode("latin-1")
        case list():
            return b"".join(map(content, part))
        case {"repeat": repeated, "times": int(times)}:
            return content(repeated) * times
        case {"reading": literals}:
            return reading(literals)
        case {"gzip": plain}:
            return gzip.compress(content(plain), mtime=0)
        case {"sized": data}:
            body = content(data)
            return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        case {"chunk": data}:
            chunk = content(data)
            return b"%x\r\n%s\r\n" % (len(chunk), chunk)
        case _:
            raise ValueError(f"no part of a request: {part!r}")


def reading(literals: Mapping[str, str]) -> bytes:
    """The contract's example reading with these literals in place of its own values, or added to them."""
    members = {name: json.dumps(value) for name, value in FeatureSchema().example().items()} | dict(literals)
    return b"{" + b", ".join(f'"{name}": {value}'.encode("latin-1") for name, value in members.items()) + b"}"


def _request(case: Mapping[str, Any]) -> list[Any]:
    head = [
        f"{case.get('method', 'POST')} {case.get('path', '/predict')} HTTP/1.1",
        "Host: a",
        *case.get("headers", []),
    ]
    return [*(line + "\r\n" for line in head), {"sized": case.get("body", "")}]


def _event(sample: str) -> str | None:
    """The line that goes with what is counted; a reading's line names its problems itself."""
    return _EVENTS.get(sample) or _EVENTS.get(sample.partition("{")[0])
