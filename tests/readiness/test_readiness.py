"""The audit as it is meant: of a real service, with drills on another one, in a clean checkout."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.readiness.run import CHECKLIST
from tests.e2e.conftest import PROJECT, Service, eventually

KEY = "a-key-that-is-long-enough"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of the project as one commit."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in filter(lambda name: (PROJECT / name).is_file(), listed):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    who = ("-c", "user.name=a test", "-c", "user.email=test@localhost")
    for command in (("init", "--quiet"), ("add", "--all"), (*who, "commit", "--quiet", "--message", "All of it")):
        subprocess.run(["git", *command], cwd=folder, check=True)
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
    """Every item, with drills; the objectives are wide, since a machine may be shared."""
    done = readiness(checkout, "--drill", "--slo", "p50=1s,success=99.9", "--min", "100", "--json")
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
    assert json.loads(locked_out.stdout)["score"] < 80
    assert locked_out.returncode == 1


def test_a_service_that_is_not_there_passes_nothing_that_needs_one(checkout: Path) -> None:
    """And the rest is told all the same."""
    document = json.loads(readiness(checkout, "--url", "http://127.0.0.1:1", "--json").stdout)
    passed = {finding["item"] for finding in document["findings"] if finding["status"] == "pass"}
    assert passed == {"Pinned dependencies", "Container", "Runbooks"}


def test_one_that_cannot_start_is_an_error_with_its_own_words(checkout: Path) -> None:
    """A setting that no service could start with."""
    done = readiness(checkout, env={"MAX_LAG_MS": "-1"})
    assert done.returncode != 0
    assert "MAX_LAG_MS" in done.stderr
