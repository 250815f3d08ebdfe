"""A server of `make bench-peers` with a model: laid out in a folder of its own, started, asked, stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peer_models import Case, reading
from benchmarks.peer_servers import OWN, SERVERS, Reading, Server, ServerError
from benchmarks.processes import cpu_s, free_port, stop, tail

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / "peers"
POLL_S = 0.01
START_WITHIN_S, ANSWER_WITHIN_S = 90.0, 10.0
QUIET_SHARE, QUIET_FOR_S, QUIET_WITHIN_S = 0.1, 0.5, 20.0
CHECKED_ROWS, TOLERANCE = 3, 1e-9

ENVIRONMENT = {
    # For one row a second thread only takes the other worker's core away.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that has answered."""

    pid: int
    port: int
    cold_start_s: float
    """From its start to its first prediction."""


@dataclass(frozen=True, slots=True)
class Site:
    """A server and its model, with the folder in which it runs and may write."""

    name: str
    case: Case
    folder: Path

    @property
    def server(self) -> Server:
        return SERVERS[self.name]

    def lay_out(self) -> None:
        """Puts its files there, once. Raises `ServerError` where the peer is not installed or cannot be prepared."""
        if self.name == OWN:
            self.folder.mkdir()
            return
        if not (self._venv / ".installed").exists():
            raise ServerError("is not installed")
        shutil.copytree(PEERS / self.name, self.folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        shutil.copy(PEERS / "common" / "reading.py", self.folder)
        shutil.copy(self.case.sample, self.folder / "sample.csv")
        shutil.copy(self.case.named if self.server.wants_names else self.case.plain, self.folder / "model.joblib")
        if self.server.prepare:
            command, env = self._filled(self.server.prepare)
            done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise ServerError(f"could not be prepared: {done.stderr[-2000:]}")

    @contextmanager
    def running(self) -> Iterator[Running]:
        """Starts it; waits for a prediction, and for quiet; stops it. Raises `ServerError`."""
        ports = {name: str(free_port()) for name in ("port", "port_2", "port_3")}
        command, env = self._filled(self.server.command, **ports)
        log_path = self.folder / "server.log"
        started = time.perf_counter()
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT if self.name == OWN else self.folder, env=env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            port = int(ports["port"])
            self._wait_for_a_prediction(process, port, log_path)
            cold_start_s = time.perf_counter() - started
            _wait_for_quiet(process.pid)
            yield Running(process.pid, port, cold_start_s)
        finally:
            stop(process)

    def body(self, asked: Reading) -> bytes:
        """The request about a reading."""
        return json.dumps(self.server.request(asked)).encode()

    def check_answers(self, port: int) -> None:
        """Raises `ServerError` unless some rows get the very scores of the estimator."""
        for row, score in zip(self.case.rows[:CHECKED_ROWS], self.case.scores, strict=False):
            reply = self._ask(port, reading(row))[1]
            try:
                answered = self.server.score(json.loads(reply))
            except (ValueError, LookupError, TypeError) as error:
                raise ServerError(f"gives no score: {reply[:200]!r}") from error
            if not abs(answered - score) <= TOLERANCE:
                raise ServerError(f"scores {answered!r} where the model says {float(score)!r}")

    def status_out_of_range(self, port: int) -> int:
        """How it answers a row that breaks the contract: `region_id` is 99, the range ends at 10."""
        return self._ask(port, {**reading(self.case.rows[0]), "region_id": 99.0})[0]

    def _ask(self, port: int, asked: Reading) -> tuple[int, bytes]:
        """Status and body of one answer. Raises `ServerError` where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request("POST", self.server.path, self.body(asked), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"does not answer: {error!r}") from error
        finally:
            connection.close()

    def _wait_for_a_prediction(self, process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
        asked = reading(self.case.rows[0])
        give_up = time.monotonic() + START_WITHIN_S
        while process.poll() is None and time.monotonic() < give_up:
            with contextlib.suppress(ServerError):
                if self._ask(port, asked)[0] == 200:
                    return
            time.sleep(POLL_S)
        raise ServerError(f"did not start:\n{tail(log_path)}")

    @property
    def _venv(self) -> Path:
        return PEERS / self.name / ".venv"

    def _filled(self, command: tuple[str, ...], **ports: str) -> tuple[list[str], Mapping[str, str]]:
        """A command and its environment, with this site's folders and ports."""
        bin_folder = str(self._venv / "bin")
        words = {"bin": bin_folder, "folder": str(self.folder), "models": str(self.case.registry), **ports}
        env = {name: value.format_map(words) for name, value in self.server.env.items()}
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        return [word.format_map(words) for word in command], {**os.environ, "PATH": path, **ENVIRONMENT, **env}


def _wait_for_quiet(pid: int) -> None:
    """Until all its processes are up and idle; the first prediction may come from the first of the workers.

    Some servers poll; for them, and for the rest of the wait, what they burn counts as theirs.
    """
    give_up = time.monotonic() + QUIET_WITHIN_S
    while time.monotonic() < give_up:
        before_s = cpu_s(pid)
        time.sleep(QUIET_FOR_S)
        if cpu_s(pid) - before_s < QUIET_SHARE * QUIET_FOR_S:
            return
