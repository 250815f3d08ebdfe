"""Servers that a benchmark starts: what the kernel counted for them and their descendants, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

STOPPED_WITHIN_S = 30.0
_GONE = (FileNotFoundError, ProcessLookupError)


def tree(root: int) -> Iterator[int]:
    """A process and all its descendants, as far as they live."""
    yield root
    for children in Path(f"/proc/{root}/task").glob("*/children"):
        with contextlib.suppress(*_GONE):
            for child in children.read_text().split():
                yield from tree(int(child))


def cpu_s(root: int) -> float:
    """User and system time of a process and all its descendants so far, also of those that ended, seconds."""
    ticks = 0
    for pid in tree(root):
        with contextlib.suppress(*_GONE):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])  # user, system, and those of children waited for
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_mb(root: int) -> float:
    """Memory of a process and all its descendants, shared pages counted once, MB."""
    kilobytes = 0
    for pid in tree(root):
        with contextlib.suppress(*_GONE):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


def free_port() -> int:
    """A port of the loopback interface nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def stop(process: subprocess.Popen[bytes]) -> int:
    """The exit status after SIGTERM; what is left of its process group is killed, at once or after a while."""
    process.terminate()
    try:
        return process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
    finally:
        with contextlib.suppress(ProcessLookupError):  # the usual case: all have left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tail(path: Path, lines: int = 20) -> str:
    """The end of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
