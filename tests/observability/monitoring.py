"""A real Prometheus and a real Alertmanager on loopback ports, with the repository's own rules, and a webhook."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.e2e.conftest import eventually, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus"
SCRAPE_INTERVAL_S = 1


def program(name: str) -> str:
    """Its path; fails saying how to get it."""
    found = shutil.which(name)
    assert found, f"{name} is not installed (Debian: apt-get install prometheus prometheus-alertmanager)"
    return found


@dataclass
class Webhook:
    """Receives what Alertmanager sends: (monotonic time, status, alert name)."""

    port: int = 0
    received: list[tuple[float, str, str]] = field(default_factory=list)

    def arrived(self, alert: str, status: str) -> float | None:
        """When an alert first came with this status; None where it has not."""
        return next((at for at, what, name in self.received if (what, name) == (status, alert)), None)


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A receiver on a free port."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            now = time.monotonic()
            hook.received += [(now, alert["status"], alert["labels"]["alertname"]) for alert in body["alerts"]]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keeps the tests' output to the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running(command: Sequence[str], log: Path, ready_url: str) -> Iterator[None]:
    """A program until it is ready, and to its end."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(ready_url, timeout=5) as reply:
                    return bool(reply.status == 200)
            except OSError:
                return False

        eventually(ready, f"{command[0]} is ready", 30)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def alertmanager(folder: Path, hook: Webhook) -> Iterator[str]:
    """Alertmanager with the repository's routes, whose receivers are the webhook; gives its address."""
    port = free_port()
    config = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    for ours, here in (("localhost:9095", f"127.0.0.1:{hook.port}"), ("group_interval: 1m", "group_interval: 1s")):
        config = config.replace(ours, here)
    (folder / "alertmanager.yml").write_text(config)
    command = [
        program("prometheus-alertmanager"), f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]  # fmt: skip
    with running(command, folder / "alertmanager.log", f"http://127.0.0.1:{port}/-/ready"):
        yield f"127.0.0.1:{port}"


@contextmanager
def prometheus(folder: Path, target: str, alertmanager_at: str | None = None) -> Iterator[str]:
    """Prometheus with the repository's rules, scraping `target` once a second; gives its URL."""
    port = free_port()
    config: dict[str, Any] = {
        "global": {"scrape_interval": f"{SCRAPE_INTERVAL_S}s", "evaluation_interval": f"{SCRAPE_INTERVAL_S}s"},
        "rule_files": [str(RULES / "recording.yml"), str(RULES / "alerts.yml")],
        "scrape_configs": [{"job_name": "anomaly-service", "static_configs": [{"targets": [target]}]}],
    }
    if alertmanager_at is not None:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager_at]}]}]}
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    command = [
        program("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with running(command, folder / "prometheus.log", f"http://127.0.0.1:{port}/-/ready"):
        yield f"http://127.0.0.1:{port}"


def query(url: str, expression: str) -> list[Any]:
    """What an instant query gives; fails with Prometheus' own words where it is none."""
    address = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(address, timeout=10) as reply:
            return list(json.load(reply)["data"]["result"])
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{expression}: {error.read().decode()}") from None
