"""`flask readiness`: what it prints, and how it ends."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import app.readiness.run as readiness_run
from app.commands.readiness import readiness_command
from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.readiness.evidence import Evidence, Item
from app.readiness.scene import Scene
from app.settings import Settings

Run = Callable[..., Result]


def passing(scene: Scene, found: Evidence) -> None:
    found.seen.append("it is there")


def failing(scene: Scene, found: Evidence) -> None:
    found.lacking.append("it is not there")


class Healthy(BaseHTTPRequestHandler):
    """As much of a service as is asked for before the list."""

    def do_GET(self) -> None:
        status = 401 if self.path.startswith("/locked") else 200
        document = {} if self.path.startswith("/other") else {"status": "healthy", "environment": {}, "workers": []}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def run(
    settings: Settings, schema: FeatureSchema, registry: Registry, monkeypatch: pytest.MonkeyPatch, url: str
) -> Iterator[Run]:
    """Runs the command with a list of three items, two of which pass."""
    items = (Item("One", "First", passing), Item("One", "Second", failing), Item("Two", "Third", passing))
    monkeypatch.setattr(readiness_run, "CHECKLIST", items)
    command = readiness_command(settings, schema, registry)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run_(*arguments: str) -> Result:
        return CliRunner().invoke(command, ["--url", url, *arguments], catch_exceptions=False)

    yield run_
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_it_prints_every_item_the_score_and_the_verdict(run: Run) -> None:
    """In the order of the list, under its sections."""
    lines = run().stdout.splitlines()
    assert [line for line in lines if line in ("One", "Two")] == ["One", "Two"]
    assert sum("it is there" in line for line in lines) == 2
    assert "Production Readiness Score: 66%" in lines
    assert any(line.startswith("RISKY") for line in lines)


@pytest.mark.parametrize(("least", "status"), [("66", 0), ("67", 1), ("0", 0), ("100", 1)])
def test_the_exit_status_is_one_below_the_least_score(least: str, status: int, run: Run) -> None:
    """So that a pipeline can stop over it."""
    assert run("--min", least).exit_code == status


def test_the_default_least_score_refuses_what_is_risky(run: Run) -> None:
    """80."""
    assert run().exit_code == 1


def test_json_is_one_document_and_nothing_else(run: Run) -> None:
    """With a finding per item."""
    document = json.loads(run("--json").stdout)
    assert document["score"] == 66
    assert document["drilled"] is False
    assert [entry["status"] for entry in document["findings"]] == ["pass", "fail", "pass"]
    assert document["findings"][1]["lacking"] == ["it is not there"]


def test_html_goes_to_its_file(run: Run, tmp_path: Path) -> None:
    """Or to stdout."""
    path = tmp_path / "readiness.html"
    result = run("--html", str(path), "--min", "0")
    assert result.exit_code == 0
    assert "66%" in path.read_text()
    assert "66%" in result.stderr
    assert run("--html", "-").stdout.startswith("<!DOCTYPE html>")


def test_what_cannot_be_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    """No URL, objectives nobody understands, two outputs at once, a file that cannot be written."""
    assert "http://localhost:5000" in run("--url", "localhost:5000").stderr
    assert "SLO" in run("--slo", "p99=fast").stderr
    assert run("--json", "--html", "-").exit_code == 2
    assert "cannot be written" in run("--html", str(tmp_path / "no" / "where.html")).stderr


def test_a_service_that_cannot_be_asked_is_said_once_and_before_the_list(run: Run, url: str) -> None:
    """Not twenty times in twenty ways."""
    for where, words in (("/locked", "set API_KEY"), ("/other", "is another service")):
        done = run("--url", url + where)
        assert (done.exit_code, done.stdout) == (1, "")
        assert words in done.stderr
    assert "does not answer" in run("--url", "http://127.0.0.1:1").stderr
