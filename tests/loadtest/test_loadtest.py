"""`make loadtest` as a process: the real locust, the real service, and the exit status that a pipeline acts on."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.model.registry import Registry
from tests.e2e.conftest import PROJECT, Service, eventually, free_port

WITHIN_S = 120
KEY = "loadtest-key-of-the-tests"
GENEROUS = "p50=30s,p99.9=60s,max=60s,success=50"


@pytest.fixture
def service(tmp_path: Path, registry: Registry, version: str) -> Iterator[Service]:
    """A service with a model of its own and a key, as an operator has it running."""
    keys = tmp_path / "keys"
    keys.write_text(f"{hashlib.sha256(KEY.encode()).hexdigest()} loadtest\n")
    with Service(tmp_path / "service", registry.folder, API_KEYS_FILE=str(keys)) as running:
        yield running


@pytest.fixture
def broken_service(tmp_path: Path) -> Iterator[Service]:
    """A service without model whose rule fails: it answers, but never with a prediction."""
    broken = tmp_path / "baseline"
    broken.touch()
    failing = {"BASELINE_RULE": "tests.browser.breakable:breakable_rule", "TESTS_BROKEN_STAGES": str(tmp_path)}
    running = Service(tmp_path / "service", tmp_path / "none", **failing)
    try:
        running.start(wait=False)
        eventually(running.answers, "it answers", 60)
        yield running
    finally:
        running.kill()


def load(*arguments: str, key: str = KEY) -> tuple[int, str]:
    """Exit status and output of a short run."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.loadtest", "--users", "4", "--duration", "2s", *arguments],
        cwd=PROJECT, env={**os.environ, "API_KEY": key}, capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def requests(output: str) -> tuple[int, int, int]:
    """How many there were, failed, and were right predictions."""
    found = re.search(r"^([\d,]+) requests, ([\d,]+) failed; latencies of ([\d,]+) predictions$", output, re.MULTILINE)
    assert found, output
    sent, failed, predicted = (int(count.replace(",", "")) for count in found.groups())
    return sent, failed, predicted


@pytest.mark.parametrize("more", [(), ("--processes", "2", "--duration", "10s")], ids=["one process", "two processes"])
def test_a_service_that_keeps_its_objectives_passes(service: Service, more: tuple[str, ...]) -> None:
    """Every request of the mixture is answered rightly, and the audit has the predictions that were counted."""
    status, output = load("--url", f"{service.url}/", "--slo", GENEROUS, *more)
    assert status == 0, output
    sent, failed, predicted = requests(output)
    assert failed == 0, output
    assert 0 < predicted < sent
    served = [line for line in service.audit_lines() if line["event"] in ("prediction.served", "batch.served")]
    # Locust waits half a second for its other processes' last reports, which they may need longer for.
    assert len(served) == predicted or (more and len(served) > predicted)
    assert len(re.findall(r" yes$", output, re.MULTILINE)) == 4


def test_objectives_that_are_missed_fail(service: Service) -> None:
    """By the latency alone: all requests are answered rightly."""
    status, output = load("--url", service.url, "--slo", "p50=0.001ms,success=99.9")
    assert status == 1, output
    assert requests(output)[1] == 0
    assert re.search(r"^p50 +at most 0.001 ms +[\d.]+ ms +NO$", output, re.MULTILINE)
    assert re.search(r"^success +at least 99.9 % +100.00 % +yes$", output, re.MULTILINE)


def test_a_service_that_does_not_know_the_key_fails(service: Service) -> None:
    """Probes need none, so that some requests are answered."""
    status, output = load("--url", service.url, "--slo", "success=99.9", key="another")
    assert status == 1, output
    sent, failed, predicted = requests(output)
    assert 0 < failed < sent
    assert predicted == 0
    assert " 401: " in output


def test_a_service_whose_stages_all_fail_fails(broken_service: Service) -> None:
    """It answers quickly, but a 503 is no prediction and its latency is none."""
    status, output = load("--url", broken_service.url, "--slo", "max=60s")
    assert status == 1, output
    assert "503: All prediction methods failed" in output
    assert requests(output)[2] == 0
    assert re.search(r"^max +at most 60 s +nothing +NO$", output, re.MULTILINE)


def test_a_service_that_is_down_fails() -> None:
    """Nobody listens there."""
    status, output = load("--url", f"http://127.0.0.1:{free_port()}", "--slo", "success=1")
    assert status == 1, output
    sent, failed, predicted = requests(output)
    assert (failed, predicted) == (sent, 0)


def test_without_an_address_it_brings_a_service_along() -> None:
    """And takes it away again, also where the objectives were missed."""
    status, output = load("--slo", "success=50,p50=0.001ms")
    assert status == 1, output
    assert requests(output)[1] == 0
    found = re.search(r"^sends to http://127.0.0.1:(\d+)$", output, re.MULTILINE)
    assert found, output
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(found[1]))):
        pass


def test_a_wrong_objective_is_refused_at_once() -> None:
    """With exit status 2, before anything is started or sent."""
    status, output = load("--slo", "p99=50")
    assert status == 2
    assert "the unit is missing; write p99=50ms or p99=50s" in output
    assert "sends to" not in output
