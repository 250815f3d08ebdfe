"""Requests that were valid, or wrong in a known way, and are now wrong in another: by byte, by line, by JSON member."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable, Sequence

from tests.cases import content, load_corpus, reading

LARGEST_SEED_BYTES = 20_000
"""The corpus's larger ones take their time, and their size is all there is to them."""
MUTATIONS_EACH = (0, 1, 1, 2, 4)
PIPELINED = (1, 1, 1, 2, 4)

Mutation = Callable[[random.Random, bytes], bytes]

_BYTES = [
    bytes([value]) for value in (0, 1, 9, 10, 11, 13, 32, 34, 37, 44, 45, 48, 58, 59, 92, 123, 125, 127, 128, 255)
]
_HEADERS = [
    b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999",
    b"Content-Length: 4194305", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding : chunked", b"Connection: close", b"Connection: keep-alive", b"Connection: upgrade",
    b"Upgrade: h2c", b"Expect: 100-continue", b"Expect: x", b"Host: b", b"Host:", b"X-Request-ID: fuzz",
    b"X-Request-ID: \xff\xfe", b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"traceparent: 00--", b"Content-Type: application/json", b"Content-Type: text/plain",
    b"Content-Type: application/json; charset*=utf-8''%ff", b"Content-Type: application/octet-stream",
    b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br",
    b"Inference-Header-Content-Length: 9", b"Inference-Header-Content-Length: 99999999999999999999",
    b"Accept: application/openmetrics-text; version=x",
    b"Accept: */*;q=nan", b"Content_Length: 3", b" folded: yes", b"X: \0", b": nameless", b"X-Forwarded-For: \xff",
]  # fmt: skip
_LINES = [
    b"GET /health HTTP/1.1", b"GET /health/detailed HTTP/1.1", b"GET /health/live HTTP/1.0", b"GET /metrics HTTP/1.1",
    b"HEAD /health/ready HTTP/1.1", b"POST /predict HTTP/1.1", b"POST /predict/batch HTTP/1.1",
    b"POST /feedback HTTP/1.1", b"OPTIONS /predict HTTP/1.1", b"POST /v2/models/anomaly/infer HTTP/1.1",
    b"GET /v2/models/anomaly HTTP/1.1", b"GET /v2/models/%ff/ready HTTP/1.1", b"GET /openapi.json HTTP/1.1",
    b"GET / HTTP/1.1", b"GET //health HTTP/1.1", b"GET /%00%0a%e2%80%a8 HTTP/1.1", b"GET /health?a=%ff&b HTTP/1.1",
    b"GET * HTTP/1.1", b"POST /predict HTTP/0.9", b"POST /predict HTTP/2.0", b"DELETE /predict HTTP/1.1",
    b"TRACE / HTTP/1.1", b"BREW /pot HTTP/1.1", b"PRI * HTTP/2.0", b"GET http://a/health HTTP/1.1",
]  # fmt: skip
_VALUES = [
    b"null", b"true", b'"1"', b"[]", b"{}", b"-1", b"-0.0", b"1e400", b"-1e400", b"5e-324", b"NaN", b"-Infinity", b"01",
    b"+1", b".5", b"0x1", b"9" * 20, b"9" * 400, b"9" * 5000, b'"\\ud800"', b"[" * 2000, b'{"a":' * 500, b'"\xff"', b"",
    b"1.7976931348623157e308", b'"\\u0000"', b"1,", b"1}", b"[[1]]", b'{"lag_1": 1, "lag_1": 2}',
]  # fmt: skip


def _place(rng: random.Random, data: bytes) -> int:
    return rng.randint(0, len(data))


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = _place(rng, data)
    return start, min(len(data), start + rng.choice([1, 1, 2, 4, 8, 32, 200]))


def flip(rng: random.Random, data: bytes) -> bytes:
    """One bit of it."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def insert(rng: random.Random, data: bytes) -> bytes:
    """A byte that means something somewhere, once or often."""
    at = _place(rng, data)
    return data[:at] + rng.choice(_BYTES) * rng.choice([1, 1, 1, 2, 300]) + data[at:]


def overwrite(rng: random.Random, data: bytes) -> bytes:
    """A byte by one that means something somewhere."""
    at = rng.randrange(len(data))
    return data[:at] + rng.choice(_BYTES) + data[at + 1 :]


def delete(rng: random.Random, data: bytes) -> bytes:
    """A part of it."""
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def repeat(rng: random.Random, data: bytes) -> bytes:
    """A part of it."""
    start, end = _span(rng, data)
    return data[:end] + data[start:end] * rng.choice([1, 1, 3, 50]) + data[end:]


def cut(rng: random.Random, data: bytes) -> bytes:
    """Its end."""
    return data[: _place(rng, data)]


def _lines(data: bytes) -> tuple[list[bytes], bytes]:
    """The lines of its head, and all behind them."""
    head, _, body = data.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


def _joined(lines: Sequence[bytes], body: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def add_header(rng: random.Random, data: bytes) -> bytes:
    lines, body = _lines(data)
    lines.insert(rng.randint(1, len(lines)), rng.choice(_HEADERS))
    return _joined(lines, body)


def drop_header(rng: random.Random, data: bytes) -> bytes:
    lines, body = _lines(data)
    del lines[rng.randrange(len(lines))]
    return _joined(lines, body)


def repeat_header(rng: random.Random, data: bytes) -> bytes:
    lines, body = _lines(data)
    lines[1:] = [line for line in lines[1:] for _ in range(rng.choice([1, 1, 2, 30]))]
    return _joined(lines, body)


def shuffle_headers(rng: random.Random, data: bytes) -> bytes:
    (first, *others), body = _lines(data)
    rng.shuffle(others)
    return _joined([first, *others], body)


def other_first_line(rng: random.Random, data: bytes) -> bytes:
    (_, *others), body = _lines(data)
    return _joined([rng.choice(_LINES), *others], body)


def other_line_ends(rng: random.Random, data: bytes) -> bytes:
    """Of one line or of all."""
    return data.replace(b"\r\n", rng.choice([b"\n", b"\r", b"\r\r\n", b"\r\n ", b"\n\r"]), rng.choice([1, 2, -1]))


def other_value(rng: random.Random, data: bytes) -> bytes:
    """Of one member of the body; the length is left as it was, or put right."""
    lines, body = _lines(data)
    members = body.split(b",")
    at = rng.randrange(len(members))
    key, colon, _ = members[at].partition(b":")
    members[at] = key + colon + rng.choice(_VALUES)
    return resized(rng, _joined(lines, b",".join(members)))


def other_members(rng: random.Random, data: bytes) -> bytes:
    """One dropped, repeated or moved."""
    lines, body = _lines(data)
    members = body.split(b",")
    at, to = rng.randrange(len(members)), rng.randrange(len(members))
    match rng.randrange(3):
        case 0:
            del members[at]
        case 1:
            members.insert(to, members[at])
        case _:
            members[at], members[to] = members[to], members[at]
    return resized(rng, _joined(lines, b",".join(members)))


def resized(rng: random.Random, data: bytes) -> bytes:
    """With the length the body has, mostly, so that what is wrong with the body itself is looked at."""
    lines, body = _lines(data)
    if rng.randrange(5):
        lines = [
            b"Content-Length: %d" % len(body) if line.lower().startswith(b"content-length:") else line for line in lines
        ]
    return _joined(lines, body)


MUTATIONS: list[Mutation] = [
    flip, insert, overwrite, delete, repeat, cut, add_header, add_header, drop_header, repeat_header, shuffle_headers,
    other_first_line, other_line_ends, other_value, other_value, other_value, other_members, other_members, resized,
]  # fmt: skip


class Mutator:
    """Mutated requests; what `batch` gives depends on the seed and the number alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seeds = seeds()

    def batch(self, number: int) -> list[bytes]:
        """What one connection sends, pipelined where it is several."""
        rng = random.Random(f"{self._seed} {number}")  # noqa: S311 - nothing is to be kept secret
        return [self._request(rng) for _ in range(rng.choice(PIPELINED))]

    def _request(self, rng: random.Random) -> bytes:
        data = rng.choice(self._seeds)
        for _ in range(rng.choice(MUTATIONS_EACH)):
            data = rng.choice(MUTATIONS)(rng, data) or data
        if rng.randrange(2):
            data = resized(rng, data)
        if rng.randrange(30) == 0:  # the head of one with the tail of another
            data = cut(rng, data) + rng.choice(self._seeds)[-rng.randint(1, 300) :]
        return data


@functools.cache
def seeds() -> list[bytes]:
    """What is mutated: the corpus, and as many that are valid."""
    bad = [request for case in load_corpus() if len(request := case.request()) <= LARGEST_SEED_BYTES]
    valid = valid_requests()
    return bad + valid * (len(bad) // len(valid))


def valid_requests() -> list[bytes]:
    """One of each kind."""
    tensor = json.dumps({"inputs": [{"name": "r", "datatype": "FP64", "shape": [1, 12], "data": [1.0] * 12}]}).encode()
    feedback = b'{"prediction_id": "-.baseline.1.0123456789abcdef01", "actual": 1}'
    chunks = content([{"chunk": {"reading": {}}}, "0\r\n\r\n"])
    return [
        post(b"/predict", reading({})),
        post(b"/predict", reading({}), b"Content-Type: application/json\r\nX-Request-ID: fuzz-1\r\n"),
        post(b"/predict", content({"gzip": {"reading": {}}}), b"Content-Encoding: gzip\r\n"),
        b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
        post(b"/predict/batch", b'{"instances": [' + b", ".join([reading({})] * 3) + b"]}"),
        post(b"/feedback", feedback),
        post(b"/feedback", b'{"feedback": [' + b", ".join([feedback] * 3) + b"]}"),
        post(b"/v2/models/anomaly/infer", tensor),
        *(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"/health", b"/health/live", b"/v2", b"/nothing")),
    ]


def post(path: bytes, body: bytes, headers: bytes = b"") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s" % (path, headers, len(body), body)
