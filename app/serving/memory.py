"""A worker's memory: how much it holds, and a bound for what one call can take before anybody looks."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

HEADROOM = 2
"""Times `MAX_WORKER_MEMORY_MB` that a worker may grow by: beyond it allocations fail, and only the stage that asks."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def memory_mb() -> float:
    """What this process holds in memory, shared pages included (RSS)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES / 2**20


def bound_memory(max_memory_mb: int) -> None:
    """Makes allocations fail that would take this process far beyond `max_memory_mb`; 0: no limit.

    A look each second is too late for a model that takes all there is within one call.
    """
    if max_memory_mb:
        data_bytes = int(Path("/proc/self/statm").read_text().split()[5]) * _PAGE_BYTES
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        with contextlib.suppress(ValueError):  # whoever started the service allows less, which is as good
            resource.setrlimit(resource.RLIMIT_DATA, (data_bytes + HEADROOM * max_memory_mb * 2**20, hard))
