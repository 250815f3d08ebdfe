"""A whole run: warm up, take the workers' footprints, attack, and look at what is left of them."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.conftest import Service, eventually
from tests.footprint import Footprint, footprint, leaks, until_steady
from tests.fuzz.campaign import Finding, Seen, numbers, run
from tests.fuzz.mutations import Mutator

WARM_UP = 0.1
"""Share of the requests that come before the footprints are taken: caches fill, counters get their labels."""


def fuzz(service: Service, seed: int, requests: int) -> tuple[Seen, str]:
    """What was seen, findings included, and a summary of it for people."""
    started = time.monotonic()
    eventually(lambda: len(service.worker_pids()) == int(service.env["WEB_CONCURRENCY"]), "all workers are there")
    pids = service.worker_pids()
    seen, mutator, supply = Seen(), Mutator(seed), numbers()
    run(service.port, mutator, supply, int(requests * WARM_UP), seen)
    before = _settled(pids, {})
    run(service.port, mutator, supply, requests, seen)
    after = _settled(pids & service.worker_pids(), before)
    if service.worker_pids() != pids:
        seen.findings.append(Finding(f"workers were replaced: {sorted(pids)} became {sorted(service.worker_pids())}"))
    for pid, held in after.items():
        seen.findings += [Finding(f"worker {pid}: {leak}") for leak in leaks(before[pid], held)]
    lines = _log(service, seen)
    summary = [
        f"seed     {seed}: {seen.sent} requests on {seen.connections} connections, {seen.answered} answered; "
        f"{seen.probes} valid ones in between; {time.monotonic() - started:.0f} s",
        "replies  " + "  ".join(f"{status}: {count}" for status, count in sorted(seen.statuses.items())),
        f"log      {lines} lines, all JSON" if lines else "log      not all JSON",
        *(f"worker   {pid}: {_change(before[pid], held)}" for pid, held in sorted(after.items())),
        f"findings {len(seen.findings)}",
    ]
    return seen, "\n".join(summary)


def keep(findings: list[Finding], folder: Path) -> list[str]:
    """Writes the bytes of each finding to a file, and says what was found where."""
    told = []
    for number, finding in enumerate(findings):
        where = ""
        if finding.sent:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{number:03}.bin"
            path.write_bytes(finding.sent)
            where = f" (sent: {path})"
        told.append(f"{finding.what}{where}")
    return told


def _settled(pids: set[int], before: Mapping[int, Footprint]) -> dict[int, Footprint]:
    """The footprints, once the last connections are gone."""

    def gone() -> bool:
        return all(footprint(pid).files <= before[pid].files for pid in before.keys() & pids)

    if before:
        with contextlib.suppress(AssertionError):  # `leaks` tells
            eventually(gone, "all connections are closed", 10)
    else:
        until_steady(pids)
    return {pid: footprint(pid) for pid in pids}


def _log(service: Service, seen: Seen) -> int:
    """How many lines the log has; a fault in it is a finding."""
    lines = 0
    for name in ("stdout", "stderr"):
        for line in (service.folder / name).read_bytes().splitlines():
            lines += 1
            try:
                level = json.loads(line)["level"]
            except (ValueError, KeyError, TypeError):
                seen.findings.append(Finding(f"a line of {name} is no event: {line[:300]!r}"))
                return 0
            if level in ("error", "critical"):
                seen.findings.append(Finding(f"logged as an error: {_shortened(line)}"))
    return lines


def _shortened(line: bytes) -> str:
    event = json.loads(line)
    what = str(event.get("exception") or event.get("message") or event.get("detail")).rstrip().rpartition("\n")[2]
    return f"{event['event']}: {what} ({event['timestamp']})"


def _change(before: Footprint, after: Footprint) -> str:
    return (
        f"{before.memory_mb:.0f} -> {after.memory_mb:.0f} MB, {before.files} -> {after.files} files, "
        f"{before.threads} -> {after.threads} threads"
    )
