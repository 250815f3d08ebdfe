"""A service over HTTP, as the audit asks it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.errors import ReadinessError
from app.readiness.service import HttpService


class Recording(BaseHTTPRequestHandler):
    """Says whether a key came, and counts connections."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        super().setup()
        type(self).connections += 1

    def do_GET(self) -> None:
        body = f"{self.path} {self.headers.get('X-API-Key')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    Recording.connections = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Recording) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_path_and_a_key_go_along(url: str) -> None:
    """A service behind a prefix, with keys."""
    assert HttpService(url + "/anomaly/", None, "a-key").get("/health").body == b"/anomaly/health a-key"
    assert HttpService(url, None).get("/health").body == b"/health None"


def test_a_kept_connection_is_one_and_others_are_many(url: str) -> None:
    """A load should not measure handshakes."""
    service = HttpService(url, None)
    with service.kept() as kept:
        for _ in range(3):
            kept.get("/")
    assert Recording.connections == 1
    for _ in range(3):
        service.get("/")
    assert Recording.connections == 4


@pytest.mark.parametrize("url", ["localhost:5000", "ftp://localhost", "", "http://localhost:port"])
def test_what_is_no_url_is_said_so(url: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ReadinessError, match="http://localhost:5000"):
        HttpService(url, None)


def test_a_request_is_found_among_the_files_written_since(tmp_path: Path) -> None:
    """And one that is in none of them is in none; older files are not looked into."""
    service = HttpService("http://localhost", tmp_path)
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_text(f'{{"request_id": "r{number}", "n": {number}}}\n')
    os.utime(tmp_path / "0.jsonl", (1_000, 1_000))
    assert service.audit_line("r1", 2_000) == {"request_id": "r1", "n": 1}
    assert service.audit_line("r7", 2_000) is None
    assert service.audit_line("r0", 2_000) is None
    assert service.audit_line("r0", 1_000) == {"request_id": "r0", "n": 0}
