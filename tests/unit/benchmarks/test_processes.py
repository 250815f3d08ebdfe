"""A tree of processes, counted as one and ended as one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.processes import cpu_s, pss_mb, stop, tree
from tests.waiting import wait_until

# A tenth of a second more than is asked for below: /proc counts whole ticks, rounded down.
CHILD = """
kept = bytearray(64 << 20)
import time
while time.process_time() < 1.1:
    pass
print("burnt", flush=True)
input()
"""
PARENT = f"""
import signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdin=subprocess.PIPE).wait()
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose only child holds 64 MB and has burnt a second of CPU."""
    process = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"burnt\n"
        yield process
    finally:
        stop(process)
        process.stdout.close()


def test_a_child_counts_as_its_parent(family: subprocess.Popen[bytes]) -> None:
    """The work of a server is done by its descendants."""
    assert len(list(tree(family.pid))) == 2
    assert cpu_s(family.pid) >= 1
    assert pss_mb(family.pid) >= 64


def test_nothing_is_left_after_a_stop(family: subprocess.Popen[bytes]) -> None:
    """The parent leaves by itself, with its own status; a child that stays behind is ended."""
    child = list(tree(family.pid))[1]
    assert stop(family) == 7
    wait_until(lambda: not _lives(child))


def _lives(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
