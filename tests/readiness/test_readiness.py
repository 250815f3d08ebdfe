"""The audit as it is meant: of a real service, with drills on another one, in a clean checkout."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.readiness.run import CHECKLIST
from tests.commits import commit_all
from tests.e2e.conftest import PROJECT, Service, eventually

KEY = "a-key-that-is-long-enough"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of the project as one commit."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in filter(lambda name: (PROJECT / name).is_file(), listed):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    commit_all(folder)
    return folder


def readiness(
    checkout: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flask", "readiness", *arguments],
        cwd=checkout, env={**os.environ, "FLASK_APP": "app", "AUDIT_DIR": str(checkout / "audit"), **(env or {})},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_this_project_is_production_ready(checkout: Path) -> None:
    """Every item, with drills; objectives and deadlines are wide, since a machine may be shared."""
    wide = {"PRIMARY_DEADLINE_MS": "5000", "FALLBACK_DEADLINE_MS": "5000"}
    done = readiness(checkout, "--drill", "--slo", "p50=1s,success=99.9", "--min", "100", "--json", env=wide)
    document = json.loads(done.stdout)
    assert [finding for finding in document["findings"] if finding["status"] != "pass"] == []
    assert (done.returncode, document["score"], len(document["findings"])) == (0, 100, len(CHECKLIST))


def test_a_service_elsewhere_is_looked_at_and_left_whole(checkout: Path, tmp_path: Path) -> None:
    """With a key, and without drills: what only they can show stays open."""
    (tmp_path / "keys.txt").write_text(f"{hashlib.sha256(KEY.encode()).hexdigest()} auditor\n")
    env = {"API_KEYS_FILE": str(tmp_path / "keys.txt"), "PROTECT_READS": "1"}
    with Service(tmp_path / "service", checkout / "models", **env) as service:
        own = {"AUDIT_DIR": service.env["AUDIT_DIR"]}
        command = ("--url", service.url, "--json")
        seen = readiness(checkout, *command, env={**own, "API_KEY": KEY})
        locked_out = readiness(checkout, *command, env=own)
        eventually(lambda: service.request("GET", "/health").json["status"] == "healthy", "it is healthy")
        assert len(service.events("service.started")) == 1
    document = json.loads(seen.stdout)
    failed = [finding for finding in document["findings"] if finding["status"] == "fail"]
    assert (failed, document["score"], seen.returncode) == ([], 80, 0)
    assert (locked_out.returncode, locked_out.stdout) == (1, "")
    assert "set API_KEY" in locked_out.stderr


def test_one_that_cannot_start_is_an_error_with_its_own_words(checkout: Path) -> None:
    """A setting that no service could start with."""
    done = readiness(checkout, env={"MAX_LAG_MS": "-1"})
    assert done.returncode != 0
    assert "MAX_LAG_MS" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_whoever_is_told_to_go_leaves_nothing(number: signal.Signals, checkout: Path, tmp_path: Path) -> None:
    """In the middle of a drill, with two services running."""
    with start(checkout, "--drill", TMPDIR=str(tmp_path)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Reliability"):
                break
        eventually(lambda: len(of(tmp_path)) >= 6, "both services run")
        process.send_signal(number)
        assert process.wait(60) != 0
    assert of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def start(checkout: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "flask", "readiness", *arguments],
        cwd=checkout, env={**os.environ, "FLASK_APP": "app", **env}, stdout=subprocess.PIPE, text=True,
        preexec_fn=_heed,
    )  # fmt: skip


def _heed() -> None:
    """Whoever starts the tests in the background of a shell, or with nohup, hands down that these are ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def of(folder: Path) -> list[int]:
    """The processes of services that were started with this scratch folder."""
    wanted, found = f"RUNTIME_DIR={folder}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has just left
            if wanted in path.read_bytes():
                found.append(int(path.parent.name))
    return found
