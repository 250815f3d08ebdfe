"""A service of one's own: this checkout's, on a free port of the loopback interface, gone when the audit is."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from app.errors import ReadinessError
from app.readiness.service import HttpService, eventually

WORKERS = 2
START_WITHIN_S = 60.0
STOP_WITHIN_S = 60.0
_TAIL = 2000

_NOT_OURS = (
    "API_KEYS_FILE", "PROTECT_READS", "RATE_LIMIT", "SHADOW_VERSION", "OTEL_EXPORTER_OTLP_ENDPOINT",
    "GUNICORN_CMD_ARGS", "FLASK_RUN_FROM_CLI",
)  # fmt: skip
"""What would lock the audit out, or reach beyond this machine; and what tells a command from a service."""


class Instance(HttpService):
    """`with Instance(...) as service:`; its settings are this process's own, and `settings` (None: without).

    Raises `ReadinessError` with the service's own words where it does not start.
    """

    own = True

    def __init__(self, root: Path, folder: Path, settings: Mapping[str, str | None]) -> None:
        port = _free_port()
        environ = {
            **{name: value for name, value in os.environ.items() if name not in _NOT_OURS},
            "AUDIT_DIR": str(folder / "audit"),
            "RUNTIME_DIR": str(folder / "runtime"),
            "WEB_CONCURRENCY": str(WORKERS),
            "DRAIN_S": "0",
            **settings,
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }
        self._environ = {name: value for name, value in environ.items() if value is not None}
        self._root, self._output = root, folder / "output"
        self._process: subprocess.Popen[bytes] | None = None
        audit_dir = self._environ["AUDIT_DIR"]
        super().__init__(f"http://127.0.0.1:{port}", Path(audit_dir) if audit_dir else None)

    def __enter__(self) -> Self:
        try:
            with self._output.open("wb") as output:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "gunicorn"],
                    cwd=self._root, env=self._environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    start_new_session=True,
                )  # fmt: skip
            if not eventually(self._complete, START_WITHIN_S):
                raise ReadinessError(f"the service did not start within {START_WITHIN_S:g} s:\n{self._tail()}")
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None  # noqa: S101 - it was entered
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._kill()

    def _complete(self) -> bool:
        """Whether every worker has tested itself; whatever it found is for the checks to judge."""
        assert self._process is not None  # noqa: S101 - it is being entered
        if self._process.poll() is not None:
            raise ReadinessError(f"the service left with exit status {self._process.returncode}:\n{self._tail()}")
        try:
            workers = self.detailed()["workers"]
        except (OSError, http.client.HTTPException):
            return False
        return len(workers) >= WORKERS

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _tail(self) -> str:
        return self._output.read_text(errors="replace")[-_TAIL:].strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
