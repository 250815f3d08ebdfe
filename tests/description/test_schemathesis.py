"""The running service against its own description: random requests made of it, and bytes that are no request."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.described import Description
from tests.e2e.conftest import Service, StartService
from tests.e2e.wire import exchange

CONFIG = Path(__file__).with_name("schemathesis.toml")
WITHIN_S = 180.0

HARD_TO_GUESS = {"GET /assets/{name}", "POST /v2/models/{name}/versions/{version}/infer"}
"""Names that only the page knows, and a version that must be found with a body that fits."""


@pytest.mark.slow
@pytest.mark.parametrize("key", [pytest.param(None, id="open"), pytest.param("secret", id="with keys")])
def test_schemathesis_finds_nothing(start_service: StartService, tmp_path: Path, key: str | None) -> None:
    """Examples, edge cases, random valid and invalid requests, and chains of them, with all checks."""
    (tmp_path / "keys").write_text(f"{hashlib.sha256(key.encode()).hexdigest()} schemathesis\n" if key else "")
    keys = {"API_KEYS_FILE": str(tmp_path / "keys"), "PROTECT_READS": "1"} if key else {}
    service = start_service(MAX_BATCH_ROWS="50", LOG_LEVEL="WARNING", **keys)  # what is over the limit stays small
    report = tmp_path / "report.json"
    authorized = ["--header", f"Authorization: Bearer {key}"] if key else []
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run",
            f"{service.url}/openapi.json", "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful",
            "--report", "json", "--report-json-path", str(report), *authorized,
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    print(done.stdout[-1000:])
    assert done.returncode == 0, done.stdout[-20_000:]
    found = json.loads(report.read_text())
    assert {name: phase["status"] for name, phase in found["phases"].items()} == dict.fromkeys(
        ("examples", "coverage", "fuzzing", "stateful"), "success"
    )
    # A run whose valid requests were all refused would have proven little.
    accepted = {
        operation: sum(phase["accepted"] for phase in rates.values())
        for operation, rates in found["valid_rates"].items()
    }
    described = {f"{method.upper()} {path}" for method, path, _ in _description(service).operations()}
    assert accepted.keys() == described - {"GET /openapi.json"}  # which it starts from
    unanswered = {operation for operation, times in accepted.items() if not times}
    assert unanswered <= HARD_TO_GUESS
    assert service.process.poll() is None
    assert service.events("request.failed") == []


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        pytest.param("GET /health/live HTTP/1.1", [], 400, id="no Host"),
        pytest.param("GET /health/live HTTP/1.1", ["Host: a", "Content-Length: 99999999"], 413, id="a huge body"),
        pytest.param("GET /health/live?" + "a" * 9000 + " HTTP/1.1", ["Host: a"], 414, id="a long URL"),
        pytest.param("GET /health/live HTTP/1.1", ["Host: a", "Expect: a miracle"], 417, id="an odd expectation"),
        pytest.param("GET /health/live HTTP/1.1", ["Host: a", *["A: b"] * 101], 431, id="many headers"),
        pytest.param("GET /health/live HTTP/1.1", ["Host: a", "Transfer-Encoding: gzip, chunked"], 501, id="a coding"),
        pytest.param("GET /health/live HTTP/2.0", ["Host: a"], 505, id="another version"),
    ],
)
def test_what_is_no_request_is_refused_as_described(
    service: Service, request_line: str, headers: list[str], status: int
) -> None:
    """By the worker, before it reaches any endpoint."""
    answer = exchange(service.port, "\r\n".join([request_line, *headers, "", ""]).encode())
    assert answer.status == status
    _description(service).check_reply("get", "/health/live", answer.status, answer.headers, answer.body)


def test_a_request_that_takes_too_long_is_refused_as_described(start_service: StartService) -> None:
    """408, with half of a request sent."""
    service = start_service(REQUEST_TIMEOUT_S="0.2")
    answer = exchange(service.port, b"GET /health/live HTTP/1.1\r\nHost: a\r\n")
    assert answer.status == 408
    _description(service).check_reply("get", "/health/live", answer.status, answer.headers, answer.body)


def _description(service: Service) -> Description:
    return Description(service.request("GET", "/openapi.json").json)
