"""nginx in front of the service, both on loopback and each in a folder of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.e2e.conftest import (
    Service,
    eventually,
    free_port,
    models_dir,  # noqa: F401 - a fixture
)

CONFIGURATION = Path(__file__).with_name("nginx.conf")


class Nginx:
    """A reverse proxy with connections to the service that are kept and shared by all clients."""

    def __init__(self, folder: Path, service_port: int) -> None:
        self.folder = folder
        self.ports = {"strict": free_port(), "lax": free_port()}
        text = CONFIGURATION.read_text().replace("SERVICE@", str(service_port))
        for name, port in self.ports.items():
            text = text.replace(f"{name.upper()}_PORT@", str(port))
        (folder / "nginx.conf").write_text(text)

    def __enter__(self) -> Self:
        command = ["nginx", "-p", str(self.folder), "-c", "nginx.conf", "-e", "error.log"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            eventually(self._listens, "nginx listens")
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)

    def exchange(self, name: str, data: bytes) -> bytes:
        """Everything that comes back to these bytes, up to the end of the connection."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.ports[name]), 10) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(65536):
                    received += part
            except ConnectionError:  # nginx has hung up, as it may
                pass
        return received

    def forwarded(self) -> list[dict[str, Any]]:
        """The requests it has sent on, as it understood them."""
        lines = (self.folder / "access.log").read_text("latin-1").splitlines()
        return [entry for entry in map(json.loads, lines) if entry["upstream"]]

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self.folder / "error.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports["lax"])) == 0


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Service]:  # noqa: F811
    """The service behind the proxy, with its access log."""
    with Service(tmp_path_factory.mktemp("behind"), models_dir, ACCESS_LOG="1") as running:
        yield running


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, behind: Service) -> Iterator[Nginx]:
    with Nginx(tmp_path_factory.mktemp("nginx"), behind.port) as running:
        yield running
