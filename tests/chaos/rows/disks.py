"""Disks that are full, read-only, or gone."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos import mounts
from tests.chaos.arena import Arena, audited_ids, detailed, ready_workers, row
from tests.chaos.judge import Verdict
from tests.chaos.load import percentile
from tests.chaos.proc import children
from tests.e2e.conftest import Service

HELD_S = 2.0


@row("auditfull", "the audit's disk is full")
def audit_disk_is_full(arena: Arena) -> None:
    """Predictions go on without their line; health and the counter say so, and it ends by itself."""
    disk = mounts.small_disk(arena.stack, arena.folder / "disk")
    _serves_without_audit(arena, disk, lambda: mounts.fill(disk), lambda: mounts.make_room(disk))


@row("auditgone", "the audit's folder is removed")
def audit_folder_is_removed(arena: Arena) -> None:
    """It is made again, and nothing else happens."""
    arena.register()
    service = arena.service()
    audit = Path(service.env["AUDIT_DIR"])
    with arena.load(service) as load:
        for _ in range(3):
            removed = time.monotonic()
            shutil.rmtree(audit, ignore_errors=True)  # something may be written into it meanwhile
            time.sleep(0.5)
    later = [one.judgement.prediction_id for one in load.records if one.sent > removed + 0.2]
    arena.expect(later and set(later) <= audited_ids(audit), "not audited again")
    arena.expect_no_failures()


@row("auditro", "the audit's disk becomes read-only")
def audit_disk_is_read_only(arena: Arena) -> None:
    """The same as a full one, once a new file is begun."""
    disk = mounts.small_disk(arena.stack, arena.folder / "disk", "16m")
    _serves_without_audit(arena, disk, lambda: mounts.forbid_writing(disk), lambda: mounts.allow_writing(disk))


def _serves_without_audit(arena: Arena, disk: Path, strike: Callable[[], None], mend: Callable[[], None]) -> None:
    arena.register()
    service = arena.service(AUDIT_DIR=str(disk / "audit"), AUDIT_ROTATE_BYTES="20000")
    with arena.load(service) as load:
        time.sleep(0.5)
        strike()
        arena.seconds_until(lambda: detailed(service)["status"] == "degraded")
        time.sleep(HELD_S)
        arena.expect("AUDIT_DIR" in str(detailed(service)["causes"]), "health does not name AUDIT_DIR")
        arena.expect(counted(service, "audit_errors_total") > 0, "not counted")
        mend()
        arena.recovered(arena.seconds_until(lambda: detailed(service)["status"] == "healthy"))
        mended = time.monotonic()
        time.sleep(0.3)
    later = {one.judgement.prediction_id for one in load.records if one.sent > mended}
    arena.expect(later and later <= audited_ids(disk / "audit"), "not audited after it was mended")
    arena.expect_stage("primary", load.records)
    arena.expect_no_failures()


@row("auditrequired", "the audit's disk is full, AUDIT_REQUIRED=1")
def required_audit_is_full(arena: Arena) -> None:
    """No prediction leaves without its line: 503 until there is room. Nothing else can be meant by the setting."""
    arena.register()
    disk = mounts.small_disk(arena.stack, arena.folder / "disk")
    service = arena.service(AUDIT_DIR=str(disk / "audit"), AUDIT_REQUIRED="1")
    with arena.load(service) as load:
        time.sleep(0.5)
        mounts.fill(disk)
        arena.seconds_until(lambda: not ready_workers(service))
        start = time.monotonic()
        time.sleep(HELD_S / 2)
        end = time.monotonic()
        status = detailed(service)["status"]
        mounts.make_room(disk)
        arena.recovered(arena.seconds_until(lambda: len(ready_workers(service)) == 2))
        mended = time.monotonic()
        time.sleep(0.3)
    during = [one for one in load.records if one.sent > start and one.answered < end]
    rude = [one for one in during if one.judgement.verdict is Verdict.FAILED and one.judgement.retry_after is None]
    arena.expect(status == "unhealthy", f"it called itself {status}")
    arena.expect(during and not rude, f"{len(rude)} of {len(during)} were not told when to come back")
    arena.within(percentile([one.latency_s for one in during], 0.99), 0.05, "99 % refused within")
    arena.expect_no_failures([one for one in load.records if one.sent > mended])
    arena.expect_audited(service)


@row("metricsfull", "RUNTIME_DIR's disk is full, then a worker is killed")
def runtime_disk_is_full(arena: Arena) -> None:
    """Counters have their room already; a new worker counts for itself alone, says so, and serves."""
    arena.register()
    disk = mounts.small_disk(arena.stack, arena.folder / "disk", "8m")
    service = arena.service(RUNTIME_DIR=str(disk / "runtime"))
    with mounts.kept_full(disk):
        _survives_kills(arena, service, lambda: None)
        told = {str(detailed(service)) for _ in range(20)}
    arena.expect(any("RUNTIME_DIR" in one for one in told), "no worker's health names RUNTIME_DIR")
    arena.recovered(arena.seconds_until(lambda: len(ready_workers(service)) == 2))
    arena.expect(service.stop() == 0, "it did not end well")


@row("metricsgone", "RUNTIME_DIR is removed, then a worker is killed")
def runtime_folder_is_removed(arena: Arena) -> None:
    """It is made again by whoever needs it."""
    arena.register()
    service = arena.service()
    _survives_kills(arena, service, lambda: shutil.rmtree(service.env["RUNTIME_DIR"]))
    arena.recovered(arena.seconds_until(lambda: len(ready_workers(service)) == 2))
    arena.expect(service.stop() == 0, "it did not end well")


@row("metricsstale", "RUNTIME_DIR holds a dead service's files, some of them garbage")
def runtime_folder_is_stale(arena: Arena) -> None:
    """What another one counted, posted or held against a version is not this one's."""
    arena.register()
    service = arena.service(start=False)
    runtime = Path(service.env["RUNTIME_DIR"])
    for name in ("metrics/counter_0.db", "metrics/histogram_7.db", "board/1.json", "board/1.pulse", "quarantine/1"):
        (runtime / name).parent.mkdir(parents=True, exist_ok=True)
        (runtime / name).write_bytes(b"\x00\xff garbage" * 1000)
    service.start()
    with arena.load(service):
        time.sleep(0.5)
        arena.seconds_until(lambda: len(ready_workers(service)) == 2)
        arena.expect(service.request("GET", "/metrics").status == 200, "no metrics")
    arena.expect_no_failures()
    arena.expect_audited(service)


def _survives_kills(arena: Arena, service: Service, strike: Callable[[], None]) -> None:
    """Load goes on while the disk is struck, and while a worker has to start on it."""
    moments = []
    with arena.load(service):
        time.sleep(0.5)
        strike()
        time.sleep(1.5)
        before = children(service.pid)
        moments.append(time.monotonic())
        os.kill(min(before), signal.SIGKILL)
        arena.recovered(arena.seconds_until(lambda: len(children(service.pid) - before) == 1))
        time.sleep(1.5)
        arena.expect(service.request("GET", "/metrics").status == 200, "no metrics")
    arena.expect(len(children(service.pid) & before) == 1, "the other worker died too")
    arena.expect_only_in_flight(moments)
    arena.expect_audited(service)


def counted(service: Service, name: str) -> float:
    """A counter of `/metrics`, over all its labels."""
    lines = service.request("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))
