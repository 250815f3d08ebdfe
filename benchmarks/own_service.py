"""The real service for the length of a benchmark: gunicorn of this environment, its own audit, loopback only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.processes import free_port, stop, tail

READY_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """A running service; `audit_dir` is None where its audit cannot be read."""

    url: str
    audit_dir: Path | None = None
    pid: int = 0
    """gunicorn's master; 0 where the service is somebody else's."""

    def path(self, endpoint: str) -> str:
        """The endpoint's path, below the path that `url` may have."""
        return urlsplit(self.url).path + endpoint


@contextmanager
def own_service(root: Path, workers: int = 2, app: str = "app:create_app()", **env: str) -> Iterator[Service]:
    """Starts the service of the checkout `root`, or another `app` on its worker; stops it and removes its files.

    Raises `RuntimeError` where it does not become ready, or does not end with status 0 after SIGTERM.
    """
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        audit_dir, log_path = Path(folder, "audit"), Path(folder, "service.log")
        port = free_port()
        settings = {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "WEB_CONCURRENCY": str(workers),
            "AUDIT_DIR": str(audit_dir),
        }
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", app],
                cwd=root, env={**os.environ, **settings, **env}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        service = Service(f"http://127.0.0.1:{port}", audit_dir, process.pid)
        try:
            _wait_until_ready(service, process, log_path)
            yield service
        finally:
            status = stop(process)
        if status != 0:
            raise RuntimeError(f"the service ended with status {status}:\n{tail(log_path)}")


def audited_times(audit_dir: Path, prefix: str, count: int) -> bytearray:
    """How often (255: that or more) the audit holds each request id from `prefix` + 0 to `prefix` + (count - 1)."""
    times = bytearray(count)
    for path in audit_dir.glob("*.jsonl"):
        with path.open("rb") as lines:
            for line in lines:
                try:
                    request_id = str(json.loads(line)["request_id"])
                except ValueError:  # torn: the request it belonged to counts as not audited
                    continue
                if request_id.startswith(prefix):
                    number = int(request_id.removeprefix(prefix))
                    times[number] = min(times[number] + 1, 255)
    return times


def _wait_until_ready(service: Service, process: subprocess.Popen[bytes], log_path: Path) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    # No proxy: the service is on this machine, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None and time.monotonic() < give_up:
        try:
            with opener.open(f"{service.url}/health/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the service did not become ready:\n{tail(log_path)}")
