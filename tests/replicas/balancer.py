"""A real nginx with deploy/nginx/nginx.conf, but for the addresses in it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.e2e.conftest import STOP_WITHIN_S, eventually, free_port

CONFIG = Path(__file__).parents[2] / "deploy" / "nginx" / "nginx.conf"


class Balancer:
    """nginx on a free loopback port, before the given ports."""

    def __init__(self, folder: Path, replicas: Sequence[int]) -> None:
        self.port = free_port()
        self._folder = folder
        self._config = folder / "nginx.conf"
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        self._config.write_text(_with_addresses(CONFIG.read_text(), self.port, replicas))

    def __enter__(self) -> Self:
        options = f"daemon off; pid {self._folder}/pid;"
        with self._stdout.open("ab") as stdout, self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                ["nginx", "-p", self._folder, "-c", self._config, "-g", options],
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            )  # fmt: skip
        eventually(self._listens, "nginx listens")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(STOP_WITHIN_S)

    def tried_again(self) -> int:
        """Requests for which more than one replica was asked."""
        said = [line.partition(" said=")[2] for line in self._stdout.read_text().splitlines()]
        return sum("," in statuses or " : " in statuses for statuses in said)

    def _listens(self) -> bool:
        assert self._process.poll() is None, self._stderr.read_text()
        return (self._folder / "pid").exists()


def _with_addresses(config: str, port: int, replicas: Sequence[int]) -> str:
    config, listens = re.subn(r"listen 80 ", f"listen 127.0.0.1:{port} ", config)
    config, servers = re.subn(r"anomaly-(\d):5000", lambda found: f"127.0.0.1:{replicas[int(found[1]) - 1]}", config)
    assert (listens, servers) == (1, 2 * len(replicas))  # each is in both upstreams
    return config
