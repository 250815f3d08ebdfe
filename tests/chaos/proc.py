"""What the kernel knows of a process."""

from __future__ import annotations

import os
from pathlib import Path


def descriptors(pid: int) -> int:
    """Files and sockets it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names are all that is wanted


def rss_mb(pid: int) -> float:
    """Its memory, shared pages included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def age_order(pid: int) -> int:
    """Smaller for what was started earlier."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def lives(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


def children(pid: int) -> set[int]:
    """Its own processes that still run; those that were only not buried yet do not count."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in found if "Z" not in Path(f"/proc/{child}/stat").read_text().rpartition(")")[2][:3]}
