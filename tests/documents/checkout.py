"""What a reader of the documents has before him: a checkout of his own, its `.venv`, and a service that runs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from tests.commits import commit_all
from tests.documents.blocks import ROOT
from tests.e2e.conftest import START_WITHIN_S, STOP_WITHIN_S, ask, clean_environment, eventually, free_port

SERVES = re.compile(r"(?:make serve|gunicorn)(?: .*)?$")
"""The end of what goes on until it is stopped."""

_NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "audit", "dist")
_WITHIN_S = 180


class Checkout:
    """A copy of the project. Whatever a command writes stays in it."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder = folder
        self.url = url
        """Stands in for the address that the documents name."""
        self.env: dict[str, str] = {}
        """Variables that the reader has set."""
        shutil.copytree(ROOT, folder, ignore=_NOT_COPIED)
        self._link_venv()
        commit_all(folder)  # what the reader has cloned

    def run(self, script: str) -> str:
        """Runs a script as it stands, to its end, and returns what it printed; an error of HTTP is a failure too.

        One that ends with the start of a service is stopped as soon as that is ready.
        """
        if SERVES.search(script.strip().splitlines()[-1].partition("#")[0].rstrip()):
            return self._served(script)
        status, output = self._finished(script, CURL_HOME=str(self.folder))
        assert status == 0, f"{script}\nexit status {status}\n{output}"
        return output

    def shown(self, command: str) -> str:
        """What a command prints, however it ends."""
        return self._finished(command)[1]

    def _finished(self, script: str, **env: str) -> tuple[int, str]:
        process = self._start(script, subprocess.PIPE, **env)
        try:
            output, _ = process.communicate(timeout=_WITHIN_S)
        finally:
            _end(process)
        return process.returncode, output

    def _served(self, script: str) -> str:
        port = free_port()
        log = self.folder.with_name("served.log")

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return ask(port, "GET", "/health/ready").status == 200
            except OSError:
                return False

        with log.open("w") as output:
            process = self._start(script, output, PORT=str(port), HOST="127.0.0.1", WEB_CONCURRENCY="1")
        try:
            eventually(ready, f"{script} serves", START_WITHIN_S)
        finally:
            _end(process)
        return log.read_text()

    def _start(self, script: str, output: IO[str] | int, **env: str) -> subprocess.Popen[str]:
        """In a process group of its own, so that whatever the script starts ends with it."""
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script.replace("http://localhost:5000", self.url)],
            cwd=self.folder, env={**clean_environment(), **self.env, **env},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def _link_venv(self) -> None:
        """The tests' own Python as `.venv`, with stamps that tell make that all is installed."""
        venv = self.folder / ".venv"
        venv.mkdir()
        for entry in Path(sys.prefix).iterdir():
            if not entry.name.startswith("."):
                (venv / entry.name).symlink_to(entry)
        for stamp in (".installed", ".installed-dev"):
            (venv / stamp).touch()
        # A reader sees an error; curl calls it one only where it is told to.
        (self.folder / ".curlrc").write_text("fail\nshow-error\n")


def _end(process: subprocess.Popen[str]) -> None:
    """Asks all that is left of it to leave, and makes sure that it has."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):  # all of it has left already
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WITHIN_S)
