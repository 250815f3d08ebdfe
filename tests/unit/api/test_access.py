"""Who may ask, and how often."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import TooManyRequests, Unauthorized

from app.api.access import Gate, KeyRing
from app.api.exchange import CLIENT, HEADERS
from app.errors import SettingsError
from tests.fakes import Clock, MemorySink, logger


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# who may ask\n{digest('alpha')} pipeline\n\n{digest('beta').upper()}\tops@night  # a person\n")
    return path


def ring(keys_file: Path, sink: MemorySink | None = None, clock: Clock | None = None) -> KeyRing:
    return KeyRing(keys_file, logger(sink or MemorySink()), clock or Clock())


def asked(method: str = "POST", path: str = "/predict", **headers: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "PATH_INFO": path, **{f"HTTP_{name}": value for name, value in headers.items()}}


# --- keys ---------------------------------------------------------------------------------------------------


def test_a_key_has_the_name_beside_its_hash(keys_file: Path) -> None:
    """Comments and empty lines are passed over; the hash may be in capitals."""
    keys = ring(keys_file)
    assert [keys.name_of(key) for key in ("alpha", "beta", "gamma", "", digest("alpha"))] == [
        "pipeline", "ops@night", None, None, None,
    ]  # fmt: skip


def test_a_changed_file_counts_without_a_restart(keys_file: Path) -> None:
    """New keys are let in, removed ones are not, and the log says whose keys there are now."""
    clock, sink = Clock(), MemorySink()
    keys = ring(keys_file, sink, clock)
    keys_file.write_text(f"{digest('gamma')} new\n")
    os.utime(keys_file, ns=(1, 1))
    assert keys.name_of("gamma") is None
    clock.now += 2
    assert (keys.name_of("gamma"), keys.name_of("alpha")) == ("new", None)
    (event,) = sink.named("keys.loaded")
    assert event["names"] == ["new"]


@pytest.mark.parametrize("content", [None, "abc name\n", f"{'0' * 64}\n", f"{'0' * 64} a b\n"])
def test_a_file_that_became_unusable_changes_nothing(keys_file: Path, content: str | None) -> None:
    """Whoever could ask still can; the log says what is wrong, once."""
    clock, sink = Clock(), MemorySink()
    keys = ring(keys_file, sink, clock)
    if content is None:
        keys_file.unlink()
    else:
        keys_file.write_text(content)
    clock.now += 2
    assert keys.name_of("alpha") == "pipeline"
    (event,) = sink.named("keys.refused")
    assert str(keys_file) in event["file"]


@pytest.mark.parametrize("content", [None, "not a hash\n", b"\xff\xfe"])
def test_the_service_does_not_start_with_a_wrong_file(tmp_path: Path, content: str | bytes | None) -> None:
    """It would lock everybody out, or nobody."""
    path = tmp_path / "keys"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match="API_KEYS_FILE"):
        ring(path)


# --- the gate -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"AUTHORIZATION": "Bearer alpha"}, id="bearer"),
        pytest.param({"AUTHORIZATION": "bearer  alpha "}, id="in small letters"),
        pytest.param({"X_API_KEY": "alpha"}, id="a header of its own"),
    ],
)
def test_a_known_key_is_let_in_under_its_name(keys_file: Path, headers: dict[str, str]) -> None:
    """Either way of sending it."""
    environ = asked(**headers)
    Gate(ring(keys_file), protect_reads=False)(environ)
    assert environ[CLIENT] == "pipeline"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no key"),
        pytest.param({"AUTHORIZATION": "Bearer wrong"}, id="unknown"),
        pytest.param({"AUTHORIZATION": "Basic alpha"}, id="another scheme"),
        pytest.param({"AUTHORIZATION": "Bearer"}, id="nothing behind the scheme"),
        pytest.param({"X_API_KEY": "\ud800"}, id="no text"),
        pytest.param({"X_API_KEY": ""}, id="empty"),
    ],
)
def test_anybody_else_is_not(keys_file: Path, headers: dict[str, str]) -> None:
    """And is told how to send one, never which exist."""
    with pytest.raises(Unauthorized) as caught:
        Gate(ring(keys_file), protect_reads=False)(asked(**headers))
    assert "X-API-Key" in str(caught.value.description)
    assert "alpha" not in str(caught.value.description)


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live", "/v2/health/ready", "/openapi.json"])
def test_probes_need_no_key(keys_file: Path, path: str) -> None:
    """An orchestrator has none."""
    Gate(ring(keys_file), protect_reads=True)(asked("GET", path))


@pytest.mark.parametrize("path", ["/", "/metrics", "/health/detailed"])
def test_what_tells_most_can_be_guarded_too(keys_file: Path, path: str) -> None:
    """Where PROTECT_READS asks for it."""
    Gate(ring(keys_file), protect_reads=False)(asked("GET", path))
    with pytest.raises(Unauthorized):
        Gate(ring(keys_file), protect_reads=True)(asked("GET", path))


# --- how often ----------------------------------------------------------------------------------------------


def test_a_key_that_asks_too_often_is_told_when_to_come_back(keys_file: Path) -> None:
    """Others are not affected."""
    gate = Gate(ring(keys_file), protect_reads=False, rate="2/hour")
    environs = [asked(X_API_KEY="alpha") for _ in range(2)]
    for environ in environs:
        gate(environ)
    assert [dict(environ[HEADERS])["RateLimit-Remaining"] for environ in environs] == ["1", "0"]
    assert dict(environs[0][HEADERS])["RateLimit-Limit"] == "2"
    with pytest.raises(TooManyRequests) as caught:
        gate(asked(X_API_KEY="alpha"))
    assert isinstance(caught.value.retry_after, int)
    assert 0 < caught.value.retry_after <= 3600
    gate(asked(X_API_KEY="beta"))
