"""What a process holds: memory, open files, threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NOISE_MB = 30.0
"""An allocator keeps what it once needed; a leak over many thousand requests is more than that."""


@dataclass(frozen=True, slots=True)
class Footprint:
    memory_mb: float
    files: int
    threads: int


def footprint(pid: int) -> Footprint:
    """What the process holds now."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Footprint(
        memory_mb=int(status["VmRSS"].split()[0]) / 1024,
        files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=int(status["Threads"]),
    )


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
