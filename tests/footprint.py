"""What a process holds: memory, open files, threads."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.proc import descriptors
from tests.e2e.conftest import eventually

NOISE_MB = 30.0
"""An allocator keeps what it once needed; a leak over many thousand requests is more than that."""

STEADY_S = 0.5


@dataclass(frozen=True, slots=True)
class Footprint:
    memory_mb: float
    """RSS: all of its pages, those it shares with others included."""
    files: int
    threads: int
    proportional_mb: float | None = None
    """PSS: of a shared page only its part, so it changes with who else runs; None where the kernel does not tell."""
    private_mb: float | None = None
    """What it alone has written: a page shared since the fork comes to it with the first change."""


def footprint(pid: int) -> Footprint:
    """What the process holds now."""
    status, maps = _fields(Path(f"/proc/{pid}/status")), _maps(pid)
    return Footprint(
        memory_mb=_mb(status["VmRSS"]),
        files=descriptors(pid),
        threads=int(status["Threads"]),
        proportional_mb=maps.get("Pss"),
        private_mb=maps.get("Private_Dirty"),
    )


def until_steady(pids: Collection[int], for_s: float = STEADY_S) -> None:
    """Returns when the processes have held as many files for that long; fails where they never do."""
    held, since = -1, 0.0

    def steady() -> bool:
        nonlocal held, since
        now, before = time.monotonic(), held
        held = sum(map(descriptors, pids))
        if held != before:
            since = now
        return now - since >= for_s

    eventually(steady, f"the processes hold the same files for {for_s:g} s", 30)


def leaks(before: Footprint, after: Footprint) -> list[str]:
    """What has grown beyond noise; open files and threads have none."""
    found = []
    if after.memory_mb > before.memory_mb + NOISE_MB:
        found.append(f"memory grew from {before.memory_mb:.0f} to {after.memory_mb:.0f} MB")
    if after.files > before.files:
        found.append(f"open files grew from {before.files} to {after.files}")
    if after.threads > before.threads:
        found.append(f"threads grew from {before.threads} to {after.threads}")
    return found


def _maps(pid: int) -> dict[str, float]:
    """Its memory by kind, MB; nothing where the kernel does not tell."""
    try:
        fields = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    except OSError:
        return {}
    return {name: _mb(value) for name, value in fields.items() if value.endswith("kB")}


def _fields(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value for name, _, value in pairs}


def _mb(value: str) -> float:
    return int(value.split()[0]) / 1024
