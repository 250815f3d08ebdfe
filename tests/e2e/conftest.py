"""The real service: gunicorn in a process group of its own, on a free loopback port, over a small registered model."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.settings import Settings
from tests.conftest import draft_of, fitted_logistic

PROJECT = Path(__file__).parents[2]
START_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0
POLL_S = 0.02

StartService = Callable[..., "Service"]
"""`start_service(KEEP_ALIVE_S="1")`: a running service with settings of its own, stopped when the test ends."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply, read to its end; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """The service as its users meet it. Settings are environment variables; everything it writes lies in `folder`."""

    command: Sequence[str] = (sys.executable, "-m", "gunicorn")
    project: Path = PROJECT

    def __init__(self, folder: Path, models: Path, **env: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            "MODELS_DIR": str(models),
            "AUDIT_DIR": str(folder / "audit"),
            "RUNTIME_DIR": str(folder / "runtime"),
            "WEB_CONCURRENCY": "1",
            **env,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
        }
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        self._process: subprocess.Popen[bytes] | None = None

    # --- its life -------------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> Self:
        """Starts it; `wait` until it says that it is ready. Fails with its own words where it does not get there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._stdout.open("ab") as stdout, self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.project, env=clean_environment() | self.env, stdin=subprocess.DEVNULL,
                stdout=stdout, stderr=stderr, start_new_session=True,
            )  # fmt: skip
        if wait:
            try:
                eventually(self._ready, "the service is ready", START_WITHIN_S)
            except BaseException as error:
                self.kill()
                error.add_note(self.output())
                raise
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to leave; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_WITHIN_S)

    def kill(self) -> None:
        """Ends whatever is left of it."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):  # all of it has left already
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_WITHIN_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the service was not started"
        return self._process

    @property
    def pid(self) -> int:
        """The process of gunicorn's master."""
        return self.process.pid

    def worker_pids(self) -> set[int]:
        """The workers as `/health/detailed` lists them."""
        return {worker["pid"] for worker in self.request("GET", "/health/detailed").json["workers"]}

    # --- its replies ----------------------------------------------------------------------------------------

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        return ask(self.port, method, path, body, headers)

    def post(self, path: str, document: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Posts a document as JSON."""
        typed = {"Content-Type": "application/json", **(headers or {})}
        return self.request("POST", path, json.dumps(document).encode(), typed)

    # --- what it writes -------------------------------------------------------------------------------------

    def log_lines(self) -> list[dict[str, Any]]:
        """Everything on stdout so far; fails where a line is no JSON."""
        return _json_lines(self._stdout)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        return [line for line in self.log_lines() if line["event"] == name]

    def settled_log_lines(self) -> list[dict[str, Any]]:
        """The log once all that happened before has arrived in it; for one worker only, whose log is in order."""
        marker = f"marker-{uuid.uuid4().hex}"
        self.request("GET", "/not-an-endpoint", headers={"X-Request-ID": marker})
        lines: list[dict[str, Any]] = []

        def arrived() -> bool:
            lines[:] = self.log_lines()
            return any(line.get("request_id") == marker for line in lines)

        eventually(arrived, "the marker is in the log")
        return [line for line in lines if not str(line.get("request_id")).startswith("marker-")]

    def audit_lines(self) -> list[dict[str, Any]]:
        """Every record of every audit file."""
        return [line for path in sorted(Path(self.env["AUDIT_DIR"]).glob("*.jsonl")) for line in _json_lines(path)]

    def output(self) -> str:
        """The end of what it said, for a failing test."""
        return "\n".join(path.read_text(errors="replace")[-4000:] for path in (self._stdout, self._stderr))

    def answers(self) -> bool:
        """Whether it answers at all; fails where it has left."""
        assert self.process.poll() is None, f"the service left with exit status {self.process.returncode}"
        try:
            return self.request("GET", "/health").status in (200, 503)
        except (OSError, http.client.HTTPException):
            return False

    def _ready(self) -> bool:
        assert self.process.poll() is None, f"the service left with exit status {self.process.returncode}"
        try:
            return self.request("GET", "/health/ready").status == 200
        except (OSError, http.client.HTTPException):
            return False


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request to whoever listens on `port`, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())
    finally:
        connection.close()


def eventually(condition: Callable[[], object], what: str, within_s: float = 15.0) -> None:
    """Polls until `condition` holds; fails saying `what` did not come true."""
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, f"not within {within_s:g} s: {what}"
        time.sleep(POLL_S)


def free_port() -> int:
    """A port of the loopback interface nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment() -> dict[str, str]:
    """The environment of the tests, without what would configure the service."""
    ours = {name.upper() for name in Settings.model_fields} | {"GUNICORN_CMD_ARGS", "FLASK_RUN_FROM_CLI"}
    return {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in ours}


def _json_lines(path: Path) -> list[dict[str, Any]]:
    complete = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in complete.splitlines()]


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory, schema: FeatureSchema) -> Path:
    """A registry with one active version. Shared: a test that changes a registry copies it first."""
    folder = tmp_path_factory.mktemp("registry") / "models"
    registry = Registry(folder, schema)
    estimators = {"primary": fitted_logistic(schema), "fallback": fitted_logistic(schema, seed=3)}
    registry.activate(registry.register(draft_of(schema, **estimators)))
    return folder


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Service]:
    """A service with default settings and one worker. Shared: a test that stops, kills or breaks one starts its own."""
    with Service(tmp_path_factory.mktemp("service"), models_dir) as running:
        yield running


@pytest.fixture
def start_service(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[StartService]:
    """Starts services with settings of their own, and ends them with the test."""
    started: list[Service] = []

    def start(*, wait: bool = True, **env: str) -> Service:
        service = Service(tmp_path_factory.mktemp("service"), models_dir, **env)
        started.append(service)
        return service.start(wait=wait)

    yield start
    for service in started:
        service.kill()
