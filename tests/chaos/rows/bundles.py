"""Versions that come and go, and versions that must not be trusted."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.model.manifest import MANIFEST_FILE, SIGNATURE_FILE, signature
from tests.chaos.arena import Arena, detailed, row
from tests.e2e.conftest import Service
from tests.unit.model.crafting import edit_manifest, plant_bomb

KEY = b"a key of the chaos suite"
PRIMARY_FILE = "primary.joblib"


@row("swaps", "versions are activated and rolled back, 200 times, good ones and bad ones")
def versions_are_swapped(arena: Arena) -> None:
    """Every reply's score is that of the version it names; a bad one never serves."""
    good = [arena.register(seed=seed) for seed in range(3)]
    broken = arena.register(seed=9, activate=False)
    path = arena.models / broken / PRIMARY_FILE
    path.write_bytes(path.read_bytes()[:-100])
    service = arena.service()
    slowest_s = 0.0
    with arena.load(service) as load:
        for turn in range(arena.times(200)):
            if turn % 10 == 3:
                arena.point_at(broken)
            elif turn % 10 == 7:
                arena.registry.rollback()
            else:
                arena.registry.activate(good[turn % 3])
            if turn % 25 == 24 or turn == arena.times(200) - 1:
                slowest_s = max(slowest_s, _followed(arena, service, good[turn % 3]))
            time.sleep(0.05)
    served = {record.judgement.version for record in load.records}
    arena.recovered(slowest_s)
    arena.within(slowest_s, 5.0, "one command to all workers within")
    arena.expect_no_failures()
    arena.expect(served <= set(good), f"served: {served}")
    arena.expect(len(served) == len(good), "not every good version came to serve")
    arena.expect_stage("primary", arena.records)
    arena.expect(any(broken in str(event) for event in service.events("bundle.refused")), "the log names no refusal")
    arena.expect_audited(service)


def _followed(arena: Arena, service: Service, version: str) -> float:
    """Seconds from a command until every worker serves what it says."""
    arena.registry.activate(version)
    return arena.seconds_until(
        lambda: [worker["model_version"] for worker in detailed(service)["workers"]] == [version] * 2
    )


def _truncated(folder: Path) -> None:
    path = folder / PRIMARY_FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _three_bits_flipped(folder: Path) -> None:
    path = folder / PRIMARY_FILE
    content = bytearray(path.read_bytes())
    for place in (len(content) // 4, len(content) // 2, 3 * len(content) // 4):
        content[place] ^= 1
    path.write_bytes(content)


def _malicious(folder: Path) -> None:
    plant_bomb(folder, "primary")


def _malicious_and_vouched_for_under_another_key(folder: Path) -> None:
    plant_bomb(folder, "primary", "fallback")
    _sign(folder, b"another key")


def _made_elsewhere(folder: Path) -> None:
    edit_manifest(folder, lambda document: document["environment"].update({"scikit-learn": "0.1"}))
    _sign(folder, KEY)


def _edited(folder: Path) -> None:
    edit_manifest(folder, lambda document: document["stages"]["primary"].update(threshold=0.01))


def _unsigned(folder: Path) -> None:
    (folder / SIGNATURE_FILE).unlink()


def _sign(folder: Path, key: bytes) -> None:
    (folder / SIGNATURE_FILE).write_text(signature((folder / MANIFEST_FILE).read_bytes(), key))


TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (_truncated, "sha-256"),
    "three bits flipped": (_three_bits_flipped, "sha-256"),
    "malicious pickle": (_malicious, "signature"),
    "malicious pickle signed with another key": (_malicious_and_vouched_for_under_another_key, "signature"),
    "other library versions": (_made_elsewhere, "scikit-learn"),
    "manifest edited": (_edited, "signature"),
    "signature missing": (_unsigned, "signature"),
}
"""What is done to a version, and a word of the reason for which it is to be refused."""


@row("tampered", "a version is truncated, has bits flipped, is malicious, foreign, edited, unsigned")
def versions_are_tampered_with(arena: Arena) -> None:
    """Each is refused before a byte of it is trusted, by name, in health and log; the old one serves."""
    arena.signing_key = KEY
    old = arena.register()
    candidate = arena.register(seed=1, activate=False)
    service = arena.service(MODEL_SIGNING_KEY=KEY.decode())
    clean = arena.folder / "clean"
    shutil.copytree(arena.models / candidate, clean)
    with arena.load(service) as load:
        for name, (tamper, reason) in TAMPERED.items():
            shutil.rmtree(arena.models / candidate)
            shutil.copytree(clean, arena.models / candidate)
            tamper(arena.models / candidate)
            arena.point_at(candidate)
            refused = _refused(service, reason)
            arena.recovered(arena.seconds_until(refused))
            arena.expect(
                any(reason in str(event).lower() for event in service.events("bundle.refused")), f"{name}: log"
            )
            arena.point_at(old)
            arena.seconds_until(lambda: detailed(service)["status"] == "healthy")
    arena.expect(not list(arena.models.glob("*bomb*")), "a malicious pickle was opened")
    arena.expect({record.judgement.version for record in load.records} == {old}, "the old version did not serve on")
    arena.expect_stage("primary", load.records)
    arena.expect_no_failures()
    arena.expect_audited(service)
    arena.notes.append(f"refused: {', '.join(TAMPERED)}")


def _refused(service: Service, reason: str) -> Callable[[], bool]:
    """Whether health says of all workers that the candidate was refused, and why."""

    def everywhere() -> bool:
        workers = detailed(service)["workers"]
        causes = [" ".join(worker["causes"]).lower() for worker in workers]
        return len(causes) == 2 and all("refused" in cause and reason in cause for cause in causes)

    return everywhere


@row("swapped", "a model file is swapped all the time, also between hash and load")
def a_file_is_swapped_while_it_is_read(arena: Arena) -> None:
    """What was hashed is what is loaded: the file is read once."""
    old = arena.register()
    candidate = arena.register(seed=1, activate=False)
    service = arena.service()
    path = arena.models / candidate / PRIMARY_FILE
    trusted = path.read_bytes()
    bomb = plant_bomb(arena.folder / _copy_of(arena, candidate), "primary")
    malicious = (bomb.parent / candidate / PRIMARY_FILE).read_bytes()
    assert hashlib.sha256(malicious).digest() != hashlib.sha256(trusted).digest()
    with arena.load(service) as load, _swapping(path, trusted, malicious):
        for _ in range(arena.times(30)):
            arena.point_at(candidate)
            time.sleep(0.15)
            arena.point_at(old)
            time.sleep(0.15)
    outcomes = {event["event"] for event in service.log_lines() if candidate in json.dumps(event)} & {
        "bundle.loaded", "bundle.refused",
    }  # fmt: skip
    arena.notes.append(f"the outcomes were {' and '.join(sorted(outcomes))}")
    arena.expect(not bomb.exists(), "the malicious file was opened")
    arena.expect({one.judgement.version for one in load.records} <= {old, candidate}, "an unknown version served")
    arena.expect_stage("primary", load.records)
    arena.expect_no_failures()
    arena.expect_audited(service)


def _copy_of(arena: Arena, version: str) -> Path:
    folder = Path("elsewhere") / version
    shutil.copytree(arena.models / version, arena.folder / folder)
    return folder


@contextmanager
def _swapping(path: Path, *contents: bytes) -> Iterator[None]:
    """Replaces a file's content by one of these after the other, as fast as it goes."""
    stopping = threading.Event()
    draft = path.with_name(".swapped")

    def swap() -> None:
        while not stopping.is_set():
            for content in contents:
                draft.write_bytes(content)
                draft.replace(path)

    swapper = threading.Thread(target=swap, daemon=True)
    swapper.start()
    try:
        yield
    finally:
        stopping.set()
        swapper.join(10)
